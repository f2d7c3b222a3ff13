"""Which square windows of a test frame are seen, by the scheme of a published project: pure geometry (numpy only)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vidrec.data.views import crop_boxes


class Crops(NamedTuple):
    """The crops of one frame.

    Args:
        boxes: [C, 4] int64, y0, y1, x0, x1 in the resized frame, the ends not included.
        flips: [C] bool, True for a crop that is mirrored left to right.
    """

    boxes: np.ndarray
    flips: np.ndarray


def make_crops(scheme: str, height: int, width: int, *, crop_size: int, num_crops: int) -> Crops:
    """The test crops of a resized frame.

    Args:
        scheme: slides: any number, along the long side from one end to the other. uniform: 1 (center) or 3 (left, center, right, or
            top to bottom), the center rounded up. corners: 1 (center), 3 (left, right, center), 5 (top left, top right, bottom left,
            bottom right, center) or 10 (the five, then the same mirrored). steps: as corners, but the right one of 3 is two whole
            steps of half the room away and may miss the last pixel.
        crop_size: side, pixels, at most the short side.

    Raises:
        ValueError: a crop larger than the frame, or a number of crops that the scheme does not have.

    Example: 256 x 455, crop 256, 3 crops: x from 0, 99, 199 (slides), 0, 100, 199 (uniform), 0, 199, 99 (corners), 0, 198, 99 (steps)
    """
    if scheme == "slides":
        boxes = crop_boxes(height, width, crop_size=crop_size, num_crops=num_crops)
        return Crops(boxes, np.zeros(len(boxes), dtype=bool))
    if crop_size > min(height, width):
        raise ValueError(f"crop_size is {crop_size}; it must be at most the short side of the frame, {min(height, width)}.")
    counts, corners = SCHEMES[scheme]
    if num_crops not in counts:
        raise ValueError(f"num_crops is {num_crops}; {scheme} has {', '.join(map(str, counts))}.")
    starts = corners(height - crop_size, width - crop_size, min(num_crops, 5))
    boxes = np.array([(y, y + crop_size, x, x + crop_size) for y, x in starts], dtype=np.int64)
    if num_crops == 10:
        return Crops(np.tile(boxes, (2, 1)), np.repeat([False, True], len(boxes)))
    return Crops(boxes, np.zeros(len(boxes), dtype=bool))


def center_crop(scheme: str, num_crops: int) -> int:
    """The index of the crop in the middle, not mirrored; of an even number of slides, the one before it. Example: corners, 5 -> 4"""
    if scheme in ("slides", "uniform"):
        return (num_crops - 1) // 2
    return min(num_crops, 5) - 1


Starts = list[tuple[int, int]]


def _uniform(y_room: int, x_room: int, num_crops: int) -> Starts:
    center = (-(-y_room // 2), -(-x_room // 2))
    return [center] if num_crops == 1 else _along(y_room, x_room, center, ends=(0, center, 1))


def _corners(y_room: int, x_room: int, num_crops: int) -> Starts:
    center = (y_room // 2, x_room // 2)
    if num_crops == 5:
        return [(0, 0), (0, x_room), (y_room, 0), (y_room, x_room), center]
    return [center] if num_crops == 1 else _along(y_room, x_room, center, ends=(0, 1, center))


def _steps(y_room: int, x_room: int, num_crops: int) -> Starts:
    if num_crops == 3:
        return _corners(y_room // 2 * 2, x_room // 2 * 2, 3)
    return _corners(y_room, x_room, num_crops)


def _along(y_room: int, x_room: int, center: tuple[int, int], *, ends: tuple) -> Starts:
    """Crops at the ends (0 and 1) of the long side, and the center, in the order of `ends`."""
    if y_room > x_room:
        return [center if end is center else (end * y_room, center[1]) for end in ends]
    return [center if end is center else (center[0], end * x_room) for end in ends]


SCHEMES: dict[str, tuple[tuple[int, ...], Callable[[int, int, int], Starts]]] = {
    "uniform": ((1, 3), _uniform),
    "corners": ((1, 3, 5, 10), _corners),
    "steps": ((1, 3, 5, 10), _steps),
}
