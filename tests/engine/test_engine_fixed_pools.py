"""Max pooling in two steps gives what it gives in one."""

import pytest
import torch
from torch import nn

from vidrec.engine.fixed_pools import FixedMaxPool3d, fix_pools

POOLS = [
    {"kernel_size": (1, 3, 3), "stride": (2, 2, 2), "padding": (0, 1, 1)},  # after the stem of I3D
    {"kernel_size": (2, 1, 1)},  # between its stages
    {"kernel_size": 2},  # of C3D
    {"kernel_size": 3, "stride": 1, "padding": 1},  # of Inception
    {"kernel_size": (3, 3, 3), "stride": (2, 2, 2), "ceil_mode": True},
    {"kernel_size": 1, "stride": (2, 1, 1)},
]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_values_and_gradients_are_those_of_max_pooling(pool, memory_format):
    plain, network = nn.MaxPool3d(**pool), nn.Sequential(nn.MaxPool3d(**pool))
    fix_pools(network)
    assert isinstance(network[0], FixedMaxPool3d)
    order = torch.randperm(2 * 3 * 6 * 7 * 8, generator=torch.Generator().manual_seed(0))  # no two are equal
    values = order.float().reshape(2, 3, 6, 7, 8)
    found = []
    for module in (plain, network):
        x = values.contiguous(memory_format=memory_format).requires_grad_()
        y = module(x)
        y.backward(torch.arange(y.numel(), dtype=torch.float32).reshape(y.shape))
        found.append((y.detach(), x.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_dilated_pools_are_left_alone():
    network = nn.Sequential(nn.MaxPool3d(2, dilation=2))
    fix_pools(network)
    assert type(network[0]) is nn.MaxPool3d
