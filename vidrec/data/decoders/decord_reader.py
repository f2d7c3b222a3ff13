"""decord: right for plain mp4 files; `auto` knows which."""

import importlib

import numpy as np
import torch
from torch import Tensor

from vidrec.data.decoders.base import frame_indices
from vidrec.utils.errors import UserError, VideoError


def import_decord():
    """The decord module. Raises UserError where it is not installed (it has no wheels for ARM)."""
    try:
        decord = importlib.import_module("decord")
    except ImportError as error:
        raise UserError(
            f"CONFIG.DATA.DECODER is 'decord', which cannot be imported ({error}); `pip install decord` works on x86-64 only. "
            "Set CONFIG.DATA.DECODER to 'auto' or 'pyav', which need nothing more."
        ) from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord


class DecordReader:
    """Frames as decord gives them. It repeats the last frame silently where a file has an edit list, and refuses narrow frames,
    whose padding it takes for a fourth channel: prefer `auto`.

    Args:
        path: absolute path of a local file.

    Raises:
        VideoError: decord cannot open the file; names the path and the reason.
        UserError: decord is not installed.
    """

    def __init__(self, path: str):
        decord = import_decord()
        self._path = path
        self._failures = (decord.DECORDError, RuntimeError)
        try:
            self._reader = decord.VideoReader(path, num_threads=1)
            self._count = len(self._reader)
            self.fps = float(self._reader.get_avg_fps())
        except self._failures as error:
            raise self._unreadable(error) from error

    def __len__(self) -> int:
        return self._count

    def frame_times(self) -> np.ndarray:
        """[N] seconds at which each frame is shown, from decord's index of the file."""
        return self._reader.get_frame_timestamp(range(self._count))[:, 0].astype(np.float64)

    def get_frames(self, indices) -> Tensor:
        """[N] frame numbers -> [N, H, W, 3] uint8 RGB; each frame is decoded once, in rising order, which decord does best."""
        wanted = frame_indices(indices, self._count, self._path)
        unique, inverse = np.unique(wanted, return_inverse=True)
        try:
            frames = torch.from_numpy(self._reader.get_batch(unique).asnumpy())
        except self._failures as error:
            raise self._unreadable(error) from error
        return frames if np.array_equal(wanted, unique) else frames[torch.from_numpy(inverse)]

    def _unreadable(self, error: Exception) -> VideoError:
        words = str(error).strip().splitlines()
        reason = words[0].strip("'\"") if words else type(error).__name__
        return VideoError(f"{self._path} cannot be read: decord says: {reason}; a video file is wanted. Try CONFIG.DATA.DECODER 'pyav'.")

    def close(self) -> None:
        self._reader = None  # the file is closed when the last reference goes

    def __enter__(self) -> "DecordReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
