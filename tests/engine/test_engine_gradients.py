"""Clipping of gradients."""

import pytest
import torch
from torch import nn

from vidrec.engine.gradients import GradientClip


def parameters(*gradients: list[float] | None) -> list[nn.Parameter]:
    made = [nn.Parameter(torch.zeros(len(gradient or [0.0]))) for gradient in gradients]
    for parameter, gradient in zip(made, gradients, strict=True):
        parameter.grad = None if gradient is None else torch.tensor(gradient)
    return made


@pytest.mark.parametrize(
    ("clip", "gradients", "norm", "expected"),
    [
        (GradientClip(), [[3.0], [-4.0]], 5.0, [[3.0], [-4.0]]),
        (GradientClip(max_norm=1.0), [[3.0], [-4.0]], 5.0, [[0.6], [-0.8]]),
        (GradientClip(max_norm=10.0), [[3.0], [-4.0]], 5.0, [[3.0], [-4.0]]),
        (GradientClip(max_value=3.5), [[3.0], [-4.0]], 5.0, [[3.0], [-3.5]]),
    ],
)
def test_clipping_returns_the_norm_before_it(clip, gradients, norm, expected):
    trained = parameters(*gradients)
    assert clip.apply(trained).item() == pytest.approx(norm)
    for parameter, values in zip(trained, expected, strict=True):
        assert parameter.grad.tolist() == pytest.approx(values, rel=1e-5)


def test_without_clipping_gradients_stay_bit_for_bit():
    trained = parameters([0.1, 1e-30, 3.3])
    before = trained[0].grad.clone()
    GradientClip().apply(trained)
    assert torch.equal(trained[0].grad, before)


def test_parameters_without_gradient_do_not_count():
    trained = parameters([3.0], None, [4.0])
    assert GradientClip(max_norm=1.0).apply(trained).item() == 5.0
    assert trained[1].grad is None
