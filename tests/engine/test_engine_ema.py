"""The average of the weights."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from vidrec.engine.ema import WeightAverage


def scalar(value: float) -> nn.Module:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def averages(values: list[float], **options) -> list[float]:
    model = scalar(7.0)
    average, found = WeightAverage(model, **options), []
    for value in values:
        nn.init.constant_(model.weight, value)
        average.update(model)
        found.append(average.model.weight.item())
    return found


def test_table_of_averages_without_warm_up():
    """1; 0.5 * 1 + 0.5 * 2 = 1.5; 0.5 * 1.5 + 0.5 * 4 = 2.75; the start, 7, is not in it."""
    assert averages([1.0, 2.0, 4.0], decay=0.5, warmup=False) == pytest.approx([1.0, 1.5, 2.75])


def test_table_of_averages_with_warm_up():
    """The second update decays by 2/11: 2/11 + 2 * 9/11 = 20/11; the third by 3/12: 5/11 + 4 * 3/4."""
    assert averages([1.0, 2.0, 4.0], decay=0.5) == pytest.approx([1.0, 20 / 11, 5 / 11 + 3.0])


@pytest.mark.parametrize(("updates", "expected"), [(0, 0.1), (1, 2 / 11), (2, 0.25), (889, 890 / 899), (890, 0.99), (5000, 0.99)])
def test_decay_of_an_update(updates, expected):
    average = WeightAverage(scalar(1.0), decay=0.99)
    average.num_updates = updates
    assert average.current_decay() == pytest.approx(expected, rel=1e-12)


def test_statistics_are_averaged_and_counts_are_copied():
    model = nn.BatchNorm3d(1)
    average = WeightAverage(model, decay=0.5, warmup=False)
    for mean, count in [(1.0, 5), (3.0, 8)]:
        model.running_mean.fill_(mean)
        model.num_batches_tracked.fill_(count)
        average.update(model)
    assert average.model.running_mean.item() == 2.0
    assert average.model.num_batches_tracked.item() == 8


def test_average_is_not_trained_and_leaves_the_network_alone():
    model = scalar(1.0)
    average = WeightAverage(model, decay=0.9)
    average.update(model)
    nn.init.constant_(model.weight, 5.0)
    assert average.model.weight.item() == 1.0
    assert not average.model.weight.requires_grad and model.weight.requires_grad


def test_state_goes_on_bit_for_bit():
    torch.manual_seed(0)
    steps = [nn.Sequential(nn.Conv3d(3, 2, 1), nn.BatchNorm3d(2)) for _ in range(6)]
    whole, first = (WeightAverage(steps[0], decay=0.9) for _ in range(2))
    for step in steps:
        whole.update(step)
    for step in steps[:3]:
        first.update(step)
    resumed = WeightAverage(steps[5], decay=0.9)
    resumed.load_state_dict(deepcopy(first.state_dict()))
    for step in steps[3:]:
        resumed.update(step)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True))
    assert resumed.num_updates == 6
