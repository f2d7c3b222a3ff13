"""How the frames of a reader differ from a sequential decode with PyAV: the truth about a file, by definition."""

from typing import NamedTuple

import av
import numpy as np

from vidrec.data.decoders.av_open import av_open
from vidrec.data.decoders.base import open_video
from vidrec.utils.errors import VideoError

TOLERANCE = 2.0  # mean absolute difference of a frame that conversions of color explain, of 255


class Comparison(NamedTuple):
    """What a reader makes of a file. `verdict` is one of equal, refused, count, shape and pixels."""

    verdict: str
    detail: str  # in words


def sequential_frames(path: str) -> list[np.ndarray] | None:
    """All frames [H, W, 3] uint8 as PyAV shows them from start to end, turned upright; None where it cannot decode the file."""
    try:
        with av_open(f"file:{path}") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            return [np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)) for frame in container.decode(stream)]
    except (av.error.FFmpegError, IndexError):
        return None


def compare(path: str, decoder: str, truth: list[np.ndarray] | None, *, seed: int = 0) -> Comparison:
    """Reads a file at random places, backwards, and in order, and compares every frame with the truth.

    Args:
        truth: of `sequential_frames`; None: the reader is to refuse the file.
        seed: of the random places.

    Returns:
        equal: count, shapes and pixels (mean absolute difference of each frame at most TOLERANCE of 255) are the same;
        refused: a VideoError, with its text; count, shape or pixels: what differs first.
    """
    try:
        with open_video(path, decoder) as reader:
            if truth is None:
                reader.get_frames(range(len(reader)))
                return Comparison("count", f"gives {len(reader)} frames of a file that cannot be decoded")
            if len(reader) != len(truth):
                return Comparison("count", f"{len(reader)} frames, not {len(truth)}")
            places = np.random.default_rng(seed).integers(len(truth), size=4)
            orders = [places, np.array([len(truth) - 1, 0]), *np.array_split(np.arange(len(truth)), -(-len(truth) // 16))]
            differences = (_difference(reader.get_frames(order).numpy(), truth, order) for order in orders)
            return next((found for found in differences if found), Comparison("equal", ""))
    except VideoError as error:
        return Comparison("refused", str(error).removeprefix(f"{path} cannot be read: "))


def _difference(frames: np.ndarray, truth: list[np.ndarray], numbers: np.ndarray) -> Comparison | None:
    for number, frame in zip(numbers, frames, strict=True):
        expected = truth[number]
        if frame.shape != expected.shape:
            shapes = ["x".join(map(str, shape)) for shape in (frame.shape, expected.shape)]
            return Comparison("shape", f"frame {number} is {shapes[0]}, not {shapes[1]}")
        difference = float(np.abs(frame.astype(np.int16) - expected).mean())
        if difference > TOLERANCE:
            return Comparison("pixels", f"frame {number} differs by {difference:.1f} of 255")
    return None
