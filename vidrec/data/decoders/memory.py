"""Videos that are in memory, for readers that open files: any reader, by the same rules and with the same frames as from a file."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.utils.errors import VideoError

if TYPE_CHECKING:
    from torch import Tensor

    from vidrec.data.decoders.base import VideoReader


class VideoBytes(NamedTuple):
    """The content of a video file, and the name by which messages speak of it."""

    name: str
    content: bytes


class MemoryReader:
    """A reader of a video in memory; messages name it as its source does.

    Decoders take file names only (PyAV and decord would take objects, each with other limits), so the bytes lie in an anonymous file in
    memory (Linux), or in a temporary file that goes with the reader (elsewhere).

    Args:
        video: the bytes.
        open_path: opens a local file.

    Raises:
        VideoError: as `open_path` does, with the video's own name.
    """

    def __init__(self, video: VideoBytes, open_path: "Callable[[str], VideoReader]"):
        self._name = video.name
        self._file = _store(video)
        self._path = _path_of(self._file)
        try:
            with self._renamed():
                self._reader = open_path(self._path)
        except BaseException:
            self._file.close()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_reader"], name)

    def __len__(self) -> int:
        return len(self._reader)

    def get_frames(self, *arguments: Any, **options: Any) -> "Tensor":
        """As the reader behind it."""
        with self._renamed():
            return self._reader.get_frames(*arguments, **options)

    def close(self) -> None:
        self._reader.close()
        self._file.close()

    def __enter__(self) -> "MemoryReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _renamed(self) -> Iterator[None]:
        try:
            yield
        except VideoError as error:
            raise VideoError(str(error).replace(self._path, self._name)) from error


@contextmanager
def local_copy(video: VideoBytes) -> Iterator[str]:
    """The path of a file with the bytes of a video, as long as the block lasts."""
    with _store(video) as file:
        yield _path_of(file)


def _path_of(file: Any) -> str:
    return f"/proc/self/fd/{file.fileno()}" if isinstance(file.name, int) else file.name


def _store(video: VideoBytes) -> Any:
    """An open file with the bytes. Where it is in memory its name is a number."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        file = open(os.memfd_create("vidrec"), "w+b", buffering=0)  # noqa: SIM115 (closed with the reader)
    else:
        ending = re.search(r"\.\w{1,8}$", video.name)
        file = tempfile.NamedTemporaryFile(prefix="vidrec-", suffix=ending[0] if ending else "", buffering=0)  # noqa: SIM115
    view = memoryview(video.content)
    while len(view):
        view = view[file.write(view) :]
    return file
