"""A file over HTTP, HTTPS or from `file://`, gone on with after an interruption."""

import http.client
import logging
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

_log = logging.getLogger("vidrec")

ATTEMPTS = 4
BACK_OFF = 0.5  # seconds before the second attempt, twice as many before each later one
STALL = 30.0  # seconds without a byte after which a connection counts as broken
_BLOCK = 1 << 18  # bytes
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that another attempt may mend
_BROKEN = (OSError, http.client.HTTPException)


class DownloadError(Exception):
    """The file cannot be had now; its text is the reason. What has arrived stays in the partial file."""


def download(url: str, partial: Path) -> None:
    """Brings the whole file of a URL to `partial`, going on from the bytes that are there already.

    A broken connection, or one over which no byte comes for STALL seconds, is tried again, ATTEMPTS times in all; a server that
    does not go on where it is asked to sends everything again. There is a progress bar on a terminal.

    Raises:
        DownloadError: the server refuses the file or cannot be reached.
        OSError: `partial` cannot be written.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _attempt(url, partial)
        except _AnotherTime as error:
            if attempt + 1 == ATTEMPTS or url.startswith("file:"):
                raise DownloadError(str(error)) from error
            wait = BACK_OFF * 2**attempt
            _log.warning("download: %s: %s; attempt %d of %d follows in %g s", url, error, attempt + 2, ATTEMPTS, wait)
            time.sleep(wait)


class _AnotherTime(Exception):
    """An attempt failed in a way that may pass."""


def _attempt(url: str, partial: Path) -> None:
    with partial.open("ab") as file:
        have = file.tell()
        response = _open(url, have)
        if response is None:  # 416: there is nothing after these bytes, so the file is whole, or another one
            return
        with response:
            start, total = _extent(response, have)
            file.truncate(start)
            file.seek(start)
            with tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=partial.stem, disable=None) as bar:
                _copy(response, file, bar)
            if total is not None and file.tell() < total:
                raise _AnotherTime(f"the connection ended after {file.tell():,} of {total:,} bytes")


def _open(url: str, have: int) -> http.client.HTTPResponse | None:
    """The response to a request for what follows the first `have` bytes; None where nothing does."""
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        return urllib.request.urlopen(request, timeout=STALL)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:
                return None
            failure = _AnotherTime if error.code in _PASSING else DownloadError
            raise failure(f"the server answers {error.code} {error.reason}") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DownloadError(f"it is no URL: {error}") from error
    except _BROKEN as error:
        raise _AnotherTime(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """(byte of the file where the response begins, length of the file or None where the server does not say)."""
    length = response.headers.get("Content-Length", "")
    length = int(length) if length.isdigit() else None
    start = have if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-") else 0
    return start, None if length is None else start + length


def _copy(response: http.client.HTTPResponse, file: BinaryIO, bar: tqdm) -> None:
    while True:
        try:
            block = response.read1(_BLOCK)  # what one packet brings, so that a broken connection loses nothing
        except _BROKEN as error:
            raise _AnotherTime(f"the connection broke after {file.tell():,} bytes ({error})") from error
        if not block:
            return
        file.write(block)
        bar.update(len(block))
