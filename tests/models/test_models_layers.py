"""Layers: sizes, starts, the non-local formula and the BatchNorm switches of every family."""

import pytest
import torch
from torch import nn

from vidrec.models.build import assemble
from vidrec.models.layers.conv import ConvNorm, make_conv, shortest_input
from vidrec.models.layers.nonlocal_block import NonLocal
from vidrec.models.layers.norm import Affine, apply_norm_switches, batch_norms, fold_statistics
from vidrec.models.layers.residual import BLOCK_KINDS, make_stage, plan_resnet
from vidrec.utils.errors import ConfigError

NARROW = {"STAGE_BLOCKS": [1, 2], "BLOCK": "bottleneck", "WIDTH": 8}
FAMILIES = {
    "2-D": {"BACKBONE": {"TYPE": "ResNet2D", **NARROW}, "HEAD": {"TYPE": "ConsensusHead"}},
    "I3D": {
        "BACKBONE": {
            "TYPE": "I3DResNet",
            **NARROW,
            "TEMPORAL_KERNELS": [[3], [1, 3]],
            "TEMPORAL_POOLS": [2, 1],
            "NONLOCAL_BLOCKS": [[], [1]],
        },
        "HEAD": {"TYPE": "PoolHead"},
    },
    "SlowFast": {
        "BACKBONE": {
            "TYPE": "SlowFast",
            **NARROW,
            "WIDTH": 16,
            "ALPHA": 4,
            "SLOW_TEMPORAL_KERNELS": [[1], [3]],
            "FAST_TEMPORAL_KERNELS": [[3], [3]],
        },
        "HEAD": {"TYPE": "SlowFastHead"},
    },
}


def narrow(family: str, **switches) -> nn.Module:
    torch.manual_seed(0)
    return assemble(FAMILIES[family], num_classes=3, **switches)


def one_step(model: nn.Module) -> set[str]:
    """Names of the parameters that one step of SGD moves."""
    model.train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1)
    generator = torch.Generator().manual_seed(1)
    loss = nn.functional.cross_entropy(model(torch.randn(2, 3, 8, 32, 32, generator=generator)), torch.tensor([0, 1]))
    loss.backward()
    optimizer.step()
    return {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}


def updated_statistics(model: nn.Module) -> set[str]:
    return {name for name, norm in batch_norms(model).items() if norm.num_batches_tracked.item() == 1}


def norm_parameters(model: nn.Module) -> set[str]:
    return {f"{name}.{leaf}" for name in batch_norms(model) for leaf in ("weight", "bias")}


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
    ],
)
def test_depth_is_a_plan_that_blocks_may_replace(arguments, depth, blocks, expansion):
    plan = plan_resnet(*arguments)
    assert (plan.depth, plan.stage_blocks, plan.kind.expansion) == (depth, blocks, expansion)


def test_unknown_depth_is_a_mistake():
    with pytest.raises(ConfigError, match=r"DEPTH is 51; it must be one of 18, 34, 50, 101, 152\. Give STAGE_BLOCKS"):
        plan_resnet(51)
    with pytest.raises(ConfigError, match=r"STAGE_BLOCKS is \[2, 0\]; every stage must have at least 1 block"):
        plan_resnet(50, (2, 0))


def test_nonlocal_block_starts_as_the_identity():
    block, x = NonLocal(8), torch.randn(2, 8, 2, 3, 3)
    assert torch.equal(block.train()(x), x)
    assert (block.norm.momentum, block.norm.weight.abs().max().item(), block.norm.bias.abs().max().item()) == (0.9, 0.0, 0.0)
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


@pytest.mark.parametrize("family", FAMILIES)
def test_without_switches_everything_trains(family):
    model = narrow(family)
    moved = one_step(model)
    # Behind a zero BatchNorm weight only the BatchNorm itself moves in the first step.
    still = {name for name, _ in model.named_parameters() if name not in moved}
    assert still == {name for name, _ in model.named_parameters() if ".after." in name and ".norm." not in name}
    assert updated_statistics(model) == set(batch_norms(model))


@pytest.mark.parametrize("family", FAMILIES)
def test_bn_eval_trains_the_affine_part_and_keeps_the_statistics(family):
    model = narrow(family, bn_eval=True)
    assert norm_parameters(model) <= one_step(model)
    assert updated_statistics(model) == set()
    assert all(not norm.training for norm in batch_norms(model.train()).values())


@pytest.mark.parametrize("family", FAMILIES)
def test_bn_frozen_keeps_the_affine_part_and_updates_the_statistics(family):
    model = narrow(family, bn_frozen=True)
    moved = one_step(model)
    assert moved and not moved & norm_parameters(model)
    assert updated_statistics(model) == set(batch_norms(model))


@pytest.mark.parametrize(
    ("family", "first"), [("2-D", "backbone.stem.norm"), ("I3D", "backbone.stem.norm"), ("SlowFast", "backbone.slow.stem.norm")]
)
def test_partial_bn_trains_the_first_norm_only(family, first):
    model = narrow(family, partial_bn=True)
    moved = one_step(model)
    assert moved & norm_parameters(model) == {f"{first}.weight", f"{first}.bias"}
    assert updated_statistics(model) == {first}
    assert "backbone.stages.1.0.convs.0.weight" in moved or family == "SlowFast"
    assert model.head.training


@pytest.mark.parametrize("family", FAMILIES)
def test_held_norms_stay_in_eval_mode_whatever_is_switched(family):
    model = narrow(family, bn_eval=True)
    model.eval().train()
    wrapped = nn.ModuleDict({"inner": model}).train()
    assert all(not norm.training for norm in batch_norms(wrapped).values())
    assert model.training


@pytest.mark.parametrize("family", FAMILIES)
def test_use_affine_gives_the_output_of_batch_norm_in_eval_mode(family):
    model, clips = narrow(family), torch.randn(2, 3, 8, 32, 32)
    for norm in batch_norms(model).values():
        nn.init.uniform_(norm.running_mean, -0.1, 0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.uniform_(norm.weight, 0.5, 1.0)
    wanted, count = model.eval()(clips), len(batch_norms(model))
    assert apply_norm_switches(model, use_affine=True) == ()
    affines = [module for module in model.modules() if isinstance(module, Affine)]
    assert (len(affines), len(batch_norms(model))) == (count, 0)
    assert wanted.std() > 0.001
    torch.testing.assert_close(model(clips), wanted, rtol=1e-4, atol=1e-6)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert len(frozen) == 2 * count
    assert not one_step(model) & frozen


def test_fold_statistics_by_hand():
    scale, bias = fold_statistics(*(torch.tensor([value]) for value in (2.0, 1.0, 3.0, 4.0)), eps=0.0)
    assert (scale.tolist(), bias.tolist()) == ([1.0], [-2.0])
