"""A whole recipe as a user asks for it: trained by two processes, resumed, and tested by its average."""

import json

import pytest
import torch
from tool_runs import run_here, run_tool, write_config

from vidrec.commands import test as test_command
from vidrec.commands import train as train_command

RECIPE = {
    "TRAIN.OPTIMIZER": "LARS",
    "TRAIN.LR": 2.0,
    "TRAIN.LR_POLICY": "Poly",
    "TRAIN.LR_PER": "step",
    "TRAIN.LR_SCALE_BATCH": 4,
    "TRAIN.DECAY_NORM_BIAS": False,
    "TRAIN.LAYER_DECAY": 0.5,
    "TRAIN.HEAD_LR_MULT": 2.0,
    "TRAIN.HEAD_WARMUP_EPOCHS": 1,
    "TRAIN.CLIP_NORM": 1.0,
    "TRAIN.EMA.DECAY": 0.9,
    "TRAIN.PRECISE_BN": 2,
    "MODEL.SYNC_BN": True,
    "MODEL.BACKBONE.DROP_PATH": 0.2,
}
OVERRIDES = [item for key, value in RECIPE.items() for item in (f"CONFIG.{key}", value)]


@pytest.fixture(scope="module")
def trained(demo_data, tmp_path_factory):
    """A finished run of two processes: (its config file, its folder, what it said)."""
    folder = tmp_path_factory.mktemp("recipe")
    path = write_config(folder / "tiny.yaml", demo_data, folder / "runs")
    done = run_tool("train_ddp_pytorch.py", "--config-file", path, "DDP_CONFIG.NPROC_PER_NODE", 2, *OVERRIDES)
    return path, folder / "runs" / "run", done.stderr


def test_batch_and_groups_are_said_once(trained):
    said = trained[2]
    assert said.count("4 per process x 1 accumulated x 2 processes = 8: LR 2 -> 4") == 1
    rows = [line.split() for line in said[said.index("parameters in training:") :].splitlines()[1:10]]
    assert rows[0] == ["group", "parameters", "lr", "decay"]
    assert [(" ".join(row[:-3]), row[-2], row[-1]) for row in rows[1:]] == [
        ("backbone 0", "0.5", "0.0001"),
        ("backbone 0, norms and biases", "0.5", "0"),
        ("backbone 1", "1", "0.0001"),
        ("backbone 1, norms and biases", "1", "0"),
        ("backbone 2", "2", "0.0001"),
        ("backbone 2, norms and biases", "2", "0"),
        ("head", "8", "0.0001"),
        ("head, norms and biases", "8", "0"),
    ]


def test_rates_fall_within_epochs_and_norms_are_recorded(trained):
    steps = [json.loads(line) for line in (trained[1] / "metrics.jsonl").read_text().splitlines() if '"step"' in line]
    steps = [line for line in steps if line["kind"] == "step"]
    assert [(line["epoch"], line["step"]) for line in steps] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    rates = [line["lrs"]["head"] for line in steps]
    assert rates == pytest.approx([8 * (1 - done / 6) ** 2 for done in (1, 2, 4, 5)])
    assert all(line["grad_norm"] > 0 for line in steps)


def test_first_epoch_trains_the_head_alone(trained):
    first, last = (torch.load(trained[1] / "checkpoints" / f"epoch_000{n}.pth", weights_only=True) for n in (1, 2))
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    fresh = [name for name, tensor in first["model"].items() if name.endswith("num_batches_tracked") and tensor > 0]
    assert fresh == [], "the statistics before the head stood still"
    moved = {name for name, tensor in last["model"].items() if not torch.equal(tensor, first["model"][name])}
    assert {name for name in last["model"] if not name.endswith(buffers)} <= moved
    assert {group["name"].split(",")[0] for group in first["optimizer"]["param_groups"]} == {
        "backbone 0",
        "backbone 1",
        "backbone 2",
        "head",
    }


def test_average_is_tested_by_its_key(trained):
    path, folder, _ = trained
    for ema in (False, True):
        run_here(test_command.main, "--config-file", path, *OVERRIDES, "CONFIG.INFERENCE.EMA", ema, "CONFIG.LOG.EVAL_DIR", f"ema_{ema}")
    raw, average = (json.loads((folder / f"ema_{ema}" / "result.json").read_text()) for ema in (False, True))
    assert raw["weights"] == str(folder / "checkpoints" / "best.pth")
    assert average["weights"] == f"{raw['weights']}, average of the weights"
    assert (folder / "ema_True" / "scores.npz").read_bytes() != (folder / "ema_False" / "scores.npz").read_bytes()


def test_checkpoint_without_average_says_so(config):
    run_here(train_command.main, "--config-file", config, "CONFIG.TRAIN.EPOCH_NUM", 1)
    done = run_here(test_command.main, "--config-file", config, "CONFIG.INFERENCE.EMA", True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "holds no average of the weights; it must be a checkpoint of a run with CONFIG.TRAIN.EMA.DECAY above 0." in done.stderr


def test_average_of_weights_that_were_never_trained_here_says_so(config):
    done = run_here(test_command.main, "--config-file", config, "CONFIG.INFERENCE.EMA", True, check=False)
    assert done.returncode == 1
    assert "CONFIG.INFERENCE.EMA is True" in done.stderr and "has no checkpoint; published weights are no average." in done.stderr
