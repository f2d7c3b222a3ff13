"""Shapes and sizes of multigrid batches."""

import json
from pathlib import Path

import pytest

from vidrec.data.multigrid import Multigrid, grid_size
from vidrec.data.samplers import TrainSampler
from vidrec.utils.errors import DataError

PAPER = Multigrid(224, 256, long_epochs=(10, 20, 30), short_cycle=True)


@pytest.mark.parametrize(
    ("crop", "sizes"), [(224, [224, 160, 96, 64]), (112, [112, 80, 48, 32]), (256, [256, 192, 128, 96]), (64, [64, 48, 32, 16])]
)
def test_sizes_are_multiples_of_32_or_of_16_for_the_112_networks(crop, sizes):
    assert [grid_size(crop, halvings) for halvings in range(4)] == sizes


@pytest.mark.parametrize(
    ("epoch", "frame_step", "crops", "short_sides", "scales", "lr_scale"),
    [
        (0, 4, [64, 96, 160], [73, 110, 183], [32, 16, 8], 8),
        (10, 2, [64, 96, 160], [73, 110, 183], [16, 8, 4], 4),
        (29, 2, [96, 160, 224], [110, 183, 256], [8, 4, 2], 2),
        (30, 1, [96, 160, 224], [110, 183, 256], [4, 2, 1], 1),
    ],
)
def test_both_cycles_of_the_paper(epoch, frame_step, crops, short_sides, scales, lr_scale):
    steps = PAPER.cycle(epoch)
    assert [step.shape for step in steps] == list(zip([frame_step] * 3, short_sides, crops, strict=True))
    assert [step.batch_scale for step in steps] == scales
    assert PAPER.lr_scale(epoch) == lr_scale


def test_each_cycle_alone():
    long = Multigrid(112, 128, long_epochs=(1, 2, 3))
    assert [long.cycle(epoch) for epoch in range(5)] == [
        (((4, 91, 80), 8),),
        (((2, 91, 80), 4),),
        (((2, 128, 112), 2),),
        (((1, 128, 112), 1),),
        (((1, 128, 112), 1),),
    ]
    short = Multigrid(112, 128, short_cycle=True)
    assert short.cycle(0) == short.cycle(99) == (((1, 55, 48), 4), ((1, 91, 80), 2), ((1, 128, 112), 1))
    assert (short.lr_scale(0), short.stages(9)) == (1, [(0, 8)])


def test_the_long_cycle_ends_with_the_full_shape_whatever_its_number_of_stages():
    for count in (1, 2, 3, 4, 7):
        grid = Multigrid(224, 256, long_epochs=tuple(range(1, count + 1)))
        assert [grid.lr_scale(epoch) for epoch in range(count + 1)] == [8, 4, 2, 1, 8, 4, 2, 1][-count - 1 :]
    assert PAPER.stages(40) == [(0, 9), (10, 19), (20, 29), (30, 39)]


def test_clips_and_batches_are_those_of_the_reference_where_it_is_right(shared):
    """Its crops are no multiples of 32, and its smallest shape has 8 times the batch instead of 16."""
    reference = Multigrid(224, 256, long_epochs=(1, 2), short_cycle=True)
    for row in json.loads((Path(shared) / "golden" / "data_semantics.json").read_text())["multigrid"]["table"]:
        step = reference.cycle(row["alpha"])[row["beta"]]
        assert 32 // step.shape.frame_step == row["frames"]["32"]
        assert abs(step.shape.crop_size - row["crop_224"]) <= 16 and step.shape.crop_size % 32 == 0
        if (row["alpha"], row["beta"]) != (0, 0):
            assert step.batch_scale == row["batch_multiplier"]
    assert reference.cycle(0)[0].batch_scale == 16


@pytest.mark.parametrize(
    ("count", "epoch", "steps"), [(1000, 1, 53), (997, 1, 52), (64, 1, 3), (1000, 2, 106), (997, 2, 106), (64, 2, 6), (1000, 0, 26)]
)
def test_an_epoch_has_as_many_steps_as_the_list_fills(count, epoch, steps):
    """As many as the reference's own sampler gives, but for epoch 0, where its smallest clips are half as many as they should be."""
    sampler = TrainSampler(count, 4, multigrid=Multigrid(224, 256, long_epochs=(1, 2), short_cycle=True), seed=1)
    sampler.set_epoch(epoch)
    batches = list(sampler.batches())
    assert len(batches) == sampler.num_batches == sampler.steps_of(epoch) == steps
    assert sum(map(len, batches)) == len(sampler) == len(list(sampler))
    largest = [step.batch_scale * 4 for step in sampler.multigrid.cycle(epoch)]
    assert [len(batch) for batch in batches[:3]] == largest[: len(batches)]
    positions = [key.position for batch in batches for key in batch]
    assert positions == list(range(len(positions)))
    assert count - len(positions) < largest[len(batches) % 3]


def test_global_batches_do_not_depend_on_the_number_of_processes_and_a_resumed_epoch_goes_on():
    def global_batches(world_size, skip=0):
        ranks = []
        for rank in range(world_size):
            sampler = TrainSampler(300, 8 // world_size, multigrid=PAPER, rank=rank, world_size=world_size, seed=3)
            sampler.set_epoch(20)
            sampler.skip_batches(skip)
            ranks.append(list(sampler.batches()))
        return [[key for part in parts for key in part] for parts in zip(*ranks, strict=True)]

    expected = global_batches(1)
    assert [len(batch) for batch in expected] == [64, 32, 16, 64, 32, 16, 64]
    assert [batch[0].shape.crop_size for batch in expected] == [96, 160, 224, 96, 160, 224, 96]
    assert global_batches(2) == expected and global_batches(4) == expected
    assert all(global_batches(2, skip) == expected[skip:] for skip in range(8))


def test_a_list_shorter_than_the_largest_batch_is_refused():
    message = r"has 255 videos, but CONFIG.TRAIN.BATCH_SIZE 4 times 32, the largest batch of multigrid training, in 2 processes takes 256"
    with pytest.raises(DataError, match=message):
        TrainSampler(255, 4, multigrid=PAPER, world_size=2)
    assert TrainSampler(256, 4, multigrid=PAPER, world_size=2).num_batches == 1
