"""Training crops beside the jittered square of `views.train_crop`: pure geometry (numpy only)."""

import math

import numpy as np

from vidrec.data.views import TrainCrop, source_span

TRIES = 10  # draws of a box that may not fit, before the largest centered one is taken


def resized_crop(
    height: int,
    width: int,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
    flip_prob: float,
    squeeze_to: tuple[int, int] | None,
    rng: np.random.Generator,
) -> TrainCrop:
    """A box of random area and aspect, which is then resized to a square (Szegedy et al., CVPR 2015, "Inception crop").

    Args:
        height, width: of the source frame, pixels.
        area: share of the frame that the box covers, drawn evenly from this range.
        aspect: width over height of the box, drawn evenly in its logarithm.
        flip_prob: probability of mirroring left to right.
        squeeze_to: (height, width) that the frame is brought to first; area and aspect hold there. None keeps the frame.

    Returns:
        The box in source pixels. Where TRIES draws do not fit, the largest centered box of an allowed aspect.

    Example: 100 x 100, area 0.25, aspect 1 -> a box of 50 x 50 anywhere
    """
    frame = squeeze_to or (height, width)
    box = _drawn_box(frame, area=area, aspect=aspect, rng=rng) or _centered_box(frame, aspect)
    return _source_crop(box, frame, source=(height, width), flip=bool(rng.random() < flip_prob))


def corner_crop(
    height: int,
    width: int,
    *,
    scales: tuple[float, ...],
    max_distort: int,
    flip_prob: float,
    squeeze_to: tuple[int, int] | None,
    rng: np.random.Generator,
) -> TrainCrop:
    """One of the four corners or the center, in one of several sizes (Wang et al., ECCV 2016, TSN: corner crop and scale jitter).

    Args:
        height, width: of the source frame, pixels.
        scales: sides of the box over the short side of the frame, falling, at most 1. The paper's 256, 224, 192, 168 of 256 pixels are
            1, 0.875, 0.75, 0.66.
        max_distort: height and width of a box are at most so many places apart in `scales`; 0 gives squares.
        flip_prob, squeeze_to: as in `resized_crop`.

    Example: 240 x 320, scales (1, 0.5), max_distort 0 -> 240 x 240 or 120 x 120, at a corner or in the center
    """
    frame = squeeze_to or (height, width)
    pairs = [(down, across) for down in range(len(scales)) for across in range(len(scales)) if abs(down - across) <= max_distort]
    down, across = pairs[rng.integers(len(pairs))]
    box_height, box_width = (max(round(scales[place] * min(frame)), 1) for place in (down, across))
    room = frame[0] - box_height, frame[1] - box_width
    y, x = [(0, 0), (0, room[1]), (room[0], 0), room, (room[0] // 2, room[1] // 2)][rng.integers(5)]
    return _source_crop((y, x, box_height, box_width), frame, source=(height, width), flip=bool(rng.random() < flip_prob))


def _drawn_box(
    frame: tuple[int, int], *, area: tuple[float, float], aspect: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int] | None:
    """y, x, height, width of a box inside the frame; None where no draw fits."""
    for _ in range(TRIES):
        pixels = frame[0] * frame[1] * rng.uniform(*area)
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        height, width = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < height <= frame[0] and 0 < width <= frame[1]:
            y, x = (int(rng.integers(room, endpoint=True)) for room in (frame[0] - height, frame[1] - width))
            return y, x, height, width
    return None


def _centered_box(frame: tuple[int, int], aspect: tuple[float, float]) -> tuple[int, int, int, int]:
    """The largest centered box whose aspect lies in the range.

    Example: 100 x 400, aspect up to 4/3 -> y 0, x 133, 100 x 133
    """
    ratio = min(max(frame[1] / frame[0], aspect[0]), aspect[1])
    height, width = min(frame[0], max(round(frame[1] / ratio), 1)), min(frame[1], max(round(frame[0] * ratio), 1))
    return (frame[0] - height) // 2, (frame[1] - width) // 2, height, width


def _source_crop(box: tuple[int, int, int, int], frame: tuple[int, int], *, source: tuple[int, int], flip: bool) -> TrainCrop:
    """A box y, x, height, width of the frame, in whole pixels of the source frame."""
    y, x, height, width = box
    y0, y1 = source_span(y, height, frame[0], source[0])
    x0, x1 = source_span(x, width, frame[1], source[1])
    return TrainCrop(y0, y1, x0, x1, flip)
