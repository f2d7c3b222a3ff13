"""What all readers share: frames by number, each decoded once, brought to the size that is wanted while they are decoded."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidrec.data.decoders.reading import Guard, ReadOptions, Size
from vidrec.data.opencv import import_cv2
from vidrec.utils.errors import VideoError

if TYPE_CHECKING:
    from torch import Tensor

PIECE_FRAMES = 16  # asked of a native decoder at a time; the limit of time is looked at between pieces


class NumberedReader:
    """A reader whose subclass decodes rising, unique frame numbers in `_read`, and knows their count.

    Args:
        path: absolute path of a local file.
        reading: limits and names.
        size: (height, width) of an upright frame -> those in which it is wanted; None: as it is. Frames are resized one by one as
            they leave the decoder, which saves a copy of the clip at full size; the pixels are those of cv2.INTER_LINEAR.
    """

    fps = 0.0

    def __init__(self, path: str, reading: ReadOptions, size: Size | None):
        self._path, self._size = path, size
        self._guard = Guard(path, reading)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get_frames(self, indices: "Sequence[int] | np.ndarray | Tensor") -> "Tensor":
        """[N] frame numbers in any order -> [N, H, W, 3] uint8 RGB; each frame is decoded once, however often it is asked for.

        Calls with rising numbers go on where the last one stopped, so that a long list can be read in pieces.
        """
        wanted = frame_indices(indices, len(self), self._path)
        unique, inverse = np.unique(wanted, return_inverse=True)
        with self._guard.running():
            frames = torch.from_numpy(self._read(unique))
        return frames if np.array_equal(wanted, unique) else frames[torch.from_numpy(inverse)]

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        """Rising frame numbers [N] -> [N, H, W, 3] uint8, of the size wanted."""
        raise NotImplementedError

    def _stack(self, images: Iterable[np.ndarray], count: int) -> np.ndarray:
        """`count` images [H, W, 3] uint8 -> [count, h, w, 3] of the size wanted. Raises VideoError where they differ in size."""
        stacked = np.empty((0, 0, 0, 3), dtype=np.uint8)
        shape: tuple[int, ...] = ()
        for slot, image in enumerate(images):
            if slot == 0:
                shape = image.shape
                height, width = self._size(*shape[:2]) if self._size else shape[:2]
                self._guard.check_pixels(height, width, "resized would have")  # a strip of 16 x 4000 grows a lot
                stacked = np.empty((count, height, width, 3), dtype=np.uint8)
            elif image.shape != shape:
                sizes = " and ".join(f"{width}x{height}" for height, width, _ in (shape, image.shape))
                raise VideoError(f"{self._path} cannot be read: its frames have several sizes, {sizes}; one is wanted. Encode it again.")
            _fit(image, stacked[slot])
        return stacked

    def _read_pieces(self, decode: Callable[[np.ndarray], np.ndarray], numbers: np.ndarray) -> np.ndarray:
        """As `_read`, from a decoder that gives several frames at once: `decode` takes [n] and returns [n, H, W, 3]."""
        pieces = []
        for start in range(0, len(numbers), PIECE_FRAMES):
            self._guard.check_time()
            piece = decode(numbers[start : start + PIECE_FRAMES])
            pieces.append(piece if self._size is None else self._stack(piece, len(piece)))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces or [np.empty((0, 0, 0, 3), np.uint8)])

    def close(self) -> None:
        """Gives the file back."""
        raise NotImplementedError

    def __enter__(self) -> "NumberedReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def frame_indices(indices: "Sequence[int] | np.ndarray | Tensor", num_frames: int, path: str) -> np.ndarray:
    """`indices` as an int64 array, checked to lie in [0, num_frames). Raises IndexError."""
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    outside = wanted[(wanted < 0) | (wanted >= num_frames)]
    if outside.size:
        raise IndexError(f"frame {outside[0]} of {path} does not exist; it has {num_frames} frames, 0 to {num_frames - 1}.")
    return wanted


def _fit(image: np.ndarray, target: np.ndarray) -> None:
    """Writes an image [H, W, 3] into `target` [h, w, 3], resized where the two differ."""
    if image.shape == target.shape:
        target[:] = image
        return
    cv2 = import_cv2()
    cv2.resize(np.ascontiguousarray(image), target.shape[1::-1], dst=target, interpolation=cv2.INTER_LINEAR)
