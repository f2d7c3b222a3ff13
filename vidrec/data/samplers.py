"""Which video comes next: by (seed, epoch, position) alone, so that processes, workers and resumption change nothing."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from vidrec.utils.errors import DataError


class SampleKey(NamedTuple):
    """What a training sample depends on, beside the seed."""

    epoch: int
    position: int  # place in the epoch's order over all processes
    index: int  # row of the table


class TrainSampler(Sampler[SampleKey]):
    """One permutation of the list per (seed, epoch), dealt out by global batch.

    Global batch g is the positions [g * B * W, (g + 1) * B * W); rank r takes B of them from g * B * W + r * B. So a global batch holds
    the same samples whatever W is, as long as B * W is the same. The incomplete last global batch is dropped.

    Args:
        num_samples: rows of the list.
        batch_size: B, samples per process and step.
        rank, world_size: of this process; W processes in all.

    Raises:
        DataError: fewer videos than one global batch.

    Example: 7 videos, B 2, W 1 -> positions 0 1 | 2 3 | 4 5; W 3 -> rank 1 gets positions 2 3
    """

    def __init__(self, num_samples: int, batch_size: int, *, rank: int = 0, world_size: int = 1, seed: int = 0):
        if num_samples < batch_size * world_size:
            raise DataError(
                f"The training list has {num_samples} videos, but CONFIG.TRAIN.BATCH_SIZE {batch_size} in {world_size} processes takes "
                f"{batch_size * world_size} for one step; there must be so many. Lower CONFIG.TRAIN.BATCH_SIZE or the number of processes."
            )
        self.num_samples, self.batch_size, self.rank, self.world_size, self.seed = num_samples, batch_size, rank, world_size, seed
        self.num_batches = num_samples // (batch_size * world_size)  # steps of an epoch
        self._epoch = 0
        self._skipped = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass, from its first batch."""
        self._epoch, self._skipped = epoch, 0

    def skip_batches(self, count: int) -> None:
        """Lets the passes of this epoch begin after its first `count` batches, as a resumed run needs; `set_epoch` undoes it."""
        if not 0 <= count <= self.num_batches:
            raise ValueError(f"count is {count}; it must lie in [0, {self.num_batches}], the batches of an epoch.")
        self._skipped = count

    def __len__(self) -> int:
        """Samples of this process in a whole epoch, skipped ones included; the same for all processes."""
        return self.num_batches * self.batch_size

    def __iter__(self) -> Iterator[SampleKey]:
        epoch = self._epoch
        order = np.random.default_rng(np.random.SeedSequence((self.seed, epoch))).permutation(self.num_samples)
        for batch in range(self._skipped, self.num_batches):
            first = (batch * self.world_size + self.rank) * self.batch_size
            for position in range(first, first + self.batch_size):
                yield SampleKey(epoch, position, int(order[position]))


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
