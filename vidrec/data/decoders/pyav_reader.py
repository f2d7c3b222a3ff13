"""PyAV: exact frames of every file that FFmpeg can decode; its wheel brings its own FFmpeg."""

from collections.abc import Iterator

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from vidrec.data.decoders.numbered import NumberedReader
from vidrec.data.decoders.pyav_frames import make_frames
from vidrec.data.decoders.pyav_source import Source, damaged
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions, Size
from vidrec.utils.errors import VideoError


class PyAVReader(NumberedReader):
    """Frames by number as a sequential decode of the whole file numbers them, read from the nearest key frame where that is exact.

    Args:
        path: absolute path of a local file.
        reading, size: as in NumberedReader.

    Raises:
        VideoError: no video stream, no frames, damaged, or over a limit; names the path and the reason.
    """

    def __init__(self, path: str, reading: ReadOptions = DEFAULTS, size: Size | None = None):
        super().__init__(path, reading, size)
        self._source = Source(path, self._guard)
        self._reformatter = VideoReformatter()  # one for all frames: it keeps the conversion set up between them
        try:
            with self._guard.running():
                self.fps = float(self._source.stream.average_rate or self._source.stream.guessed_rate or 0)
                self._frames = make_frames(self._source)
            self._count = len(self._frames)
            if self._count == 0:
                raise VideoError(f"{path} cannot be read: it has no frame to show; at least 1 is needed. Encode or fetch it again.")
        except av.error.FFmpegError as error:
            self.close()
            raise damaged(path, error) from error
        except VideoError:
            self.close()
            raise

    def frame_times(self) -> np.ndarray | None:
        """[N] seconds at which each frame is shown, as the file says; None where it does not say so for every frame."""
        pts = self._frames.pts
        return None if pts is None else pts * float(self._source.stream.time_base)

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        try:
            return self._stack(self._images(numbers), len(numbers))
        except av.error.FFmpegError as error:
            raise damaged(self._path, error) from error

    def _images(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        """Decoded frames as RGB, turned as the display matrix says. The default of av, a thread pool per frame, is slower."""
        for number in numbers:
            frame = self._frames.frame(int(number))
            self._guard.check_pixels(frame.height, frame.width)  # it may grow in the middle of a stream
            image = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
            quarter_turns = round(frame.rotation / 90) % 4
            yield np.rot90(image, quarter_turns) if quarter_turns else image

    def close(self) -> None:
        self._source.close()
