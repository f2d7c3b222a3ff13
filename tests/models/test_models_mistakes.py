"""Arguments of components that make no sense: a ConfigError by the key of the config, and never another exception."""

import inspect
import re

import pytest
import torch

from vidrec.models.build import BACKBONES, HEADS, NECKS, build_backbone, build_head, build_neck
from vidrec.utils.errors import ConfigError

PER_STAGE = ("temporal_kernels", "slow_temporal_kernels", "fast_temporal_kernels", "nonlocal_blocks")
ZERO_IS_A_CHOICE = ("slow_start",)
EMPTY_IS_A_CHOICE = ("stage_blocks", "pool_stride", *PER_STAGE)


def nonsense(parameter: inspect.Parameter) -> list:
    """0, -1 and [] in place of a number, of one number in a list, and of one number in a list of lists."""
    name, default = parameter.name, parameter.default
    if parameter.annotation is int:
        return [-1, []] if name in ZERO_IS_A_CHOICE else [0, -1, []]
    if parameter.annotation is float:
        return [-1, []]
    found = [0, -1] if name in EMPTY_IS_A_CHOICE else [0, -1, []]
    count = len(default) if isinstance(default, tuple) and default else 4
    if name in PER_STAGE:
        return found + [[[wrong], *[[1]] * (count - 1)] for wrong in ([-1] if name == "nonlocal_blocks" else [0, -1])]
    return found + [[wrong, *[1] * (count - 1)] for wrong in (0, -1)]


def cases(registry) -> list:
    return [
        pytest.param(name, key, value, id=f"{name}-{key}-{value}")
        for name in registry.names()
        for key, parameter in inspect.signature(registry.get(name)).parameters.items()
        if key not in ("block", "middle_from")
        for value in nonsense(parameter)
    ]


@pytest.mark.parametrize(("name", "key", "value"), cases(BACKBONES))
def test_no_number_of_a_backbone_ends_in_another_exception(name, key, value):
    with torch.device("meta"), pytest.raises(ConfigError, match=key.upper()):
        build_backbone({"TYPE": name, key.upper(): value})


@pytest.mark.parametrize(("name", "key", "value"), cases(NECKS))
def test_no_number_of_a_neck_ends_in_another_exception(name, key, value):
    with torch.device("meta"), pytest.raises(ConfigError, match="TPN" if key == "in_channels" else key.upper()):
        build_neck({"TYPE": name, key.upper(): value}, in_channels=(1024, 2048))


@pytest.mark.parametrize(("name", "key", "value"), cases(HEADS))
def test_no_number_of_a_head_ends_in_another_exception(name, key, value):
    in_channels = (8, 2) if name == "SlowFastHead" else (8,)
    with torch.device("meta"), pytest.raises(ConfigError):
        build_head({"TYPE": name, key.upper(): value}, in_channels=in_channels, num_classes=3)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"TYPE": "ResNet2D", "WIDTH": 0}, "WIDTH is 0; it must be at least 1. Raise it, or leave it out for the default."),
        ({"TYPE": "ResNet2D", "OUT_STAGES": 5}, "OUT_STAGES is 5; it must be 1 to 4, the number of stages. Give 1 for the last one."),
        ({"TYPE": "ResNet2D", "DEPTH": 51}, "DEPTH is 51; it must be one of 18, 34, 50, 101, 152. Give STAGE_BLOCKS and BLOCK for"),
        ({"TYPE": "I3DResNet", "STEM_TEMPORAL_KERNEL": 4}, "STEM_TEMPORAL_KERNEL is 4; it must be odd and at least 1. Give 1, 3, 5 or 7."),
        ({"TYPE": "I3DResNet", "POOL_STRIDE": [2, 0, 2]}, "POOL_STRIDE is [2, 0, 2]; it must have 3 numbers, each at least 1."),
        ({"TYPE": "I3DResNet", "TEMPORAL_POOLS": [2, 0, 1, 1]}, "TEMPORAL_POOLS is [2, 0, 1, 1]; every factor must be at least 1. Give 1"),
        ({"TYPE": "SlowFast", "BETA": 7}, "BETA is 7; it must divide WIDTH (64). Give the fast pathway a whole number of channels."),
        ({"TYPE": "SlowFast", "FUSION_RATIO": 0}, "FUSION_RATIO is 0; it must be at least 1."),
        ({"TYPE": "SlowFast", "SLOW_TEMPORAL_KERNELS": [[1], [3]]}, "SLOW_TEMPORAL_KERNELS has 2 entries; the network has 4 stages."),
        ({"TYPE": "SlowFast", "FAST_TEMPORAL_KERNELS": [[3], [2], [3], [3]]}, "FAST_TEMPORAL_KERNELS of stage 1 is [2]; it must hold odd"),
    ],
)
def test_mistakes_of_a_backbone_name_its_key(section, message):
    with torch.device("meta"), pytest.raises(ConfigError, match=re.escape(f"CONFIG.MODEL.BACKBONE.{message}")):
        build_backbone(section)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"DROPOUT": 2.0}, "DROPOUT is 2.0; it must lie in [0, 1]. Give 0.5, or 0 for none."),
        ({"DROPOUT": float("nan")}, "DROPOUT is nan; it must lie in [0, 1]."),
        ({"INIT_STD": -0.1}, "INIT_STD is -0.1; it must be 0 or more. Give 0.01, or 0 for PyTorch's start."),
        ({"INIT_STD": float("inf")}, "INIT_STD is inf; it must be 0 or more."),
        ({"NUM_CLASSES": 0}, "NUM_CLASSES is 0; it must be at least 1. Set CONFIG.DATA.NUM_CLASSES."),
        ({"IN_CHANNELS": [0]}, "IN_CHANNELS is [0]; each must be at least 1. Leave it out: the backbone decides."),
    ],
)
def test_mistakes_of_a_head_name_its_key(section, message):
    with pytest.raises(ConfigError, match=re.escape(f"CONFIG.MODEL.HEAD.{message}")):
        build_head({"TYPE": "PoolHead", **section}, in_channels=(8,), num_classes=3)


def test_head_without_a_feature_map_says_so():
    with pytest.raises(ConfigError, match="PoolHead got no feature map; it takes one feature map"):
        build_head({"TYPE": "PoolHead"}, in_channels=(), num_classes=3)


def test_mistakes_of_one_component_are_said_together():
    with pytest.raises(ConfigError) as caught:
        build_backbone({"TYPE": "SlowFast", "WIDTH": 0, "ALPHA": -1, "FUSION_KERNEL": 4})
    assert [mistake.split(" is ")[0].rpartition(".")[2] for mistake in caught.value.mistakes] == ["WIDTH", "ALPHA", "FUSION_KERNEL"]
