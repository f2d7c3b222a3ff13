"""hubconf.py: torch.hub lists, explains and builds every zoo name, from a plain checkout that nothing is installed from."""

import ast
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import vidrec
from vidrec.model_zoo import specs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def hub():
    """The module, as torch.hub imports it from this checkout."""
    return torch.hub._import_module("hubconf", str(ROOT / "hubconf.py"))


def load(name, **arguments):
    return torch.hub.load(str(ROOT), name, source="local", **arguments)


def test_every_zoo_name_is_an_entry_and_nothing_else(hub):
    entries = [name for name in dir(hub) if callable(getattr(hub, name)) and not name.startswith("_")]
    assert entries == sorted(specs.names())


def test_name_is_built_as_get_model_builds_it():
    with torch.device("meta"):
        here, there = load("tpn_resnet50_f8s8_kinetics400", num_classes=3), vidrec.get_model("tpn_resnet50_f8s8_kinetics400", 3)
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (here, there)]
    assert shapes[0] == shapes[1] and shapes[0]["head.fc.bias"] == (3,)


def test_section_and_options_are_handed_on():
    with torch.device("meta"):
        torch_own, mxnet = (load("slowfast_4x16_resnet50_kinetics400", zoo=zoo) for zoo in ("torch", "mxnet"))
        features = load("resnet18_v1b_kinetics400", features_only=True, frozen_stages=0)
    assert (torch_own.backbone.slow_start, mxnet.backbone.slow_start) == (0, 7)
    assert features.features_only and not next(features.backbone.stem.parameters()).requires_grad


def test_mistakes_of_a_user_are_told_as_everywhere():
    with pytest.raises(vidrec.utils.errors.ConfigError, match="the mxnet section has it"):
        load("c3d_kinetics400", zoo="torch")
    with pytest.raises(vidrec.utils.errors.ConfigError, match="'0badcafe', which no published file of"):
        load("c3d_kinetics400", pretrained="0badcafe")


def test_help_says_sections_clip_files_and_arguments(hub):
    text = inspect.getdoc(hub.i3d_resnet50_v1_kinetics400)
    assert text.splitlines()[0] == "i3d_resnet50_v1_kinetics400: kinetics400, 400 classes. Clips [B, 3, T, H, W] to scores [B, K]."
    assert "torch: clips of 32 frames with stride 2, 224 x 224 pixels. Weights: 18545497 (top-1 74.87 as published)." in text
    assert "mxnet: clips of 32 frames with stride 2, 224 x 224 pixels. Weights: 568a722e (top-1 74.00 as published)." in text
    assert "a frame of each of 7 segments" in hub.resnet50_v1b_kinetics400.__doc__
    assert "No published weights." in hub.slowfast_4x16_resnet101_kinetics400.__doc__
    assert all(str(parameter) in text for parameter in inspect.signature(hub.i3d_resnet50_v1_kinetics400).parameters)


def test_dependencies_are_what_the_networks_import(hub):
    paths = [path for folder in ("models", "config", "utils") for path in (ROOT / "vidrec" / folder).rglob("*.py")]
    imported = set()
    for path in [*paths, ROOT / "vidrec/registry.py", *(ROOT / "model_zoo").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            imported |= {name.split(".")[0] for name in names}
    assert set(hub.dependencies) == imported - set(sys.stdlib_module_names) - {"vidrec"}


USE = """
import sys, torch
torch.hub.set_dir(sys.argv[1])
from_github = dict(trust_repo=True, skip_validation=True)
names = torch.hub.list("owner/vidrec:main", **from_github)
model = torch.hub.load("owner/vidrec:main", "resnet18_v1b_kinetics400", num_classes=2, **from_github)
import vidrec.model_zoo
print(len(names), type(model.backbone).__name__, torch.hub.help("owner/vidrec:main", names[0], **from_github).split(":")[0])
print(vidrec.model_zoo.__file__)
"""


def test_a_copy_that_torch_hub_has_downloaded_needs_no_installation(tmp_path):
    copy = tmp_path / "owner_vidrec_main"
    for folder in ("vidrec", "model_zoo"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "hubconf.py", copy)
    run = subprocess.run([sys.executable, "-c", USE, tmp_path], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert first == f"{len(specs.names())} ResNet2D c3d_kinetics400"
    assert Path(second) == copy / "model_zoo/__init__.py"
