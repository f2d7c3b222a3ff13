"""What a decoder offers, and the one way to open a video."""

import importlib
import importlib.metadata
import inspect
import os
import stat
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vidrec.data.decoders.memory import MemoryReader, VideoBytes
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions, Size
from vidrec.registry import Registry
from vidrec.utils.errors import VideoError

if TYPE_CHECKING:
    from torch import Tensor

DECODERS = Registry(
    "decoder",
    {
        "auto": "vidrec.data.decoders.auto:open_auto",
        "decord": "vidrec.data.decoders.decord_reader:DecordReader",
        "frames": "vidrec.data.decoders.frames_reader:FramesReader",
        "opencv": "vidrec.data.decoders.opencv_reader:OpenCVReader",
        "pyav": "vidrec.data.decoders.pyav_reader:PyAVReader",
        "torchcodec": "vidrec.data.decoders.torchcodec_reader:TorchCodecReader",
    },
)

FOR_FILES = ("decord", "opencv", "pyav", "torchcodec")

# What must be importable for a decoder, and the packages whose versions decide about its frames.
_IMPORTS = {
    "decord": "vidrec.data.decoders.decord_reader:import_decord",
    "opencv": "vidrec.data.opencv:import_cv2",
    "torchcodec": "vidrec.data.decoders.torchcodec_reader:import_torchcodec",
}
_PACKAGES = {
    "auto": ("av", "pillow"),
    "decord": ("decord",),
    "frames": ("pillow",),
    "opencv": ("opencv-python", "opencv-python-headless", "av"),
    "pyav": ("av",),
    "torchcodec": ("torchcodec",),
}


class VideoReader(Protocol):
    """An open video. Frames are numbered in the order of display, from 0; rotation is applied. Close it, or use it in `with`.

    A reader that knows when each frame is shown says so in `frame_times()`, [N] seconds or None; it need not have it.
    """

    fps: float  # mean frames per second, 0.0 where the file does not say

    def __len__(self) -> int:
        """Number of frames that can be shown, at least 1."""

    def get_frames(self, indices: "Sequence[int] | np.ndarray | Tensor") -> "Tensor":
        """The frames of `indices` [N] int64 (any order, repeats allowed) as [N, H, W, 3] uint8 RGB. Raises VideoError, IndexError."""

    def close(self) -> None:
        """Gives the file back; further calls are of no use."""

    def __enter__(self) -> "VideoReader": ...

    def __exit__(self, *error: object) -> None: ...


def open_video(
    path: str | Path | VideoBytes, decoder: str = "auto", reading: ReadOptions = DEFAULTS, *, size: Size | None = None
) -> VideoReader:
    """Opens a local video file, a folder of numbered frames, or a video in memory, for reading frames by index, with one thread.

    Args:
        path: a file or folder; never taken for a URL or an FFmpeg protocol, whatever it looks like.
        decoder: a name of DECODERS, which is obeyed. `auto` is exact for every file it opens, and reads folders as frames.
        reading: limits and names; a decoder of the user's own may do without them, as without `size`.
        size: (height, width) of an upright frame -> those in which frames are to come, by bilinear interpolation (cv2.INTER_LINEAR)
            while they are decoded; None: as they are.

    Raises:
        VideoError: the file is missing, empty, no video, damaged at its head, without frames, or over a limit; names path and reason.
        ConfigError: the decoder's name is unknown.
        UserError: the decoder is not installed.

    Example: `open_video(path, size=lambda height, width: (256, 340))`
    """
    if isinstance(path, VideoBytes):
        return MemoryReader(path, lambda local: open_video(local, decoder, reading, size=size))
    opener, where = DECODERS.get(decoder), local_path(path)
    if decoder in FOR_FILES and os.path.isdir(where):
        raise VideoError(
            f"{where} cannot be read: it is a folder, and the decoder {decoder!r} reads video files. Set CONFIG.DATA.DECODER to "
            "'auto', which reads both, or check the path."
        )
    given = {"reading": reading, "size": size}
    return opener(where, **{name: given[name] for name in _taken(opener) if name in given})


def check_decoder(decoder: str) -> None:
    """Raises ConfigError for an unknown decoder and UserError for one that is not installed, before any video is opened."""
    DECODERS.get(decoder)
    if decoder in _IMPORTS:
        module, function = _IMPORTS[decoder].split(":")
        getattr(importlib.import_module(module), function)()


def local_path(path: str | Path) -> str:
    """The absolute path of an existing folder or non-empty regular file; raises VideoError naming the path and the reason otherwise."""
    absolute = os.path.abspath(path)
    try:
        status = os.stat(absolute)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise VideoError(f"{absolute} cannot be read: {reason}; a video file is wanted. Check the path and the data folder.") from error
    if stat.S_ISDIR(status.st_mode):
        return absolute
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f"{absolute} cannot be read: it is not a regular file; a video file is wanted. Check the path.")
    if status.st_size == 0:
        raise VideoError(f"{absolute} cannot be read: it is empty (0 bytes); a video file is wanted. Fetch or copy it again.")
    return absolute


def decoder_version(decoder: str) -> str:
    """The decoder's name with the versions of the libraries behind it, for results and checkpoints: `auto (av 18.1.0, pillow 12.0.0)`."""
    installed = []
    for package in _PACKAGES.get(decoder, ()):
        try:
            installed.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    if decoder == "torchcodec" and installed:
        installed.append(f"FFmpeg {importlib.import_module('torchcodec').ffmpeg_major_version}")
    return f"{decoder} ({', '.join(installed) or 'not installed'})" if decoder in _PACKAGES else decoder


@cache
def _taken(opener: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(opener).parameters)
