"""Files that are whole or not there, however the process that writes them ends."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20  # bytes that are read at a time
_LEFTOVER = re.compile(r".+\.tmp\.(\d+)")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` once it is complete and on the disk; an earlier one stays until then.

    It is written beside `path` as `name.tmp.<process id>`, synced and renamed; when the body fails it is removed.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def staged_files(folder: Path) -> Iterator[Path]:
    """A folder beside the final places of several files; once the body is complete they take their places in `folder`.

    It is `folder/staged.tmp.<process id>`. Its files are synced and renamed one after the other, by name from the last to the first, so
    that `a.onnx` comes after `a.onnx.data` and `a.onnx.json`; earlier ones stay until then. When the body fails it is removed.

    Raises:
        OSError: the folder or a file cannot be written.
    """
    stage = make_folder(folder) / f"staged.tmp.{os.getpid()}"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        yield stage
        for path in sorted(stage.iterdir(), reverse=True):
            with open(path, "rb") as file:
                os.fsync(file.fileno())
            os.replace(path, folder / path.name)
        _sync_folder(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Makes a rename last: the folder's entry is data of the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> list[Path]:
    """Removes what killed processes left of `atomic_file` and `staged_files` in a folder; that of living processes stays."""
    found = [(path, _LEFTOVER.fullmatch(path.name)) for path in sorted(folder.iterdir())]
    dead = [path for path, match in found if match and not _alive(int(match[1]))]
    for path in dead:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return dead


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def make_folder(folder: Path) -> Path:
    """Creates a folder and those above it, where missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def free_bytes(folder: Path) -> int:
    """What may still be written into a folder. Raises OSError."""
    return shutil.disk_usage(folder).free


def room_text(folder: Path) -> str:
    """`123,456 bytes are free there`, or that the folder cannot be looked at."""
    try:
        return f"{free_bytes(folder):,} bytes are free there"
    except OSError as error:
        return f"the folder cannot be looked at: {error.strerror}"
