"""Which part of a frame enters the network, and how a test video is cut into views: pure geometry (numpy only)."""

from typing import NamedTuple

import numpy as np


class ViewGrid(NamedTuple):
    """The views of one video. View v is clip v // num_crops and crop v % num_crops.

    Args:
        positions: [V, T] int64, place of each frame in the video's unique frames.
        boxes: [V, 4] int64, y0, y1, x0, x1 in the resized frame, the ends not included; all of one size.
        flips: [V] bool, True for a view that is mirrored left to right once it is cut; None: none is.
        seconds: [V, 2] float64, when the first frame of a view begins and the last one ends, as `clip_seconds` says; None: unknown.
    """

    positions: np.ndarray
    boxes: np.ndarray
    flips: np.ndarray | None = None
    seconds: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of views (a NamedTuple's own length would be 2)."""
        return self.positions.shape[0]


class TrainCrop(NamedTuple):
    """A training crop in pixels of the SOURCE frame, the ends not included, and whether it is mirrored left to right."""

    y0: int
    y1: int
    x0: int
    x1: int
    flip: bool


def resize_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) after the short side is brought to `short_side`, the long one truncated to whole pixels.

    Example: 240 x 320 to 256 -> (256, 341)
    """
    if height < width:
        return short_side, int(short_side * width / height)
    return int(short_side * height / width), short_side


def resized_size(height: int, width: int, *, short_side: int, squeeze_to: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) of a frame when its crops are cut.

    Args:
        squeeze_to: (height, width) that every frame is first brought to, its aspect distorted; None keeps the aspect. Only the sizes
            go through this step: the frame is resized once, straight to the result.
    """
    return resize_size(*(squeeze_to or (height, width)), short_side)


def crop_boxes(height: int, width: int, *, crop_size: int, num_crops: int) -> np.ndarray:
    """Square test crops, sliding along the long side from one end to the other; centered across it.

    Args:
        height, width: of the resized frame, pixels.
        num_crops: 1 is the center.

    Returns:
        [num_crops, 4] int64: y0, y1, x0, x1, the ends not included.

    Example: 256 x 340, crop 256, 3 crops -> [[0, 256, 0, 256], [0, 256, 42, 298], [0, 256, 84, 340]]
    """
    if crop_size > min(height, width):
        raise ValueError(f"crop_size is {crop_size}; it must be at most the short side of the frame, {min(height, width)}.")
    room = max(height, width) - crop_size
    # round() goes to the even neighbour, as the reference's center crop does
    along = [round(room / 2)] if num_crops == 1 else [int(crop * room / (num_crops - 1)) for crop in range(num_crops)]
    across = round((min(height, width) - crop_size) / 2)
    starts = [(start, across) if height >= width else (across, start) for start in along]
    return np.array([(y, y + crop_size, x, x + crop_size) for y, x in starts], dtype=np.int64)


def frame_order(clips: np.ndarray) -> np.ndarray:
    """The frames of clips [K, T], each once, [N], in an order in which every evenly spaced clip is a slice.

    Frames are sorted by their remainder by the clips' stride, then by number: so no frame stands between two neighbors of a clip, also
    where some clips begin at even and some at odd frames.

    Example: clips [[0, 2, 4], [3, 5, 7]] -> [0, 2, 4, 3, 5, 7]
    """
    unique = np.unique(clips)
    stride = int(clips[0, 1] - clips[0, 0]) if clips.shape[1] > 1 else 1
    return unique[np.argsort(unique % stride, kind="stable")] if stride > 1 else unique


def make_views(
    frames: np.ndarray, boxes: np.ndarray, flips: np.ndarray | None = None, seconds: np.ndarray | None = None
) -> tuple[np.ndarray, ViewGrid]:
    """The frames to decode, each once, and the views cut from them.

    Args:
        frames: [K, T] frame indices of the clips.
        boxes: [C, 4] crops of every clip.
        flips: [C] bool, which of them are mirrored; None: none.
        seconds: [K, 2] when each clip begins and ends; None: unknown.

    Returns:
        Unique frame indices [N], in their `frame_order`, and the grid of K * C views.

    Example: clips [[0, 2], [2, 4]] and 1 crop -> frames [0, 2, 4], positions [[0, 1], [1, 2]]
    """
    unique = frame_order(frames)
    rising = np.argsort(unique)
    positions = rising[np.searchsorted(unique, frames, sorter=rising)].astype(np.int64)
    grid = ViewGrid(
        positions=np.repeat(positions, len(boxes), axis=0),
        boxes=np.tile(boxes, (len(frames), 1)),
        flips=None if flips is None or not flips.any() else np.tile(flips, len(frames)),
        seconds=None if seconds is None else np.repeat(seconds, len(boxes), axis=0),
    )
    return unique, grid


def train_crop(
    height: int,
    width: int,
    *,
    short_side: int,
    scale_range: tuple[float, float],
    crop_size: int,
    flip_prob: float,
    squeeze_to: tuple[int, int] | None,
    rng: np.random.Generator,
) -> TrainCrop:
    """A random square crop of the frame resized to a random scale, given in source pixels.

    The short side is short_side times a factor drawn from scale_range. Cutting the source first and resizing only the cut gives the
    same geometry as resizing the frame and then cutting, but for the ends of the cut, which move to whole source pixels: by at most
    half a pixel of the source.

    Args:
        height, width: of the source frame, pixels.
        crop_size: side of the crop after the resize, pixels, at most short_side * scale_range[0].
        flip_prob: probability of mirroring left to right.
        squeeze_to: as in `resized_size`.

    Example: 120 x 160, short side 60, factor 1, crop 60 at x offset 10 -> y 0 to 120, x 20 to 140
    """
    side = round(short_side * rng.uniform(*scale_range))
    resized = resized_size(height, width, short_side=side, squeeze_to=squeeze_to)
    if crop_size > min(resized):
        raise ValueError(f"crop_size is {crop_size}; it must be at most the short side of the resized frame, {min(resized)}.")
    top = int(rng.integers(resized[0] - crop_size, endpoint=True))
    left = int(rng.integers(resized[1] - crop_size, endpoint=True))
    flip = bool(rng.random() < flip_prob)
    y0, y1 = source_span(top, crop_size, resized[0], height)
    x0, x1 = source_span(left, crop_size, resized[1], width)
    return TrainCrop(y0, y1, x0, x1, flip)


def source_span(start: int, length: int, resized: int, source: int) -> tuple[int, int]:
    """[start, start + length) of a side of `resized` pixels, in whole pixels of the same side of `source`; never empty."""
    first = min(round(start * source / resized), source - 1)
    return first, max(round((start + length) * source / resized), first + 1)
