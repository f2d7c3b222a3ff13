"""docs/add_backbone.md, add_head.md and add_dataset.md, followed word by word: their files, their Python and their commands."""

import json
import os
import subprocess
import sys

import pytest
import torch
from page_blocks import ROOT, run_page, write_files

SHORT = (
    *("CONFIG.TRAIN.EPOCH_NUM", "1", "CONFIG.DATA.NUM_WORKERS", "1", "CONFIG.DATA.CROP_SIZE", "32", "CONFIG.DATA.SHORT_SIDE_SIZE", "32"),
    *("CONFIG.LOG.LOGGERS", "[]"),
)
MORE = {"train": SHORT, "test": (*SHORT, "CONFIG.DATA.TEST_NUM_SEGMENT", "2")}


@pytest.fixture
def checkout(demo_data, tmp_path, monkeypatch):
    """A folder in which the pages' relative paths lead to something; modules that they make are forgotten afterwards."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "demo_data").symlink_to(demo_data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("VIDREC_COMPONENTS", raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


def follow(page, monkeypatch, capsys):
    return run_page(page, monkeypatch.setenv, lambda: capsys.readouterr().err, MORE)


def weights_of(checkout, run):
    return torch.load(checkout / f"runs/{run}/checkpoints/best.pth", weights_only=True)["model"]


def test_page_on_backbones_trains_and_tests_one(checkout, monkeypatch, capsys):
    done = follow("add_backbone.md", monkeypatch, capsys)
    assert [line for line in done if line.startswith("failed")] == ["failed: vidrec flops --config-file wrong.yaml"]
    assert weights_of(checkout, "separable")["backbone.stages.1.1.weight"].shape == (64, 64, 5, 1, 1)
    result = json.loads((checkout / "runs/separable/eval/result.json").read_text())
    assert result["model"] == "my_networks:SeparableNet" and result["counts"]["read"] == 10


@pytest.mark.slow
def test_page_on_heads_trains_and_tests_one(checkout, monkeypatch, capsys):
    done = follow("add_head.md", monkeypatch, capsys)
    assert len(done) == 4 and not [line for line in done if line.startswith("failed")]
    assert weights_of(checkout, "attention")["head.query"].abs().sum() > 0  # it has learned
    assert (checkout / "runs/attention/eval/result.json").exists()


@pytest.mark.slow
def test_page_on_data_sets_trains_on_its_list_and_with_its_class(checkout, monkeypatch, capsys):
    done = follow("add_dataset.md", monkeypatch, capsys)
    assert len(done) == 5 and not [line for line in done if line.startswith("failed")]
    assert weights_of(checkout, "turning")["head.fc.bias"].shape == (2,)
    assert (checkout / "runs/reversed/checkpoints/best.pth").exists()


def test_reversed_clips_of_the_page_have_the_label_of_the_opposite_motion(checkout, monkeypatch):
    from vidrec.config.load import load_config
    from vidrec.data.build import build_dataset
    from vidrec.data.samplers import SampleKey

    write_files("add_dataset.md")
    monkeypatch.setenv("VIDREC_COMPONENTS", "my_data")
    reverse = "CONFIG.DATA.TRAIN_DATASET.REVERSE_PROB"
    never, always = (build_dataset(load_config("reversed.yaml", [reverse, value]), "train") for value in ("0.0", "1.0"))
    for index in (2, 5):  # up, counter_clockwise
        key = SampleKey(epoch=3, position=7, index=index)
        plain, turned = never[key], always[key]
        assert (plain.label, turned.label) == (index, {2: 3, 5: 4}[index])
        assert torch.equal(turned.clip, plain.clip.flip(0)) and not torch.equal(turned.clip, plain.clip)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["vidrec", "torchrun"])
def test_own_classes_reach_every_process_of_a_run(checkout, launcher):
    for page in ("add_backbone.md", "add_dataset.md"):
        write_files(page)
    (checkout / "both.yaml").write_text("_BASE_: [reversed.yaml, separable.yaml]\n")
    start = {
        "vidrec": ["-m", "vidrec", "train"],
        "torchrun": ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "vidrec", "train"],
    }
    command = [sys.executable, *start[launcher], "--config-file", "both.yaml", *SHORT, "DDP_CONFIG.NPROC_PER_NODE", "2"]
    environment = {**os.environ, "VIDREC_COMPONENTS": "my_networks,my_data", "OMP_NUM_THREADS": "1"}
    run = subprocess.run([*command, "CONFIG.TRAIN.BATCH_SIZE", "4"], capture_output=True, text=True, timeout=240, env=environment)
    assert run.returncode == 0, run.stderr
    assert "1 epochs of 3 steps on 2 x cpu" in run.stdout + run.stderr
    assert "backbone.stem.0.weight" in weights_of(checkout, "separable")
