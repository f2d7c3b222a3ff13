"""LARS against its formula."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from vidrec.engine.lars import LARS, local_rate


@pytest.mark.parametrize(
    ("weights", "gradient", "weight_decay", "expected"),
    [
        ([3.0, 4.0], [0.0, 5.0], 0.0, 0.1),  # 0.1 * 5 / 5
        ([3.0, 4.0], [6.0, 8.0], 0.0, 0.05),  # 0.1 * 5 / 10
        ([3.0, 4.0], [6.0, 8.0], 0.5, 0.04),  # 0.1 * 5 / (10 + 0.5 * 5)
        ([0.0, 0.0], [6.0, 8.0], 0.5, 1.0),
        ([3.0, 4.0], [0.0, 0.0], 0.5, 1.0),
    ],
)
def test_local_rate(weights, gradient, weight_decay, expected):
    found = local_rate(torch.tensor(weights), torch.tensor(gradient), weight_decay=weight_decay, trust=0.1)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def parameter(*values: float, gradient: list[float]) -> nn.Parameter:
    made = nn.Parameter(torch.tensor(values))
    made.grad = torch.tensor(gradient)
    return made


def test_two_steps_by_hand():
    """lr 1, momentum 0.5, trust 0.1; the norm of [3, 3.5] is 4.60977, its local rate 0.0921954, v 0.25 + 0.460977."""
    weights = parameter(3.0, 4.0, gradient=[0.0, 5.0])
    optimizer = LARS([weights], lr=1.0, momentum=0.5, trust=0.1)
    optimizer.step()
    assert weights.tolist() == pytest.approx([3.0, 3.5])
    optimizer.step()
    assert weights.tolist() == pytest.approx([3.0, 2.789023], rel=1e-6)
    assert weights.grad.tolist() == [0.0, 5.0], "the gradient is left alone"


def test_weight_decay_is_part_of_the_step_and_of_the_local_rate():
    """local 0.1 * 5 / (10 + 0.5 * 5) = 0.04; w - 2 * 0.04 * (g + 0.5 * w) = [3 - 0.08 * 7.5, 4 - 0.08 * 10]."""
    weights = parameter(3.0, 4.0, gradient=[6.0, 8.0])
    LARS([weights], lr=2.0, weight_decay=0.5, trust=0.1).step()
    assert weights.tolist() == pytest.approx([2.4, 3.2])


def test_group_that_is_not_adapted_takes_plain_steps_of_sgd():
    ours, theirs = parameter(3.0, 4.0, gradient=[6.0, 8.0]), parameter(3.0, 4.0, gradient=[6.0, 8.0])
    lars = LARS([{"params": [ours], "adapt": False}], lr=0.1, momentum=0.9, weight_decay=0.01)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        lars.step()
        sgd.step()
    assert torch.allclose(ours, theirs, rtol=1e-6)


def test_parameter_without_gradient_stays():
    weights = nn.Parameter(torch.ones(2))
    optimizer = LARS([weights], lr=1.0, weight_decay=0.1)
    optimizer.step()
    assert weights.tolist() == [1.0, 1.0] and not optimizer.state


def test_state_goes_on_where_it_was_saved():
    first = parameter(3.0, 4.0, gradient=[0.0, 5.0])
    whole = LARS([first], lr=1.0, momentum=0.5, trust=0.1)
    whole.step()
    second = parameter(*first.tolist(), gradient=[0.0, 5.0])
    resumed = LARS([second], lr=7.0)
    resumed.load_state_dict(deepcopy(whole.state_dict()))
    whole.step()
    resumed.step()
    assert first.tolist() == second.tolist()
