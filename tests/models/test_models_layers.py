"""Layers: sizes, starts and the non-local formula."""

import pytest
import torch
from models_narrow import narrow
from torch import nn

from vidrec.models.layers.conv import ConvNorm, make_conv, shortest_input
from vidrec.models.layers.nonlocal_block import NonLocal
from vidrec.models.layers.residual import BLOCK_KINDS, make_stage, plan_resnet
from vidrec.utils.errors import ConfigError


@pytest.mark.parametrize(
    ("steps", "length"),
    [([], 1), ([(3, 1, 1)], 1), ([(5, 2, 2), (1, 2, 0), (2, 2, 0)], 5), ([(2, 2, 0), (2, 2, 0)], 4), ([(7, 1, 0)], 7)],
)
def test_shortest_input_leaves_one_step(steps, length):
    assert shortest_input(steps) == length


def test_conv_keeps_the_size_at_stride_1_and_takes_its_dimensions_from_the_kernel():
    conv = make_conv(2, 4, kernel=(5, 1, 3))
    assert isinstance(conv, nn.Conv3d)
    assert conv.padding == (2, 0, 1)
    assert conv(torch.zeros(1, 2, 6, 7, 8)).shape == (1, 4, 6, 7, 8)
    assert isinstance(make_conv(2, 4, kernel=(3, 3), stride=(2, 2)), nn.Conv2d)


def test_stage_strides_and_projects_in_its_first_block_only():
    stage = make_stage(16, 8, kind=BLOCK_KINDS["bottleneck"], blocks=3, stride=(1, 2, 2), temporal_kernels=(3, 1))
    assert stage(torch.zeros(1, 16, 4, 8, 8)).shape == (1, 32, 4, 4, 4)
    assert [type(block.shortcut) for block in stage] == [ConvNorm, nn.Identity, nn.Identity]
    assert [block.convs[0].kernel_size for block in stage] == [(3, 1, 1), (1, 1, 1), (3, 1, 1)]
    assert [block.convs[1].stride for block in stage] == [(1, 2, 2), (1, 1, 1), (1, 1, 1)]


def test_basic_block_without_change_of_size_has_no_projection():
    stage = make_stage(8, 8, kind=BLOCK_KINDS["basic"], blocks=1, stride=(1, 1))
    assert isinstance(stage[0].shortcut, nn.Identity)
    assert [conv.kernel_size for conv in stage[0].convs] == [(3, 3), (3, 3)]


@pytest.mark.parametrize(
    ("arguments", "depth", "blocks", "expansion"),
    [
        ((18,), 18, (2, 2, 2, 2), 1),
        ((152,), 152, (3, 8, 36, 3), 4),
        ((18, (3, 4, 6, 3), "bottleneck"), 50, (3, 4, 6, 3), 4),
        ((50, (1, 1)), None, (1, 1), 4),
        ((50, (), "basic"), 34, (3, 4, 6, 3), 1),
        ((20, (1, 1), "basic"), None, (1, 1), 1),
    ],
)
def test_depth_is_a_plan_that_blocks_may_replace(arguments, depth, blocks, expansion):
    plan = plan_resnet(*arguments)
    assert (plan.depth, plan.stage_blocks, plan.kind.expansion) == (depth, blocks, expansion)


def test_unknown_depth_is_a_mistake():
    with pytest.raises(ConfigError, match=r"DEPTH is 51; it must be one of 18, 34, 50, 101, 152\. Give STAGE_BLOCKS and BLOCK"):
        plan_resnet(51)
    with pytest.raises(ConfigError, match=r"STAGE_BLOCKS is \[2, 0\]; every stage must have 1 to 1000 blocks"):
        plan_resnet(50, (2, 0))


def test_nonlocal_block_starts_as_the_identity():
    block, x = NonLocal(8), torch.randn(2, 8, 2, 3, 3)
    assert torch.equal(block.train()(x), x)
    assert (block.norm.weight.abs().max().item(), block.norm.bias.abs().max().item()) == (0.0, 0.0)
    assert block.g.weight.std().item() < 0.02
    assert block.g.bias.abs().max().item() == 0.0


def test_nonlocal_block_is_the_published_formula():
    torch.manual_seed(0)
    block, x = NonLocal(4).eval(), torch.randn(2, 4, 2, 3, 2)
    nn.init.ones_(block.norm.weight)
    theta, phi, g = (conv(x).flatten(2) for conv in (block.theta, block.phi, block.g))  # [B, E, N]
    attention = torch.softmax(theta.transpose(1, 2) @ phi * 2**-0.5, dim=-1)  # rows: positions of theta
    y = (g @ attention.transpose(1, 2)).reshape(2, 2, 2, 3, 2)
    torch.testing.assert_close(block(x), block.norm(block.out(y)) + x)


def test_fresh_weights_follow_the_published_starts():
    i3d, slowfast = narrow("I3D"), narrow("SlowFast")
    stem = i3d.backbone.stem.conv.weight
    assert stem.std().item() == pytest.approx((2 / (8 * 5 * 49)) ** 0.5, rel=0.05)  # Kaiming normal, fan out
    assert i3d.head.fc.weight.std().item() == pytest.approx(0.01, rel=0.3)
    assert i3d.head.fc.bias.abs().max().item() == 0.0
    assert slowfast.head.fc.weight.abs().max().item() <= slowfast.head.fc.in_features**-0.5  # PyTorch's uniform start
    assert slowfast.head.fc.weight.std().item() == pytest.approx((slowfast.head.fc.in_features * 3) ** -0.5, rel=0.2)
