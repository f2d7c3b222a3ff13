"""Which video comes next: by (seed, epoch, position) alone, so that processes, workers and resumption change nothing."""

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
from torch.utils.data import Sampler

from vidrec.data.multigrid import ClipShape, GridStep, Multigrid
from vidrec.registry import hands_on
from vidrec.utils.errors import DataError


class SampleKey(NamedTuple):
    """What a training sample depends on, beside the seed."""

    epoch: int
    position: int  # place of the video in the epoch's order over all processes
    index: int  # row of the table
    repeat: int = 0  # which of the clips of the video at this position
    shape: ClipShape | None = None  # of the clip, where it is not the data set's own


class TrainSampler(Sampler[SampleKey]):
    """One permutation of the list per (seed, epoch), dealt out by global batch.

    Global batch g is the positions [g * V * W, (g + 1) * V * W) for V videos in a process's batch; rank r takes V of them from
    g * V * W + r * V. So a global batch holds the same samples whatever W is, as long as V * W is the same. The incomplete last global
    batch is dropped.

    Args:
        num_samples: rows of the list.
        batch_size: B, clips per process and step.
        clips_per_video: C clips of each video stand beside each other in the batch (Hoffer et al., CVPR 2020); V is B / C, and an epoch
            has C times as many clips as the list has videos.
        multigrid: gives the batches of an epoch different shapes and sizes; B is the smallest.
        rank, world_size: of this process; W processes in all.

    Raises:
        DataError: fewer videos than one global batch.

    Example: 7 videos, B 2, W 1 -> positions 0 1 | 2 3 | 4 5; W 3 -> rank 1 gets positions 2 3
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        clips_per_video: int = 1,
        multigrid: Multigrid | None = None,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
    ):
        if batch_size < 1 or clips_per_video < 1 or batch_size % clips_per_video:
            raise ValueError(
                f"batch_size is {batch_size} clips and clips_per_video {clips_per_video}; both must be at least 1, and the first a "
                "multiple of the second. Change one of the two."
            )
        self.num_samples, self.batch_size, self.clips_per_video = num_samples, batch_size, clips_per_video
        self.multigrid, self.rank, self.world_size, self.seed = multigrid, rank, world_size, seed
        self._epoch = 0
        self._skipped = 0
        self._check_length()

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass, from its first batch."""
        self._epoch, self._skipped = epoch, 0

    def skip_batches(self, count: int) -> None:
        """Lets the passes of this epoch begin after its first `count` batches, as a resumed run needs; `set_epoch` undoes it."""
        if not 0 <= count <= self.num_batches:
            raise ValueError(f"count is {count}; it must lie in [0, {self.num_batches}], the batches of an epoch.")
        self._skipped = count

    @property
    def num_batches(self) -> int:
        """Steps of the chosen epoch, skipped ones included."""
        return self.steps_of(self._epoch)

    @property
    def max_batches(self) -> int:
        """The most steps that an epoch can have: those of batches of the smallest size."""
        return self.num_samples // (self._videos * self.world_size)

    def steps_of(self, epoch: int) -> int:
        """Steps of an epoch: the batches that the list fills, the same for all processes."""
        sizes = [step.batch_scale * self._videos * self.world_size for step in self._cycle(epoch)]
        whole, rest = divmod(self.num_samples, sum(sizes))
        return whole * len(sizes) + sum(total <= rest for total in accumulate(sizes))

    def __len__(self) -> int:
        """Samples of this process in the whole epoch, skipped ones included; the same for all processes."""
        return self._first(self.num_batches) * self.clips_per_video // self.world_size

    def __iter__(self) -> Iterator[SampleKey]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[SampleKey]]:
        """The batches of this process, from the first that is not skipped; clips of one video stand beside each other."""
        epoch, cycle = self._epoch, self._cycle(self._epoch)
        order = self.order(epoch)
        for batch in range(self._skipped, self.num_batches):
            step = cycle[batch % len(cycle)]
            videos = step.batch_scale * self._videos
            first = self._first(batch) + self.rank * videos
            yield [
                SampleKey(epoch, position, int(order[position]), repeat, step.shape)
                for position in range(first, first + videos)
                for repeat in range(self.clips_per_video)
            ]

    def order(self, epoch: int) -> np.ndarray:
        """[num_samples] rows of the table in the order of an epoch."""
        return np.random.default_rng(np.random.SeedSequence((self.seed, epoch))).permutation(self.num_samples)

    @property
    def _videos(self) -> int:
        """Videos in the smallest batch of this process."""
        return self.batch_size // self.clips_per_video

    def _cycle(self, epoch: int) -> tuple[GridStep, ...]:
        return self.multigrid.cycle(epoch) if self.multigrid else (GridStep(None, 1),)

    def _first(self, batch: int) -> int:
        """Position at which a global batch of the chosen epoch begins."""
        scales = [step.batch_scale for step in self._cycle(self._epoch)]
        whole, rest = divmod(batch, len(scales))
        return (whole * sum(scales) + sum(scales[:rest])) * self._videos * self.world_size

    def _check_length(self) -> None:
        starts = (0, *((self.multigrid.long_epochs or ()) if self.multigrid else ()))
        scale = max(step.batch_scale for epoch in starts for step in self._cycle(epoch))
        needed = scale * self._videos * self.world_size
        if self.num_samples >= needed:
            return
        largest = f" times {scale}, the largest batch of multigrid training," if self.multigrid else ""
        clips = f" of {self.clips_per_video} clips a video (CLIPS_PER_VIDEO)" if self.clips_per_video > 1 else ""
        raise DataError(
            f"The training list has {self.num_samples} videos, but CONFIG.TRAIN.BATCH_SIZE {self.batch_size}{clips}{largest} in "
            f"{self.world_size} processes takes {needed} for one step; there must be so many. "
            "Lower CONFIG.TRAIN.BATCH_SIZE or the number of processes."
        )


