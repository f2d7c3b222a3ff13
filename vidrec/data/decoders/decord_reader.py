"""decord: right for plain mp4 files only; kept for those who name it."""

import importlib
import re

import numpy as np

from vidrec.data.decoders.numbered import NumberedReader
from vidrec.data.decoders.pyav_source import check_header
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions, Size
from vidrec.utils.errors import UserError, VideoError

_PLACE = re.compile(r"^\[[\d:]+\] \S+:\d+: ")  # time and line of its source that decord puts before what it says


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


class DecordReader(NumberedReader):
    """Frames as decord gives them. It repeats the last frame silently where a file has an edit list: prefer `auto`.

    Args:
        path: absolute path of a local file.
        reading, size: as in NumberedReader.

    Raises:
        VideoError: decord cannot open the file, or gives frames without 3 channels; names the path and the reason.
        UserError: decord is not installed.
    """

    def __init__(self, path: str, reading: ReadOptions = DEFAULTS, size: Size | None = None):
        decord = import_decord()
        super().__init__(path, reading, size)
        self._failures = (decord.DECORDError, RuntimeError)
        check_header(path, self._guard)  # decord tells a frame's size when it has decoded it
        try:
            self._reader = decord.VideoReader(path, num_threads=1)
            self._count = len(self._reader)
            self.fps = float(self._reader.get_avg_fps())
        except self._failures as error:
            raise self._unreadable(error) from error
        self._guard.check_frames(self._count)

    def frame_times(self) -> np.ndarray:
        """[N] seconds at which each frame is shown, from decord's index of the file."""
        return self._reader.get_frame_timestamp(range(self._count))[:, 0].astype(np.float64)

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        try:
            return self._read_pieces(self._decode, numbers)
        except self._failures as error:
            raise self._unreadable(error) from error

    def _decode(self, numbers: np.ndarray) -> np.ndarray:
        frames = self._reader.get_batch(numbers).asnumpy()
        if frames.shape[-1] != 3:  # the padding of narrow rows taken for more channels
            raise self._unreadable(RuntimeError(f"frames of {frames.shape[-1]} channels where 3 are wanted"))
        return frames

    def _unreadable(self, error: Exception) -> VideoError:
        words = str(error).strip().splitlines()
        reason = _PLACE.sub("", words[0]).strip("'\"") if words else type(error).__name__
        return VideoError(f"{self._path} cannot be read: decord says: {reason}; a video file is wanted. Try CONFIG.DATA.DECODER 'pyav'.")

    def close(self) -> None:
        self._reader = None  # the file is closed when the last reference goes
