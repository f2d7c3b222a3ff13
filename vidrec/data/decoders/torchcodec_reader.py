"""torchcodec, an extra: it needs the shared libraries of an FFmpeg, from 4 to 9, on the machine."""

import importlib
from collections.abc import Iterator

import numpy as np

from vidrec.data.decoders.numbered import NumberedReader
from vidrec.data.decoders.pyav_frames import is_indexed
from vidrec.data.decoders.pyav_source import Source
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions, Size
from vidrec.utils.errors import UserError, VideoError

_FAILURES = (RuntimeError, ValueError, IndexError)  # what torchcodec raises for files that it cannot decode
_AT_THE_END = "no more frames"  # its words where a file has fewer frames than it counted
MISCOUNT = 2  # packets more than frames that are no sign of damage: MPEG-4 AVI files have one or two


def import_torchcodec():
    """The module torchcodec.decoders. Raises UserError where it or FFmpeg's libraries are missing."""
    try:
        decoders = importlib.import_module("torchcodec.decoders")
        found = importlib.import_module("torchcodec").ffmpeg_major_version
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise _not_usable(f"cannot be imported ({str(error).strip().splitlines()[0]})") from error
    if found is None:
        raise _not_usable("finds no shared libraries of FFmpeg")
    return decoders


def _not_usable(reason: str) -> UserError:
    return UserError(
        f"CONFIG.DATA.DECODER is 'torchcodec', which {reason}; it needs a version made for the installed torch, and FFmpeg 4 to 9. "
        "Run `pip install 'vidrec[torchcodec]'` and `apt-get install ffmpeg` (or `conda install ffmpeg`), or set CONFIG.DATA.DECODER "
        "to 'auto', which needs nothing more."
    )


class TorchCodecReader(NumberedReader):
    """Frames as torchcodec gives them in its exact mode, which reads all packets of the file first.

    Its approximate mode computes a frame's place from the mean frame rate and is wrong where the rate varies, so it is not offered.
    In MPEG-4 AVI and other files whose packets are not frames one by one, its seeks land one or two frames off and its count is too
    high; those are decoded from the first frame on, without seeks, and counted so when they are opened.

    Args:
        path: absolute path of a local file.
        reading, size: as in NumberedReader.

    Raises:
        VideoError: torchcodec cannot read the file, or it is over a limit; names the path and the reason.
        UserError: torchcodec or FFmpeg's libraries are not installed.
    """

    def __init__(self, path: str, reading: ReadOptions = DEFAULTS, size: Size | None = None):
        self._decoders = import_torchcodec()
        super().__init__(path, reading, size)
        source = Source(path, self._guard)
        self._seeks = is_indexed(source)
        source.close()
        try:
            with self._guard.running():
                self._restart()
                header = self._decoder.metadata
                self.fps = float(header.average_fps_from_header or header.average_fps or 0.0)
                self._guard.check_frames(len(self._decoder))
                self._count = len(self._decoder) if self._seeks else self._count_in_order()
        except _FAILURES as error:
            raise self._unreadable(error) from error
        if self._count == 0:
            raise self._unreadable(RuntimeError("it has no frame"))

    def _restart(self) -> None:
        self._decoder = self._decoders.VideoDecoder(self._path, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact")
        self._next = 0  # the frame that comes next without a seek

    def _count_in_order(self) -> int:
        expected = len(self._decoder)
        for count in range(expected):
            self._guard.check_time()
            try:
                self._decoder[count]
            except RuntimeError as error:
                if _AT_THE_END not in str(error) or expected - count > MISCOUNT:
                    raise
                return count
            self._next = count + 1
        return expected

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        try:
            if self._seeks:
                return self._read_pieces(lambda piece: self._decoder.get_frames_at(piece.tolist()).data.numpy(), numbers)
            return self._stack(self._in_order(numbers), len(numbers))
        except _FAILURES as error:
            raise self._unreadable(error) from error

    def _in_order(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        for number in numbers:
            if number < self._next:
                self._restart()
            while self._next <= number:
                self._guard.check_time()
                frame = self._decoder[self._next]
                self._next += 1
            yield frame.numpy()

    def _unreadable(self, error: Exception) -> VideoError:
        words = str(error).strip().splitlines()
        reason = words[0] if words else type(error).__name__
        return VideoError(
            f"{self._path} cannot be read: torchcodec says: {reason}; a video file is wanted. Try CONFIG.DATA.DECODER 'auto'."
        )

    def close(self) -> None:
        self._decoder = None  # the file is closed when the last reference goes
