"""The files in configs/: each loads, and starts with what a reader needs to know."""

from pathlib import Path

import pytest

from vidrec import load_config
from vidrec.commands.runs import component_mistakes
from vidrec.config.defaults import get_cfg_defaults
from vidrec.config.source import read_layers

ROOT = Path(__file__).resolve().parents[2]
BASES = {ROOT / "configs" / "custom" / "data.yaml"}  # a piece that others build on
CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path not in BASES)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_config_loads_with_components_that_fit(path):
    assert component_mistakes(load_config(path)) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_config_starts_with_command_hardware_and_expectation(path):
    header = [line for line in path.read_text().split("\n\n")[0].splitlines() if line.startswith("#")]
    text = "\n".join(header)
    name = path.relative_to(ROOT).as_posix()
    assert f"python tools/train_ddp_pytorch.py --config-file {name}" in text
    assert f"python tools/test_ddp_pytorch.py  --config-file {name}" in text
    assert "Hardware: " in text and "Expected: " in text
    assert "views" in text or "not yet measured" in text


@pytest.mark.parametrize("path", sorted(BASES), ids=lambda path: path.name)
def test_base_has_no_mistake_of_its_own(path):
    assert read_layers(path, get_cfg_defaults())[1] == []
