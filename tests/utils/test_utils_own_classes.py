"""A class of the user's own as `module:Class`: allowed by the environment, found in the current folder, and of the right kind."""

import sys

import pytest

from vidrec.models.build import BACKBONES, HEADS
from vidrec.registry import Registry
from vidrec.utils.errors import ConfigError, UserError
from vidrec.utils.own_classes import find_class

SOURCE = """
from collections import OrderedDict

class Net(OrderedDict):
    def __init__(self, width: int, *, depth: int = 2):
        self.width, self.depth = width, depth

def function():
    pass
"""
BASE = "collections:OrderedDict"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a module of the user's; what tests import is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_nets.py").write_text(SOURCE)
    (tmp_path / "own_broken.py").write_text("import own_nets\n\nx = undefined_name\n")
    (tmp_path / "own_typo.py").write_text("def f(:\n")
    (tmp_path / "own_needs.py").write_text("import package_nobody_has\n")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def test_class_of_the_current_folder_is_built_with_its_arguments_checked(here, monkeypatch):
    monkeypatch.setenv("VIDREC_COMPONENTS", "another, own_nets")
    nets = Registry("net", {}, base=BASE)
    net = nets.build({"TYPE": "own_nets:Net", "WIDTH": 8}, depth=3)
    assert (type(net).__name__, net.width, net.depth) == ("Net", 8, 3)
    assert nets.mistakes({"TYPE": "own_nets:Net", "WITDH": 8}, "NET") == [
        "NET.WITDH is not an argument of own_nets:Net; it takes WIDTH, DEPTH. Did you mean 'WIDTH'?",
        "NET.WIDTH is missing; own_nets:Net needs it (int).",
    ]
    assert str(here) in sys.path  # for loader processes, which get this list


@pytest.mark.parametrize("allowed", [None, "", "own", "own_nets.deeper", "nets"])
def test_class_that_the_environment_does_not_allow_is_not_imported(here, monkeypatch, allowed):
    monkeypatch.delenv("VIDREC_COMPONENTS", raising=False)
    if allowed is not None:
        monkeypatch.setenv("VIDREC_COMPONENTS", allowed)
    (here / "own_nets.py").write_text(f"open({str(here / 'canary')!r}, 'w')\n")
    with pytest.raises(UserError, match="is a class outside vidrec, whose code runs when it is imported") as caught:
        find_class("own_nets:Net", BASE)
    listed = ",".join(name for name in (allowed, "own_nets") if name)
    assert str(caught.value).endswith(f"If you trust that code: export VIDREC_COMPONENTS={listed}")
    assert not (here / "canary").exists() and "own_nets" not in sys.modules


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("own_nets:Nett", "own_nets.py has no Nett; it has Net. Did you mean 'Net'?"),
        ("own_nets:function", "own_nets:function is a function; it must be a class derived from collections.OrderedDict."),
        ("own_broken:Net", r"cannot be imported: NameError at .*own_broken\.py:3: name 'undefined_name' is not defined"),
        ("own_typo:Net", r"cannot be imported: SyntaxError at .*own_typo\.py:1: invalid syntax"),
        ("own_needs:Net", r"cannot be imported: ModuleNotFoundError at .*own_needs\.py:1: No module named 'package_nobody_has'"),
        ("own_lost.sub:Net", "names the module own_lost, which is not there; it must be installed, or lie in the folder /"),
        ("own_nets:Net()", r"'own_nets:Net\(\)' is no path of a class; it must be module:Class"),
        ("own_nets:", "is no path of a class"),
        ("own-nets:Net", "is no path of a class"),
        ("subprocess:Popen", "subprocess:Popen is a class of another kind; it must be a class derived from collections.OrderedDict"),
    ],
)
def test_what_is_wrong_with_a_class_of_ones_own(here, monkeypatch, path, words):
    monkeypatch.setenv("VIDREC_COMPONENTS", "own_nets,own_broken,own_typo,own_needs,own_lost,subprocess")
    with pytest.raises(UserError, match=words):
        find_class(path, BASE)


def test_registry_without_a_base_knows_names_only(here, monkeypatch):
    monkeypatch.setenv("VIDREC_COMPONENTS", "own_nets")
    with pytest.raises(ConfigError, match="'own_nets:Net' is not a decoder; those known are none"):
        Registry("decoder", {}).get("own_nets:Net")


def test_mistakes_name_the_place_in_the_config(monkeypatch):
    monkeypatch.delenv("VIDREC_COMPONENTS", raising=False)
    (mistake,) = BACKBONES.mistakes({"TYPE": "own:Net", "DEPTH": 3}, "CONFIG.MODEL.BACKBONE")
    assert mistake.startswith("CONFIG.MODEL.BACKBONE.TYPE: 'own:Net' is a class outside vidrec")
    monkeypatch.setenv("VIDREC_COMPONENTS", "vidrec.models.backbones")
    (mistake,) = HEADS.mistakes({"TYPE": "vidrec.models.backbones.c3d:C3D"}, "CONFIG.MODEL.HEAD")
    assert mistake.startswith("CONFIG.MODEL.HEAD.TYPE: vidrec.models.backbones.c3d:C3D is a class of another kind; it must be")
    assert "derived from vidrec.models.heads.base.Head" in mistake
