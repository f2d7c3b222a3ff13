"""Costs: by hand for toys, and against the counts of the reference zoo.

golden/costs.json holds numbers measured on the reference's networks; the parameters of TPN are without its auxiliary head, which
never reaches the scores and which our networks do not have.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from vidrec.engine.costs import count_costs
from vidrec.model_zoo import specs
from vidrec.model_zoo.costs import read_costs
from vidrec.models.backbones.base import Backbone
from vidrec.models.build import assemble
from vidrec.models.heads.pool import PoolHead
from vidrec.models.recognizer import Recognizer
from vidrec.utils.errors import UserError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "costs.json").read_text())
TOLERANCE = 1e-3  # our heads' mean is not counted, the reference's adaptive average pool is


class Toy(Backbone):
    """One convolution, its BatchNorm, and whatever a test adds."""

    def __init__(self, padding: int = 1, extra=lambda x: x):
        super().__init__()
        self.stem = nn.Conv3d(3, 4, kernel_size=3, padding=padding, bias=False)
        self.stages = nn.ModuleList([nn.BatchNorm3d(4)])
        self.extra = extra
        self.out_channels = (4,)
        self.min_frames = 2

    def forward(self, clips):
        return [self.extra(self.stages[0](self.stem(clips)))]


def toy(**arguments) -> Recognizer:
    with torch.device("meta"):
        return Recognizer(Toy(**arguments), PoolHead((4,), 5))


def test_convolution_norm_and_classifier_are_counted():
    costs = count_costs(toy(), num_frames=2, size=4)
    elements = 4 * 2 * 4 * 4  # of the feature map
    assert costs.multiply_adds == 3 * 27 * elements + 2 * elements + 4 * 5
    assert costs.parameters == costs.trainable == 3 * 27 * 4 + 2 * 4 + (4 * 5 + 5)
    assert costs.activations == elements + 5
    assert costs.uncounted == {"mean": 1} and costs.missed == []


def test_parts_are_stem_stages_and_head():
    costs = count_costs(toy(), num_frames=2, size=4)
    assert [tuple(part) for part in costs.parts] == [
        ("backbone.stem", 10368, 324, 128),
        ("backbone.stages.0", 256, 8, 0),
        ("head", 20, 25, 5),
    ]


def test_attention_counts_both_of_its_products():
    def attend(x):  # [1, 4, 2, 4, 4] -> 32 positions of 4 channels
        positions = x.flatten(2).transpose(1, 2).unsqueeze(1)
        return (
            nn.functional.scaled_dot_product_attention(positions, positions, positions).squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])
        )

    plain, attending = (count_costs(toy(**more), num_frames=2, size=4) for more in ({}, {"extra": attend}))
    assert attending.multiply_adds - plain.multiply_adds == 2 * 32 * 32 * 4
    assert attending.activations - plain.activations == 32 * 32 + 32 * 4
    assert attending.missed == []
    rest = attending.parts[2]
    assert tuple(rest) == ("backbone (rest)", 8192, 0, 1152)


def test_operator_that_the_count_lacks_is_named():
    costs = count_costs(toy(extra=lambda x: torch.erf(x) + x), num_frames=2, size=4)
    assert costs.uncounted == {"add": 1, "erf": 1, "mean": 1}
    assert costs.missed == ["erf"]


def test_frozen_parameters_are_not_trainable():
    model = toy()
    model.backbone.stem.weight.requires_grad_(False)
    costs = count_costs(model, num_frames=2, size=4)
    assert (costs.parameters, costs.trainable) == (357, 33)


def test_mode_of_the_network_is_left_as_it_was():
    model = toy().train()
    count_costs(model, num_frames=2, size=4)
    assert model.training and model.backbone.stages[0].training


@pytest.mark.parametrize(("num_frames", "size"), [(4, 2), (4, 10**10)])
def test_clip_that_no_layer_can_take_is_named_with_the_network(num_frames, size):
    with pytest.raises(UserError) as caught:
        count_costs(toy(padding=0), num_frames=num_frames, size=size)
    message = str(caught.value)
    assert message.startswith(f"A clip of {num_frames} frames with {size} x {size} pixels does not pass through this Toy + PoolHead (")
    assert "it must leave every layer at least one step in time and space, and be no larger than a tensor can be." in message
    assert message.endswith("Choose another number of frames or another size.")


def test_clip_that_is_too_short_gets_the_networks_own_message():
    with pytest.raises(UserError, match="The clip has 1 frames; this Toy needs at least 2"):
        count_costs(toy(), num_frames=1, size=4)


def counted(name: str, golden: dict):
    with torch.device("meta"):
        model = assemble(specs.row(name, "torch").model, num_classes=golden["num_classes"])
    _, _, num_frames, size, _ = golden["input"]
    return count_costs(model, num_frames=num_frames, size=size)


FEW = ("resnet50_v1b_kinetics400", "i3d_nl5_resnet50_v1_kinetics400", "slowfast_4x16_resnet50_custom", "tpn_resnet101_f8s8_kinetics400")


@pytest.mark.parametrize("name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in GOLDEN["torch"]])
def test_count_of_a_name_is_the_references(name):
    golden = GOLDEN["torch"][name]
    costs = counted(name, golden)
    assert costs.multiply_adds == pytest.approx(golden["multiply_adds"], rel=TOLERANCE)
    assert costs.parameters == golden["parameters"]
    for column in ("multiply_adds", "parameters", "activations"):
        assert sum(getattr(part, column) for part in costs.parts) == getattr(costs, column)


def test_costs_of_the_zoo_are_the_references():
    """costs.json holds what was counted; most `_custom` names have other class counts in the reference's files."""
    ours = read_costs()
    assert list(GOLDEN["torch"]) == sorted(specs.names("torch")) and len(GOLDEN["torch"]) == 46
    for name, golden in GOLDEN["torch"].items():
        row = ours["torch", name]
        assert row.multiply_adds == pytest.approx(golden["multiply_adds"], rel=TOLERANCE), name
        assert [1, 3, row.num_frames, row.crop_size, row.crop_size] == golden["input"], name
        assert row.parameters == golden["parameters"] or row.num_classes != golden["num_classes"], name
    assert {name: ours["mxnet", name].parameters for name in GOLDEN["mxnet"]} == {
        name: golden["parameters"] for name, golden in GOLDEN["mxnet"].items()
    }
