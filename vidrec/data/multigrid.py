"""Multigrid training (Wu et al., CVPR 2020, arXiv 1912.00998): which shape a batch has, by epoch and step alone (pure).

A batch of smaller clips holds as many more of them, so that every step costs about the same, and an epoch takes fewer steps.
  - Long cycle: 8B x T/4 x H/sqrt2, 4B x T/2 x H/sqrt2, 2B x T/2 x H, B x T x H, each for some epochs; the last is always the full one.
    The learning rate follows its batch (linear scaling, Goyal et al., arXiv 1706.02677).
  - Short cycle: from step to step the sides are 1/2, 1/sqrt2 and 1 of the long cycle's, with 4, 2 and 1 times its clips. The learning
    rate does not follow this one: the paper found that harmful.
A clip of T/2 frames is every second frame of the full clip, so that it spans the same time.
"""

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple


class ClipShape(NamedTuple):
    """What a clip of a batch looks like.

    Args:
        frame_step: every frame_step-th frame of the full clip enters.
        short_side: of the resized frame before the random factor, pixels; as much larger than the crop as in the full shape.
        crop_size: side of the square crop, pixels.
    """

    frame_step: int
    short_side: int
    crop_size: int


class GridStep(NamedTuple):
    """One place in the cycles: the shape of the clips, and how many times the full shape's batch there are."""

    shape: ClipShape
    batch_scale: int


LONG_CYCLE = ((4, 1), (2, 1), (2, 0), (1, 0))  # (frame step, halvings of the area), from the coarsest to the full shape
SHORT_CYCLE = (2, 1, 0)  # further halvings of the area


@dataclass(frozen=True)
class Multigrid:
    """The cycles of a run.

    Args:
        crop_size, short_side: of the full shape, pixels.
        long_epochs: epochs at which the next shape of the long cycle begins, rising; None for no long cycle. Counted from the end, so
            that the last stage has the full shape: 3 epochs give the paper's 4 shapes once, 7 give them twice.
        short_cycle: whether the shape changes from step to step too.

    Example: crop 224, long_epochs (10, 20, 30), short cycle -> epoch 0 has crops of 64, 96, 160, 64 ... with 32, 16, 8 times the clips
    """

    crop_size: int
    short_side: int
    long_epochs: tuple[int, ...] | None = None
    short_cycle: bool = False

    def cycle(self, epoch: int) -> tuple[GridStep, ...]:
        """The shapes that the steps of an epoch go through, again and again: 3 with the short cycle, else 1."""
        frame_step, halvings = self._stage(epoch)
        return tuple(self._grid_step(frame_step, halvings + more) for more in (SHORT_CYCLE if self.short_cycle else (0,)))

    def lr_scale(self, epoch: int) -> int:
        """What the learning rate of an epoch is multiplied by: the batch of the long cycle over the full shape's."""
        frame_step, halvings = self._stage(epoch)
        return frame_step * 2**halvings

    def stages(self, num_epochs: int) -> list[tuple[int, int]]:
        """First and last epoch of each shape of the long cycle, from 0. Example: long_epochs (2, 3) of 5 -> (0, 1), (2, 2), (3, 4)"""
        firsts = [0, *(epoch for epoch in self.long_epochs or () if epoch < num_epochs)]
        return list(zip(firsts, [*(first - 1 for first in firsts[1:]), num_epochs - 1], strict=True))

    def _stage(self, epoch: int) -> tuple[int, int]:
        if self.long_epochs is None:
            return LONG_CYCLE[-1]
        passed = sum(epoch >= first for first in self.long_epochs)
        return LONG_CYCLE[(passed - len(self.long_epochs) - 1) % len(LONG_CYCLE)]

    def _grid_step(self, frame_step: int, halvings: int) -> GridStep:
        crop = grid_size(self.crop_size, halvings)
        return GridStep(ClipShape(frame_step, round(self.short_side * crop / self.crop_size), crop), frame_step * 2**halvings)


def size_unit(crop_size: int) -> int:
    """What the sides of all crops are multiples of: 32 pixels, 16 for the networks with crops of 112."""
    return 32 if crop_size >= 160 else 16


def grid_size(crop_size: int, halvings: int) -> int:
    """Side of a square crop with 1/2**halvings of the area, rounded to a multiple of `size_unit`; a half is rounded down.

    Example: 224 -> 224, 160, 96, 64 for 0, 1, 2, 3 halvings (unrounded 224, 158.4, 112, 79.2); 112 -> 112, 80, 48, 32
    """
    if halvings == 0:
        return crop_size
    unit = size_unit(crop_size)
    side = crop_size / 2 ** (halvings // 2) / (2**0.5 if halvings % 2 else 1)
    return max(ceil(side / unit - 0.5), 1) * unit
