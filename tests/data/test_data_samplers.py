"""Order of samples: by (seed, epoch) alone."""

import pytest

from vidrec.data.samplers import EvalSampler, SampleKey, TrainSampler
from vidrec.utils.errors import DataError


def global_batches(world_size: int, *, total: int = 8, epoch: int = 3, skip: int = 0) -> list[list[SampleKey]]:
    """The global batches of 37 videos, gathered from all ranks."""
    ranks = []
    for rank in range(world_size):
        sampler = TrainSampler(37, total // world_size, rank=rank, world_size=world_size, seed=5)
        sampler.set_epoch(epoch)
        sampler.skip_batches(skip)
        keys = list(sampler)
        ranks.append([keys[first : first + total // world_size] for first in range(0, len(keys), total // world_size)])
    return [[key for batch in batches for key in batch] for batches in zip(*ranks, strict=True)]


def test_global_batches_are_the_same_for_any_number_of_processes():
    expected = global_batches(1)
    assert [key.position for batch in expected for key in batch] == list(range(32))
    assert len({key.index for batch in expected for key in batch}) == 32
    assert global_batches(2) == expected
    assert global_batches(4) == expected


def test_skipping_gives_the_rest_of_the_epoch():
    assert global_batches(2, skip=3) == global_batches(1)[3:]
    assert global_batches(2, skip=4) == []
    sampler = TrainSampler(10, 2)
    sampler.skip_batches(4)
    assert (len(sampler), sampler.num_batches, [key.position for key in sampler]) == (10, 5, [8, 9])
    sampler.set_epoch(1)
    assert len(list(sampler)) == 10
    with pytest.raises(ValueError, match=r"count is 6; it must lie in \[0, 5\]"):
        sampler.skip_batches(6)


def test_order_changes_with_epoch_and_seed():
    def order(seed: int, epoch: int) -> list[int]:
        sampler = TrainSampler(20, 4, seed=seed)
        sampler.set_epoch(epoch)
        return [key.index for key in sampler]

    assert order(0, 0) == order(0, 0)
    assert sorted(order(0, 0)) == sorted(order(0, 1)) == list(range(20))
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_fewer_videos_than_a_global_batch_are_refused():
    with pytest.raises(DataError, match=r"has 7 videos, but CONFIG.TRAIN.BATCH_SIZE 4 in 2 processes takes 8 for one step"):
        TrainSampler(7, 4, rank=0, world_size=2)


@pytest.mark.parametrize(("count", "world_size"), [(5, 1), (5, 2), (5, 4), (2, 4), (8, 4)])
def test_evaluation_takes_every_video_exactly_once(count, world_size):
    parts = [list(EvalSampler(count, rank, world_size)) for rank in range(world_size)]
    assert sorted(index for part in parts for index in part) == list(range(count))
    assert [len(EvalSampler(count, rank, world_size)) for rank in range(world_size)] == [len(part) for part in parts]
