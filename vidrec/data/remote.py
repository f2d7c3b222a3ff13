"""Videos by URL: fetched by fsspec in pieces into a file, and read from there as any other."""

import copy
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidrec.data.annotations import VideoTable
from vidrec.data.shards.fetch import FetchError, Folder
from vidrec.utils.errors import UserError, VideoError

PIECE = 8 * 2**20  # bytes that are fetched at a time, and the most of a remote file that is in memory
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_remote(path: str | Path) -> bool:
    """Whether a path is a URL, such as https://host/video.mp4 or s3://bucket/video.mp4."""
    return bool(_URL.match(str(path)))


class RemoteTable(VideoTable):
    """A list of videos of which some are URLs. A fetched file takes the place of the one before in this process, and goes with it.

    Within `fetching_once` it stays instead, for all processes, until it is released.
    """

    _fetched: "tempfile.TemporaryDirectory | None" = None
    _kept: Path | None = None  # the folder of `fetching_once`

    def path(self, index: int) -> str:
        """The URL, or the path of a local file."""
        listed = self.listed_path(index)
        return listed if is_remote(listed) else os.path.join(self.folder, listed)

    def source(self, index: int) -> str:
        """The path of a local file with the video's bytes. Raises VideoError where they cannot be had."""
        path = self.path(index)
        if not is_remote(path):
            return path
        if self._kept is not None:
            return str(_fetch_once(path, self._kept / str(index)))
        self._fetched = tempfile.TemporaryDirectory(prefix="vidrec-")  # the one before is removed as it is forgotten
        return str(fetch_video(path, Path(self._fetched.name)))

    def release(self, index: int) -> None:
        """Deletes the fetched file of a video that `fetching_once` has kept."""
        if self._kept is not None:
            for folder in (self._kept / str(index), _unfinished(self._kept / str(index))):
                shutil.rmtree(folder, ignore_errors=True)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_fetched": None}


def table_of(paths: Sequence[str | Path]) -> VideoTable:
    """A list of local files, folders of frames and URLs."""
    return (RemoteTable if any(map(is_remote, paths)) else VideoTable).from_paths(paths)


@contextmanager
def fetching_once(table: VideoTable) -> Iterator[VideoTable]:
    """The list, whose fetched videos stay on the disk until they are released: one that several processes read is fetched once."""
    with tempfile.TemporaryDirectory(prefix="vidrec-", ignore_cleanup_errors=True) as folder:
        keeping = copy.copy(table)
        if isinstance(keeping, RemoteTable):
            keeping._kept = Path(folder)
        yield keeping


def _fetch_once(url: str, folder: Path) -> Path:
    """The only file of a folder, fetched where it is not there. Raises VideoError as `fetch_video` does."""
    if not folder.is_dir():
        unfinished = _unfinished(folder)
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that has ended
        unfinished.mkdir()
        fetch_video(url, unfinished)
        unfinished.rename(folder)
    return next(folder.iterdir())


def _unfinished(folder: Path) -> Path:
    return folder.with_suffix(".part")


def fetch_video(url: str, folder: Path) -> Path:
    """Fetches a video into a folder and returns its path.

    Raises:
        VideoError: it cannot be fetched, fsspec knows no such protocol or lacks a package for it, or the disk is full.
    """
    name = url.rsplit("/", 1)[-1]
    place = folder / (re.sub(r"[^\w.-]+", "_", name.split("?")[0])[-100:] or "video")
    try:
        source, done = Folder(url), 0
    except UserError as error:  # of one video: those of other protocols are read
        raise VideoError(str(error)) from error
    try:
        with open(place, "wb") as file:
            while True:
                piece = source.read(name, done, done + PIECE)
                file.write(piece)
                done += len(piece)
                if len(piece) != PIECE:  # the end; more than asked for is the whole file, from a server without ranges
                    return place
    except FetchError as error:
        status = str(error)
        if done and "416" in status:  # the file ended with the last piece
            return place
        raise VideoError(f"{url} cannot be fetched: {error}; a video file is wanted there. Check the URL and the network.") from error
    except OSError as error:
        raise VideoError(f"{url} cannot be kept in {folder} ({error.strerror or error}); make room there, or set TMPDIR.") from error
