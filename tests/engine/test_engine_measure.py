"""What is counted and timed of a step."""

import time

import pytest
import torch
from test_engine_stepper import make_batch, make_stepper
from torch import nn

from vidrec.engine.measure import (
    PeakMemory,
    SectionClock,
    held_bytes,
    inference_flops,
    product_flops_per_s,
    training_flops,
)

CPU = torch.device("cpu")


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 1)
        self.fc = nn.Linear(4, 5)

    def forward(self, clips):
        return self.fc(self.conv(clips).mean((2, 3, 4)))


def test_operations_of_a_clip_count_each_multiply_add_twice_and_no_gradient_of_the_pixels():
    """A convolution of 32 points with 3 x 4 weights, 768; a linear layer of 4 x 5, 40; then the gradients: 768 of weights, 2 x 40."""
    assert inference_flops(Small(), (3, 2, 4, 4)) == 808
    assert training_flops(Small(), (3, 2, 4, 4)) == 808 + 768 + 80


def test_frozen_layers_cost_no_gradient():
    model = Small()
    model.conv.requires_grad_(False)
    assert training_flops(model, (3, 2, 4, 4)) == 808 + 40


def test_counting_leaves_the_network_as_it_was():
    model = make_stepper().model
    training_flops(model, (3, 4, 8, 8))
    assert int(model.stem[1].num_batches_tracked) == 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_parts_of_a_step_are_timed_and_the_stepper_is_left_as_it_was():
    stepper = make_stepper()
    stepper.model.fc.register_forward_hook(lambda *_: time.sleep(0.05))
    with SectionClock(stepper) as clock:
        started = time.perf_counter()
        stepper.step([make_batch(0)], epoch=0, step=0)
        whole = time.perf_counter() - started
    assert set(clock.seconds) == {"copy", "forward", "backward", "optimizer"}
    assert 0.05 <= clock.seconds["forward"] <= sum(clock.seconds.values()) <= whole
    assert not {"inputs", "forward", "backward", "update"} & set(vars(stepper))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_product_of_matrices_gives_the_speed_of_the_device(precision):
    assert 1e7 < product_flops_per_s(CPU, precision, size=64) < 1e14


@pytest.mark.skipif(not PeakMemory(CPU).read(), reason="this system does not tell the peak of a process's memory")
def test_peak_of_memory_is_that_since_the_reset():
    peak = PeakMemory(CPU)
    peak.reset()
    before = peak.read()
    torch.ones(50 * 2**20)  # 200 MiB, freed at once
    after = peak.read()
    assert 190 * 2**20 < after - before < 260 * 2**20
    peak.reset()
    assert peak.read() < before + 50 * 2**20


def test_held_bytes_are_weights_statistics_gradients_and_momentum():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    weights, statistics = (3 * 2 + 2 + 2 + 2) * 4, (2 + 2) * 4 + 8
    assert held_bytes(model, optimizer) == weights + statistics
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    assert held_bytes(model, optimizer) == 3 * weights + statistics
