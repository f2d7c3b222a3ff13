"""The BatchNorm switches and frozen stages of every family: what is trained and what is updated."""

import pytest
import torch
from models_narrow import FAMILIES, PLAIN, clip_shape, narrow, norm_parameters, one_step, updated_statistics
from torch import nn

from vidrec.models.layers.norm import Affine, apply_norm_switches, batch_norms, fold_statistics
from vidrec.utils.errors import ConfigError

# The two widest networks take seconds; their 2-D twins have the same layers.
EVERY = [pytest.param(family, marks=[pytest.mark.slow] if family.startswith("I3DInception") else []) for family in FAMILIES]


@pytest.mark.parametrize("family", EVERY)
def test_without_switches_everything_trains(family):
    model = narrow(family)
    moved = one_step(model)
    # Behind a zero BatchNorm weight only the BatchNorm itself moves in the first step.
    still = {name for name, _ in model.named_parameters() if name not in moved}
    assert still == {name for name, _ in model.named_parameters() if ".after." in name and ".norm." not in name}
    assert updated_statistics(model) == set(batch_norms(model))


@pytest.mark.parametrize("family", EVERY)
def test_bn_eval_trains_the_affine_part_and_keeps_the_statistics(family):
    model = narrow(family, bn_eval=True)
    assert norm_parameters(model) <= one_step(model)
    assert updated_statistics(model) == set()
    assert all(not norm.training for norm in batch_norms(model.train()).values())


@pytest.mark.parametrize("family", EVERY)
def test_bn_frozen_keeps_the_affine_part_and_updates_the_statistics(family):
    model = narrow(family, bn_frozen=True)
    moved = one_step(model)
    assert moved and not moved & norm_parameters(model)
    assert updated_statistics(model) == set(batch_norms(model))


@pytest.mark.parametrize(
    ("family", "first"),
    [
        ("2-D", "stem"),
        ("I3D", "stem"),
        ("SlowFast", "slow.stem"),
        ("P3D", "stem"),
        ("R2Plus1D", "stem.0"),
        ("IRCSN", "stem"),
        ("TPN", "stem"),
        ("InceptionV1", "stem.0"),
        ("InceptionV3", "stem.0"),
        pytest.param("I3DInceptionV1", "stem.0", marks=pytest.mark.slow),
        pytest.param("I3DInceptionV3", "stem.0", marks=pytest.mark.slow),
    ],
)
def test_partial_bn_trains_the_first_norm_only(family, first):
    model, first = narrow(family, partial_bn=True), f"backbone.{first}.norm"
    moved = one_step(model)
    assert moved & norm_parameters(model) == {f"{first}.weight", f"{first}.bias"}
    assert updated_statistics(model) == {first}
    assert moved - norm_parameters(model) >= {name for name, _ in model.named_parameters() if name.endswith("conv.weight")}
    assert model.head.training


@pytest.mark.parametrize("family", EVERY)
def test_held_norms_stay_in_eval_mode_whatever_is_switched(family):
    model = narrow(family, bn_eval=True)
    model.eval().train()
    wrapped = nn.ModuleDict({"inner": model}).train()
    assert all(not norm.training for norm in batch_norms(wrapped).values())
    assert model.training


@pytest.mark.parametrize("family", EVERY)
def test_use_affine_gives_the_output_of_batch_norm_in_eval_mode(family):
    model = narrow(family)
    clips = torch.randn(clip_shape(model))
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


@pytest.mark.parametrize("family", [*EVERY, *PLAIN])
@pytest.mark.parametrize("frozen_stages", [0, 1])
def test_frozen_stages_move_neither_weights_nor_statistics_and_the_rest_does(family, frozen_stages):
    model = narrow(family, frozen_stages=frozen_stages)
    parts = model.backbone.parts()
    frozen = {id(tensor) for part in parts[: frozen_stages + 1] for module in part for tensor in module.parameters()}
    still = {name for name, parameter in model.named_parameters() if id(parameter) in frozen}
    # Behind a zero BatchNorm weight only the BatchNorm itself moves in the first step.
    still |= {name for name, _ in model.named_parameters() if ".after." in name and ".norm." not in name}
    moved = one_step(model)
    assert still == {name for name, _ in model.named_parameters()} - moved
    kept = {name for name, norm in batch_norms(model).items() if id(norm.weight) in frozen}
    assert updated_statistics(model) == set(batch_norms(model)) - kept
    assert len(frozen) > 0 and len(moved) > 0


def test_parts_of_a_backbone_are_all_of_it():
    for family in FAMILIES | PLAIN:
        backbone = narrow(family).backbone
        inside = {id(tensor) for part in backbone.parts() for module in part for tensor in module.parameters()}
        assert inside == {id(tensor) for tensor in backbone.parameters()}, family


def test_more_frozen_stages_than_there_are_is_a_mistake():
    for wrong in (3, -2):
        what = rf"CONFIG\.MODEL\.FROZEN_STAGES is {wrong}; this network has 3 parts, .* Give -1 for none, 0 for the first part, up to 2\."
        with pytest.raises(ConfigError, match=what):
            narrow("I3D", frozen_stages=wrong)


@pytest.mark.parametrize("family", PLAIN)
@pytest.mark.parametrize("switch", ["bn_eval", "partial_bn", "bn_frozen", "use_affine"])
def test_batch_norm_switch_of_a_network_without_batch_norm_is_a_mistake(family, switch):
    with pytest.raises(ConfigError, match=rf"CONFIG\.MODEL\.{switch.upper()} is True; this network has no BatchNorm .* Set it False"):
        narrow(family, **{switch: True})


def test_fold_statistics_by_hand():
    scale, bias = fold_statistics(*(torch.tensor([value]) for value in (2.0, 1.0, 3.0, 4.0)), eps=0.0)
    assert (scale.tolist(), bias.tolist()) == ([1.0], [-2.0])
