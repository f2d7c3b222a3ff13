"""The files in configs/: each loads, and starts with what a reader needs to know."""

from collections import Counter

import pytest
import torch
from config_files import BASES, CONFIGS, ROOT, commands, header, name_of

from vidrec import load_config
from vidrec.commands.runs import component_mistakes
from vidrec.config.defaults import get_cfg_defaults
from vidrec.config.protocols import resolve_protocol
from vidrec.config.source import read_layers
from vidrec.models.build import build_model

every_config = pytest.mark.parametrize("path", CONFIGS, ids=name_of)


@every_config
def test_config_loads_with_components_that_fit(path):
    assert component_mistakes(load_config(path)) == []


@every_config
def test_config_starts_with_command_hardware_and_expectation(path):
    text, name = header(path), name_of(path)
    assert f"python tools/train_ddp_pytorch.py --config-file {name}" in text
    assert f"python tools/test_ddp_pytorch.py  --config-file {name}" in text
    assert "Hardware: " in text and "Expected: " in text
    assert "views" in text or "not yet measured" in text


@every_config
def test_commands_of_the_header_load_the_config(path):
    found = commands(path)
    assert [(command.tool, command.config) for command in found] == [
        ("train_ddp_pytorch.py", name_of(path)),
        ("test_ddp_pytorch.py", name_of(path)),
    ]
    for command in found:
        assert component_mistakes(load_config(ROOT / command.config, command.overrides)) == []


def shapes(config):
    """The shape of a clip in training and of a view in a test, without the batch."""
    data, test = config.DATA, resolve_protocol(config)
    return (data.NUM_SEGMENT * data.CLIP_LEN, data.CROP_SIZE), (test.clip_len, test.crop_size)


def one_of_each_kind():
    """For every kind of backbone and every pair of shapes the first config that has them."""
    models = {path: load_config(path).CONFIG for path in CONFIGS}
    return list({(cfg.MODEL.BACKBONE.TYPE, shapes(cfg)): path for path, cfg in reversed(models.items())}.values())


@pytest.mark.parametrize("path", one_of_each_kind(), ids=name_of)
def test_network_takes_the_clips_of_training_and_the_views_of_the_test(path):
    cfg = load_config(path)
    with torch.device("meta"):
        model = build_model(cfg, load_weights=False).eval()
        outputs = [model(torch.empty(1, 3, frames, side, side)) for frames, side in shapes(cfg.CONFIG)]
    assert [tuple(output.shape) for output in outputs] == [(1, cfg.CONFIG.DATA.NUM_CLASSES)] * 2


def test_no_two_configs_write_into_runs_of_one_name():
    names = Counter(load_config(path).CONFIG.LOG.EXP_NAME for path in CONFIGS)
    assert [name for name, count in names.items() if count > 1 or not name.endswith("_use_time")] == []


@pytest.mark.parametrize("path", BASES, ids=name_of)
def test_base_has_no_mistake_of_its_own(path):
    assert read_layers(path, get_cfg_defaults())[1] == []


@pytest.mark.parametrize("path", BASES, ids=name_of)
def test_base_is_built_on(path):
    built_on = {(file.parent / base).resolve() for file in [*BASES, *CONFIGS] for base in bases_of(file)}
    assert path in built_on


def bases_of(path):
    lines = [line.removeprefix("_BASE_: ") for line in path.read_text().splitlines() if line.startswith("_BASE_: ")]
    return [base for line in lines for base in line.strip("[]").split(", ")]
