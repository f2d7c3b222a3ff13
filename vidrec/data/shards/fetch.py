"""Ranges of bytes from wherever fsspec reaches: bounded attempts, bounded time, and a reason where they do not help."""

import os
import threading
import time
from typing import Any, NamedTuple

from vidrec.utils.errors import UserError

PASSING = (408, 425, 429)  # HTTP statuses of the 400s that another attempt may mend
EXTRAS = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class Patience(NamedTuple):
    """How long a range of bytes is waited for."""

    attempts: int = 4
    back_off: float = 0.5  # seconds before the second attempt, twice as many before each later one
    stall: float = 30.0  # seconds that an attempt may take, and more for many bytes:
    min_rate: float = 250_000.0  # bytes per second that are expected of any store

    def seconds(self, size: int) -> float:
        """The time limit of one attempt. Example: 1 MB -> 34 s."""
        return self.stall + size / self.min_rate


class FetchError(Exception):
    """Bytes that cannot be had; its text is the reason."""


class Folder:
    """A folder by URL or local path, whose files are read by ranges. It travels to loader processes and connects anew in each.

    Args:
        url: of any file in it.

    Raises:
        UserError: fsspec knows no such protocol, or lacks a package for it.
    """

    def __init__(self, url: str, patience: Patience = Patience()):  # noqa: B008 (a tuple, which cannot change)
        self._url, self._patience = url, patience
        self._connect()
        self.url = url.rsplit("/", 1)[0] if "/" in url else "."

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Bytes [start, stop) of a file; None: to its end. Fewer where the file ends before.

        Raises:
            FetchError: it is not there or not for us, or every attempt failed.
        """
        patience = self._patience
        for attempt in range(patience.attempts):
            try:
                return self._attempt(f"{self._folder}/{name}", start, stop)
            except FileNotFoundError as error:
                raise FetchError("there is no such file") from error
            except PermissionError as error:
                raise FetchError(f"access is denied ({error})") from error
            # a store's client raises errors of its own kinds; each is given another chance and ends in a FetchError with its words
            except Exception as error:
                status = getattr(error, "status", 0)
                if isinstance(status, int) and 400 <= status < 500 and status not in PASSING:
                    raise FetchError(f"the server answers {status} {getattr(error, 'message', '')}".rstrip()) from error
                if attempt + 1 == patience.attempts:
                    words = f"{type(error).__name__}: {error}".rstrip(": ")
                    raise FetchError(f"{patience.attempts} attempts failed, the last with {words}") from error
                time.sleep(patience.back_off * 2**attempt)
        raise AssertionError("attempts is at least 1")

    def _connect(self) -> None:
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._files, path = url_to_fs(self._url)
        except (ImportError, ValueError) as error:
            protocol = self._url.split("://")[0]
            package = EXTRAS.get(protocol)
            remedy = f"Install it: pip install {package}." if package else "Check the URL."
            raise UserError(
                f"{self._url} cannot be opened: {error}; a local path or a URL of a protocol that fsspec knows is wanted. {remedy}"
            ) from error
        self._is_local = isinstance(self._files, LocalFileSystem)
        self._folder = path.rsplit("/", 1)[0] if "/" in path else "."

    def _attempt(self, path: str, start: int, stop: int | None) -> bytes:
        if self._is_local:
            return _read_local(path, start, stop)
        from fsspec.asyn import AsyncFileSystem, sync

        seconds = self._patience.seconds((stop or start) - start)
        whole = start == 0 and stop is None
        bounds = (None, None) if whole else (start, stop)
        if isinstance(self._files, AsyncFileSystem):
            return sync(self._files.loop, self._files._cat_file, path, *bounds, timeout=seconds)
        return _within(seconds, self._files.cat_file, path, *bounds)

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self._url, "patience": self._patience}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"], state["patience"])


def _read_local(path: str, start: int, stop: int | None) -> bytes:
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size if stop is None else stop
        file.seek(start)
        parts, missing = [], size - start
        while missing > 0 and (part := file.read(missing)):
            parts.append(part)
            missing -= len(part)
    return b"".join(parts)


def _within(seconds: float, function: Any, *arguments: Any) -> Any:
    """The result of a call that cannot be interrupted, waited for no longer than this; it is left to itself then."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((function(*arguments), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