@hands_on(TrainSampler)
class ClassBalancedSampler(TrainSampler):
    """As many draws as the list has rows, shared out over the classes by weight; all else as in TrainSampler.

    The videos of a class are gone through in a random order, again and again, so that within an epoch none is drawn twice more often
    than another of its class is drawn once: a rare class repeats its videos, a frequent one leaves some out until another epoch.

    Args:
        labels: [num_samples] int64, of the rows of the list.
        weights: `equal`: each class is drawn equally often, but for one draw where the numbers do not divide; `sqrt`: in proportion
            to the square root of its number of videos (Mahajan et al., ECCV 2018).
        num_samples, batch_size, sampler: as in TrainSampler.

    Example: 6 videos of class 0 and 2 of class 1, equal -> 4 draws of each: 4 different videos of class 0, each of class 1 twice
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        labels: np.ndarray,
        weights: Literal["equal", "sqrt"] = "equal",
        **sampler: Any,
    ):
        super().__init__(num_samples, batch_size, **sampler)
        _, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
        self._rows = np.split(np.argsort(classes, kind="stable"), np.cumsum(counts)[:-1])  # of each class that is there
        self._weights = np.ones(len(counts)) if weights == "equal" else np.sqrt(counts)

    def order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, epoch)))
        quotas = shared_out(self.num_samples, self._weights, rng)
        drawn = [_in_rounds(rows, int(quota), rng) for rows, quota in zip(self._rows, quotas, strict=True)]
        return rng.permutation(np.concatenate(drawn))


class EvalSampler(Sampler[int]):
    """Every index exactly once over all processes: rank r takes r, r + W, r + 2W ...; nothing is padded, so ranks may differ by one.

    Example: 5 videos, W 2 -> rank 0: 0 2 4, rank 1: 1 3
    """

    def __init__(self, num_samples: int, rank: int = 0, world_size: int = 1):
        self._indices = range(rank, num_samples, world_size)

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)


def shared_out(total: int, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[K] whole numbers that sum to `total`, in proportion to the weights [K]; what is left over goes to the largest fractions, and
    among equal ones to whom the generator says.

    Example: 10 by weights (1, 1, 2) -> (3, 2, 5) or (2, 3, 5)
    """
    shares = total * weights / weights.sum()
    parts = np.floor(shares + 1e-9).astype(np.int64)
    fractions = np.round(shares - parts, 9)
    by_fraction = np.lexsort((rng.random(len(weights)), -fractions))
    parts[by_fraction[: total - parts.sum()]] += 1
    return parts


def _in_rounds(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the rows: each in every whole round, then some."""
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate([*rounds, rows[:0]])[:count]
