"""Names to classes, arguments to signatures."""

from typing import Literal

import pytest

from vidrec.registry import Registry, hands_on
from vidrec.utils.errors import ConfigError


class Crop:
    def __init__(
        self,
        in_channels: int,
        *,
        size: int,
        scale: float = 1.0,
        mode: Literal["center", "random"] = "center",
        steps: tuple[int, ...] = (),
    ):
        self.arguments = {"in_channels": in_channels, "size": size, "scale": scale, "mode": mode, "steps": steps}


CROPS = Registry("crop", {"Crop": "tests_registry_target:Crop"})


@pytest.fixture(autouse=True)
def importable_target(monkeypatch):
    import sys
    import types

    module = types.ModuleType("tests_registry_target")
    module.Crop = Crop
    monkeypatch.setitem(sys.modules, "tests_registry_target", module)


def test_section_binds_to_the_signature_and_given_fills_the_rest():
    crop = CROPS.build({"TYPE": "Crop", "SIZE": 3, "SCALE": 2, "STEPS": [1, 2]}, in_channels=8, unused=1)
    assert crop.arguments == {"in_channels": 8, "size": 3, "scale": 2, "mode": "center", "steps": (1, 2)}


def test_key_of_the_section_wins_over_given():
    assert CROPS.build({"TYPE": "Crop", "SIZE": 3, "IN_CHANNELS": 4}, in_channels=8).arguments["in_channels"] == 4


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "BACKBONE.TYPE is missing; it must name a crop, one of Crop."),
        ({"TYPE": "Cropp"}, "'Cropp' is not a crop; those known are Crop. Did you mean 'Crop'?"),
        ({"TYPE": "Crop", "SIZE": 3, "SCALES": 1}, "SCALES is not an argument of Crop; it takes IN_CHANNELS, SIZE, SCALE, MODE, STEPS."),
        ({"TYPE": "Crop", "SIZE": 3, "scale": 1}, "BACKBONE.scale is not an argument of Crop"),
        ({"TYPE": "Crop", "SIZE": "3"}, "BACKBONE.SIZE is '3' (str); Crop takes int there."),
        ({"TYPE": "Crop", "SIZE": 3, "MODE": "left"}, "Crop takes one of 'center', 'random' there."),
        ({"TYPE": "Crop", "SIZE": 3, "STEPS": [1, "a"]}, "BACKBONE.STEPS is [1, 'a'] (list)"),
        ({"TYPE": "Crop"}, "BACKBONE.SIZE is missing; Crop needs it (int)."),
    ],
)
def test_mistakes_of_a_section(section, words):
    (mistake,) = CROPS.mistakes(section, "BACKBONE", given=("in_channels",))
    assert words in mistake


def test_build_raises_all_mistakes_at_once():
    with pytest.raises(ConfigError) as caught:
        CROPS.build({"TYPE": "Crop", "SIZ": 3})
    assert len(caught.value.mistakes) == 3


def test_user_registers_a_component_once():
    registry = Registry("crop", {})
    registry.register("Mine", "tests_registry_target:Crop")
    assert registry.names() == ["Mine"]
    with pytest.raises(ValueError, match="is taken by"):
        registry.register("Mine", "elsewhere:Crop")


@hands_on(Crop)
class CropPair:
    def __init__(self, gap: int = 0, **crop):
        self.gap, self.crop = gap, Crop(**crop)


class WiderPair(CropPair):
    def __init__(self, width: int):
        super().__init__(in_channels=3, size=width)


def test_arguments_that_a_class_hands_on_are_in_its_signature(monkeypatch):
    import sys

    sys.modules["tests_registry_target"].CropPair = CropPair
    pairs = Registry("pair", {"CropPair": "tests_registry_target:CropPair"})
    pair = pairs.build({"TYPE": "CropPair", "GAP": 2, "SIZE": 5, "MODE": "random"}, in_channels=3)
    assert (pair.gap, pair.crop.arguments["size"], pair.crop.arguments["mode"]) == (2, 5, "random")
    assert pairs.mistakes({"TYPE": "CropPair", "SIZ": 5}, "PAIR", given=("in_channels",))[0].endswith("Did you mean 'SIZE'?")
    assert list(__import__("inspect").signature(WiderPair).parameters) == ["width"]
