"""Class-balanced orders, and several clips of each video."""

import numpy as np
import pytest

from vidrec.data.samplers import ClassBalancedSampler, SampleKey, TrainSampler, shared_out
from vidrec.utils.errors import DataError

LABELS = np.array([0] * 60 + [1] * 20 + [2] * 10 + [7] * 10)


def balanced(**changes):
    return ClassBalancedSampler(100, 4, labels=LABELS, **{"seed": 5} | changes)


def test_every_class_is_drawn_equally_often_and_its_videos_too():
    drawn = LABELS[balanced().order(0)]
    assert np.bincount(drawn)[[0, 1, 2, 7]].tolist() == [25, 25, 25, 25]
    times = np.bincount(balanced().order(0), minlength=100)
    assert set(times[:60]) == {0, 1} and set(times[60:80]) == {1, 2} and set(times[80:]) == {2, 3}


def test_what_does_not_divide_goes_to_other_classes_in_other_epochs():
    counts = [
        tuple(np.bincount(LABELS[:98][ClassBalancedSampler(98, 4, labels=LABELS[:98]).order(epoch)])[[0, 1, 2, 7]]) for epoch in range(20)
    ]
    assert {sum(count) for count in counts} == {98} and {value for count in counts for value in count} == {24, 25}
    assert len(set(counts)) > 1


def test_square_roots_of_the_counts_as_weights():
    roots = np.sqrt([60, 20, 10, 10])
    drawn = np.bincount(LABELS[balanced(weights="sqrt").order(0)])[[0, 1, 2, 7]]
    assert np.abs(drawn - 100 * roots / roots.sum()).max() < 1 and drawn.sum() == 100


def test_the_balanced_order_depends_on_seed_and_epoch_only():
    orders = {tuple(balanced(seed=seed).order(epoch)) for seed in (0, 1) for epoch in (0, 1) for _ in range(2)}
    assert len(orders) == 4

    def rank_keys(rank, world_size):
        sampler = ClassBalancedSampler(100, 4 // world_size, labels=LABELS, rank=rank, world_size=world_size, seed=5)
        sampler.set_epoch(3)
        sampler.skip_batches(2)
        return list(sampler.batches())

    one, two = rank_keys(0, 1), [rank_keys(rank, 2) for rank in range(2)]
    assert len(one) == 23 and one[0][0].position == 8
    assert [first + second for first, second in zip(*two, strict=True)] == one


def test_all_videos_of_a_frequent_class_are_seen_in_the_course_of_epochs():
    seen = set(np.concatenate([balanced().order(epoch) for epoch in range(12)]).tolist())
    assert len(seen) >= 99


@pytest.mark.parametrize(
    ("total", "weights", "parts"), [(10, [1, 1, 2], {(3, 2, 5), (2, 3, 5)}), (8, [1, 1], {(4, 4)}), (1, [1, 3], {(0, 1)})]
)
def test_a_total_is_shared_out_by_weight(total, weights, parts):
    found = {tuple(shared_out(total, np.array(weights, float), np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert found == parts


def test_clips_of_one_video_stand_beside_each_other_and_count_in_the_batch():
    sampler = TrainSampler(7, 4, clips_per_video=2, seed=1)
    order = sampler.order(0)
    batches = list(sampler.batches())
    assert (len(sampler), sampler.num_batches, len(batches)) == (12, 3, 3)
    assert batches[1] == [SampleKey(0, position, int(order[position]), repeat) for position in (2, 3) for repeat in (0, 1)]
    second = TrainSampler(7, 2, clips_per_video=2, rank=1, world_size=2, seed=1)
    assert next(second.batches()) == batches[0][2:]
    with pytest.raises(DataError, match=r"BATCH_SIZE 4 of 2 clips a video \(CLIPS_PER_VIDEO\) in 4 processes takes 8 for one step"):
        TrainSampler(7, 4, clips_per_video=2, world_size=4)
    with pytest.raises(ValueError, match=r"batch_size is 4 clips and clips_per_video 3; both must be at least 1, and the first a multiple"):
        TrainSampler(7, 4, clips_per_video=3)
    for batch_size, clips in ((0, 1), (-2, 1), (4, 0)):
        with pytest.raises(ValueError, match=f"batch_size is {batch_size} clips and clips_per_video {clips}; both must be at least 1"):
            TrainSampler(12, batch_size, clips_per_video=clips)
