"""Groups of parameters: decay, rates by layer and of the head, and their table."""

import pytest
import torch
from torch import nn, optim

from vidrec.engine.param_groups import group_table, layer_places, make_groups, set_lr
from vidrec.models.build import BACKBONES, assemble

SECTIONS = {"BACKBONE": {"TYPE": "R2Plus1D", "STAGE_BLOCKS": [1, 1], "BLOCK": "basic", "WIDTH": 4}, "HEAD": {"TYPE": "PoolHead"}}
WITH_NECK = {
    "BACKBONE": {"TYPE": "ResNet2D", "STAGE_BLOCKS": [1, 1], "BLOCK": "basic", "WIDTH": 4, "OUT_STAGES": 2},
    "NECK": {"TYPE": "TPN", "TEMPORAL_POOLS": [1, 1], "WIDTH": 4, "GROUPS": 2},
    "HEAD": {"TYPE": "PoolHead"},
}


def test_by_default_there_is_one_group_in_the_order_of_the_network():
    model = assemble(SECTIONS, num_classes=3)
    (group,) = make_groups(model, weight_decay=0.01)
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in model.parameters()]
    assert (group["weight_decay"], group["lr_scale"], group["adapt"]) == (0.01, 1.0, True)


def test_norms_and_biases_are_not_decayed():
    model = nn.Sequential(nn.Conv3d(3, 2, 1), nn.BatchNorm3d(2), nn.Flatten(), nn.Linear(2, 3))
    decayed, plain = make_groups(model, weight_decay=0.01, decay_norm_bias=False)
    assert [id(parameter) for parameter in decayed["params"]] == [id(model[0].weight), id(model[3].weight)]
    assert [tuple(parameter.shape) for parameter in plain["params"]] == [(2,), (2,), (2,), (3,)]
    assert (decayed["weight_decay"], decayed["adapt"], plain["weight_decay"], plain["adapt"]) == (0.01, True, 0.0, False)


def test_rates_fall_from_layer_to_layer_towards_the_input():
    groups = make_groups(assemble(SECTIONS, num_classes=3), weight_decay=0.01, layer_decay=0.5, head_lr_mult=10.0)
    assert [(group["name"], group["lr_scale"]) for group in groups] == [
        ("backbone 0", 0.125),
        ("backbone 1", 0.25),
        ("backbone 2", 0.5),
        ("head", 10.0),
    ]


def test_neck_is_a_layer_of_its_own():
    groups = make_groups(assemble(WITH_NECK, num_classes=3), weight_decay=0.0, layer_decay=0.5)
    assert [(group["name"], group["lr_scale"]) for group in groups] == [
        ("backbone 0", 0.0625),
        ("backbone 1", 0.125),
        ("backbone 2", 0.25),
        ("neck", 0.5),
        ("head", 1.0),
    ]


def test_frozen_parameters_are_in_no_group():
    model = assemble(SECTIONS, num_classes=3, frozen_stages=1)
    groups = make_groups(model, weight_decay=0.0, head_lr_mult=2.0)
    assert [group["name"] for group in groups] == ["backbone 2", "head"]


@pytest.mark.parametrize("name", BACKBONES.names())
def test_every_parameter_of_every_backbone_has_a_layer(name):
    head = {"C3D": "C3DHead", "SlowFast": "SlowFastHead"}.get(name, "PoolHead")
    with torch.device("meta"):
        model = assemble({"BACKBONE": {"TYPE": name}, "HEAD": {"TYPE": head}}, num_classes=3)
    places = layer_places(model, layer_decay=0.5, head_lr_mult=1.0)
    assert [key for key, parameter in model.named_parameters() if id(parameter) not in places] == []
    assert places[id(next(model.backbone.parameters()))].lr_scale == 0.5 ** len(model.backbone.parts())


def test_schedule_moves_every_group_by_its_factor():
    model = assemble(SECTIONS, num_classes=3)
    optimizer = optim.SGD(make_groups(model, weight_decay=0.0, layer_decay=0.5, head_lr_mult=4.0), lr=0.1)
    set_lr(optimizer, 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.025, 0.05, 0.1, 0.8]


def test_table_of_groups():
    model = assemble(SECTIONS, num_classes=3)
    optimizer = optim.SGD(make_groups(model, weight_decay=1e-4, decay_norm_bias=False, layer_decay=0.5, head_lr_mult=4.0), lr=0.1)
    lines = group_table(optimizer, 0.2).splitlines()
    assert lines[0].split() == ["group", "parameters", "lr", "decay"]
    assert lines[-2:] == [
        "head                                  24    0.8  0.0001",
        "head, norms and biases                 3    0.8       0",
    ]
    assert len(lines) == 9 and len(set(map(len, lines))) == 1
