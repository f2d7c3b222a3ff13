"""What a decoder offers, and the one way to open a video."""

import importlib
import importlib.metadata
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vidrec.registry import Registry
from vidrec.utils.errors import VideoError

if TYPE_CHECKING:
    from torch import Tensor

DECODERS = Registry(
    "decoder",
    {
        "auto": "vidrec.data.decoders.auto:open_auto",
        "decord": "vidrec.data.decoders.decord_reader:DecordReader",
        "pyav": "vidrec.data.decoders.pyav_reader:PyAVReader",
    },
)


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


def open_video(path: str | Path, decoder: str = "auto") -> VideoReader:
    """Opens a local video file for reading frames by index, with one thread.

    Args:
        path: a file; never taken for a URL or an FFmpeg protocol, whatever it looks like.
        decoder: a name of DECODERS. `auto` is exact for every file it opens: decord where that is right, PyAV elsewhere.

    Raises:
        VideoError: the file is missing, empty, no video, damaged at its head, or without frames; names the path and the reason.
        ConfigError: the decoder's name is unknown.
        UserError: the decoder is not installed.
    """
    return DECODERS.get(decoder)(local_file(path))


def check_decoder(decoder: str) -> None:
    """Raises ConfigError for an unknown decoder and UserError for one that is not installed, before any video is opened."""
    DECODERS.get(decoder)
    if decoder == "decord":
        importlib.import_module("vidrec.data.decoders.decord_reader").import_decord()


def local_file(path: str | Path) -> str:
    """The absolute path of an existing, regular, non-empty file; raises VideoError naming the path and the reason otherwise."""
    absolute = os.path.abspath(path)
    try:
        status = os.stat(absolute)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise VideoError(f"{absolute} cannot be read: {reason}; a video file is wanted. Check the path and the data folder.") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f"{absolute} cannot be read: it is not a regular file; a video file is wanted. Check the path.")
    if status.st_size == 0:
        raise VideoError(f"{absolute} cannot be read: it is empty (0 bytes); a video file is wanted. Fetch or copy it again.")
    return absolute


def frame_indices(indices: "Sequence[int] | np.ndarray | Tensor", num_frames: int, path: str) -> np.ndarray:
    """`indices` as an int64 array, checked to lie in [0, num_frames). Raises IndexError."""
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    outside = wanted[(wanted < 0) | (wanted >= num_frames)]
    if outside.size:
        raise IndexError(f"frame {outside[0]} of {path} does not exist; it has {num_frames} frames, 0 to {num_frames - 1}.")
    return wanted


def decoder_version(decoder: str) -> str:
    """The decoder's name with the versions of the libraries behind it, for the protocol of a result: `auto (decord 0.6.0, av 17.1.0)`."""
    packages = {"auto": ("decord", "av"), "decord": ("decord",), "pyav": ("av",)}.get(decoder, ())
    installed = []
    for package in packages:
        try:
            installed.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            installed.append(f"no {package}")
    return f"{decoder} ({', '.join(installed)})" if installed else decoder
