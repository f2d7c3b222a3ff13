"""For benchmark_data: how many clips a second loader processes give, and what moving batches out of them costs."""

import statistics
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any

from vidrec.commands.benchmark_views import cpu_seconds

if TYPE_CHECKING:
    from vidrec.data.datasets import ClipBatch
    from vidrec.data.samplers import SampleKey

BATCH = 4  # clips
COUNTED_BATCHES = 6  # for each loader process; the rate is taken from these, after as many batches as there are processes
PAGE = 4096  # bytes


class RoundSampler:
    """The videos of a list in turn, each time at a position of its own, so that short lists give as many batches as are wanted."""

    def __init__(self, num_videos: int, num_batches: int):
        self.num_videos, self.num_batches, self.max_batches = num_videos, num_batches, num_batches

    def batches(self) -> "Iterator[list[SampleKey]]":
        for batch in range(self.num_batches):
            yield keys_of(batch, self.num_videos)


def keys_of(batch: int, num_videos: int) -> "list[SampleKey]":
    """The keys of a batch of BATCH clips."""
    from vidrec.data.samplers import SampleKey

    return [SampleKey(0, position, position % num_videos) for position in range(batch * BATCH, (batch + 1) * BATCH)]


def worker_counts(cores: int) -> list[int]:
    """Numbers of loader processes to measure with. Example: 12 cores -> [0, 1, 2, 4, 8, 12]"""
    return [0, *sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})]


def clips_per_second(dataset: Any, num_workers: int, repeats: int = 1) -> float:
    """Training clips that arrive per second of wall time, once every loader process has given its first batch; median of the runs."""
    return statistics.median(_clips_per_second(dataset, num_workers) for _ in range(repeats))


def time_moving(dataset: Any, batch: int) -> tuple[float, float]:
    """CPU seconds of moving a batch out of a loader process, and of preparing it and moving it."""
    from vidrec.data.datasets import collate_clips

    batches: list[ClipBatch] = []
    prepared = cpu_seconds(lambda: batches.append(collate_clips(dataset.__getitems__(keys_of(batch, len(dataset))))))
    moved = cpu_seconds(lambda: move(batches))
    return moved, prepared + moved


def move(batches: "list[ClipBatch]") -> "ClipBatch":
    """Takes the last batch off the list and returns it as it arrives in another process.

    Both ends are in this process, joined by a pipe as a DataLoader's are: the clips are copied into shared memory, the rest is pickled,
    and all is opened again. Then the clips are touched once in every page, since the first touch has its price too.
    """
    receiver, sender = Pipe(duplex=False)
    with receiver, sender:
        sender.send(batches.pop())  # nothing else may hold it: torch would give back the memory that this process has open
        arrived = receiver.recv()
    arrived.clips.view(-1)[::PAGE].sum()
    return arrived


def _clips_per_second(dataset: Any, num_workers: int) -> float:
    from vidrec.data.loaders import make_loader

    first = max(num_workers, 1)
    sampler = RoundSampler(len(dataset), first * (1 + COUNTED_BATCHES))
    started = 0.0
    for arrived, _ in enumerate(make_loader(dataset, sampler, batch_size=BATCH, num_workers=num_workers), start=1):
        if arrived == first:
            started = time.perf_counter()
    return BATCH * (sampler.num_batches - first) / (time.perf_counter() - started)
