"""OpenCV: exact only when a file is read from its first frame on, so that is how it is read."""

from collections.abc import Iterator

import av
import numpy as np

from vidrec.data.decoders.numbered import NumberedReader
from vidrec.data.decoders.pyav_frames import make_frames
from vidrec.data.decoders.pyav_source import Source, damaged
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions, Size
from vidrec.data.opencv import import_cv2
from vidrec.utils.errors import VideoError


class OpenCVReader(NumberedReader):
    """Frames as cv2.VideoCapture gives them one after the other; a frame before the last one read starts the file anew.

    OpenCV says neither how many frames there are (its count is the header's guess) nor that a file is damaged: it just ends. PyAV
    tells it the true count, and an early end is a VideoError.

    Args:
        path: absolute path of a local file.
        reading, size: as in NumberedReader.

    Raises:
        VideoError: the file cannot be opened, ends early, or is over a limit; names the path and the reason.
        UserError: OpenCV cannot be imported.
    """

    def __init__(self, path: str, reading: ReadOptions = DEFAULTS, size: Size | None = None):
        self._cv2 = import_cv2()
        super().__init__(path, reading, size)
        with self._guard.running():
            self._count = self._true_count()
        self._open()
        self.fps = float(self._capture.get(self._cv2.CAP_PROP_FPS))

    def _true_count(self) -> int:
        try:
            source = Source(self._path, self._guard)
        except av.error.FFmpegError as error:
            raise damaged(self._path, error) from error
        try:
            count = len(make_frames(source))
        except av.error.FFmpegError as error:
            raise damaged(self._path, error) from error
        finally:
            source.close()
        if count == 0:
            raise VideoError(f"{self._path} cannot be read: it has no frame to show; at least 1 is needed. Encode or fetch it again.")
        return count

    def _open(self) -> None:
        cv2 = self._cv2
        self._next = 0
        self._capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._capture.isOpened():
            raise VideoError(
                f"{self._path} cannot be read: OpenCV does not open it; a video file is wanted. Try CONFIG.DATA.DECODER 'auto'."
            )

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        return self._stack(self._images(numbers), len(numbers))

    def _images(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        for number in numbers:
            if number < self._next:
                self.close()
                self._open()
            while self._next <= number:
                self._guard.check_time()
                if not self._capture.grab():
                    raise self._early_end()
                self._next += 1
            found, image = self._capture.retrieve()
            if not found:
                raise self._early_end()
            yield self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB)

    def _early_end(self) -> VideoError:
        return VideoError(
            f"{self._path} cannot be read: OpenCV ends after {self._next} of {self._count} frames without saying why; the stream is "
            "damaged or of a kind that it does not know. Try CONFIG.DATA.DECODER 'auto'."
        )

    def close(self) -> None:
        self._capture.release()
