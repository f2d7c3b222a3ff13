"""The test command under a protocol: what it averages, and what result.json says of it."""

import json

import numpy as np
import pytest
import torch
from tool_runs import run_here, write_config

from vidrec import load_config
from vidrec.commands import test as test_command
from vidrec.models.build import build_model

TEN_CROP = ("CONFIG.TEST.PROTOCOL", "mmaction2_tsn", "CONFIG.DATA.TEST_NUM_SEGMENT", 2, "CONFIG.DATA.TEST_NUM_CROP", 10)
TEN_CROP += ("CONFIG.TEST.SHORT_VIDEO", "center", "CONFIG.DATA.CROP_SIZE", 24)


@pytest.fixture(scope="module")
def untrained(demo_data, tmp_path_factory):
    """A config with fresh weights to test, and the folder of its runs."""
    folder = tmp_path_factory.mktemp("protocols")
    path = write_config(folder / "tiny.yaml", demo_data, folder / "runs")
    torch.manual_seed(0)
    torch.save(build_model(load_config(path)).state_dict(), folder / "weights.pth")
    return path, folder


def results(untrained, name, *overrides):
    path, folder = untrained
    weights = ("CONFIG.MODEL.PRETRAINED_PATH", folder / "weights.pth", "CONFIG.LOG.EXP_NAME", name)
    done = run_here(test_command.main, "--config-file", path, *weights, *overrides)
    files = folder / "runs" / name / "eval"
    return done.stderr, json.loads((files / "result.json").read_text()), np.load(files / "scores.npz")["scores"]


def test_resolved_protocol_is_in_the_result_and_the_average_is_its_own(untrained):
    said, result, features = results(untrained, "features", *TEN_CROP)
    assert "with 20 views (2 x 10), 0 unreadable, protocol mmaction2_tsn changed" in said
    protocol = result["protocol"]
    assert (protocol["name"], protocol["overridden"], result["accuracy"]["views"]) == ("mmaction2_tsn", ["short_video"], 20)
    names = ("clip_starts", "target_fps", "short_video", "squeeze_to", "short_side", "crop_size", "crops", "average")
    assert [protocol[name] for name in names] == ["mmaction2_tsn", 0.0, "center", None, 32, 24, "steps", "feature_mean"]
    assert features.shape == (10, 8) and np.isfinite(features).all()
    _, summed, probabilities = results(untrained, "probabilities", *TEN_CROP, "CONFIG.TEST.AVERAGE", "prob_sum")
    assert probabilities.sum(1).tolist() == pytest.approx([20.0] * 10, rel=1e-5)  # of 20 views
    assert summed["protocol"]["overridden"] == ["short_video", "average"]
