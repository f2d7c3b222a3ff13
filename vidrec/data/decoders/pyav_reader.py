"""PyAV: exact frames of every file that FFmpeg can decode; its wheel brings its own FFmpeg."""

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from torch import Tensor

from vidrec.data.decoders.base import frame_indices
from vidrec.data.decoders.pyav_frames import make_frames
from vidrec.data.decoders.pyav_source import Source, damaged
from vidrec.utils.errors import VideoError


class PyAVReader:
    """Frames by number as a sequential decode of the whole file numbers them, read from the nearest key frame where that is exact.

    Args:
        path: absolute path of a local file.
        container: the same file already opened by `open_container`; the reader closes it.

    Raises:
        VideoError: no video stream, no frames, or damaged; names the path and the reason.
    """

    def __init__(self, path: str, container: av.container.InputContainer | None = None):
        self._path = path
        self._source = Source(path, container)
        self._reformatter = VideoReformatter()  # one for all frames: it keeps the conversion set up between them
        try:
            self.fps = float(self._source.stream.average_rate or self._source.stream.guessed_rate or 0)
            self._frames = make_frames(self._source)
            if len(self._frames) == 0:
                raise VideoError(f"{path} cannot be read: it has no frame to show; at least 1 is needed. Encode or fetch it again.")
        except av.error.FFmpegError as error:
            self.close()
            raise damaged(path, error) from error
        except VideoError:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._frames)

    def frame_times(self) -> np.ndarray | None:
        """[N] seconds at which each frame is shown, as the file says; None where it does not say so for every frame."""
        pts = self._frames.pts
        return None if pts is None else pts * float(self._source.stream.time_base)

    def get_frames(self, indices) -> Tensor:
        """[N] frame numbers -> [N, H, W, 3] uint8 RGB; each frame is decoded once, however often it is asked for.

        Calls with rising numbers go on where the last one stopped, so that a long list can be read in pieces.
        """
        wanted = frame_indices(indices, len(self), self._path)
        unique, inverse = np.unique(wanted, return_inverse=True)
        try:
            frames = torch.from_numpy(self._read(unique))
        except av.error.FFmpegError as error:
            raise damaged(self._path, error) from error
        return frames if np.array_equal(wanted, unique) else frames[torch.from_numpy(inverse)]

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        """Rising frame numbers [N] -> [N, H, W, 3] uint8."""
        images = np.empty((0, 0, 0, 3), dtype=np.uint8)
        for slot, number in enumerate(numbers):
            image = self._image(self._frames.frame(int(number)))
            if slot == 0:
                images = np.empty((len(numbers), *image.shape), dtype=np.uint8)
            elif image.shape != images.shape[1:]:
                sizes = " and ".join(f"{shape[1]}x{shape[0]}" for shape in (images.shape[1:], image.shape))
                raise VideoError(f"{self._path} cannot be read: its frames have several sizes, {sizes}; one is wanted. Encode it again.")
            images[slot] = image
        return images

    def _image(self, frame: av.VideoFrame) -> np.ndarray:
        """A decoded frame as RGB, turned as the display matrix says. The default of av, a thread pool per frame, is slower."""
        image = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        quarter_turns = round(frame.rotation / 90) % 4
        return np.rot90(image, quarter_turns) if quarter_turns else image

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> "PyAVReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
