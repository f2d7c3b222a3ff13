"""The keys of speed through the real commands."""

import json

import numpy as np
import pytest
import torch

from vidrec.commands import test as test_command
from vidrec.commands import train as train_command
from vidrec.engine.device import set_switches

FAST = {
    "CONFIG.TRAIN.PRECISION": "bf16",
    "CONFIG.TRAIN.MEMORY_FORMAT": "channels_last_3d",
    "CONFIG.TRAIN.ACCUMULATE": "2",
    "CONFIG.TRAIN.CHECKPOINT_STAGES": "[1, 2]",
    "CONFIG.TRAIN.FUSED_OPTIMIZER": "True",
    "CONFIG.TRAIN.DETERMINISTIC": "True",
    "CONFIG.VAL.PRECISION": "bf16",
}


@pytest.fixture(autouse=True)
def switches_of_torch():
    yield
    set_switches(deterministic=False, tf32=True, autotune=False)


def run(command, config, name, keys):
    pairs = [text for pair in {**keys, "CONFIG.LOG.EXP_NAME": name}.items() for text in pair]
    assert command.main(["--config-file", str(config), *pairs]) == 0


def losses(folder):
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [entry["loss"] for entry in entries if entry["kind"] == "step"]


def test_deterministic_runs_in_16_bits_repeat_themselves_resume_and_can_be_tested_in_fp32_and_bf16(config, tmp_path, capsys):
    for name in ("first", "second"):
        run(train_command, config, name, FAST)
    runs = tmp_path / "runs"
    assert losses(runs / "first") == losses(runs / "second") and len(losses(runs / "first")) == 4
    assert "2 epochs of 3 steps" in (runs / "first" / "log.txt").read_text()
    weights = [torch.load(runs / name / "checkpoints/epoch_0002.pth", weights_only=True)["model"] for name in ("first", "second")]
    assert all(torch.equal(tensor, weights[1][name]) and tensor.dtype != torch.bfloat16 for name, tensor in weights[0].items())
    for file in (runs / "second" / "checkpoints").glob("epoch_0002*"):
        file.unlink()
    run(train_command, config, "second", FAST | {"CONFIG.TRAIN.RESUME": "auto"})
    resumed = torch.load(runs / "second/checkpoints/epoch_0002.pth", weights_only=True)["model"]
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in weights[0].items())
    scores = []
    for precision, memory_format in (("fp32", "contiguous"), ("fp32", "channels_last_3d"), ("bf16", "channels_last_3d")):
        keys = {"CONFIG.VAL.PRECISION": precision, "CONFIG.VAL.MEMORY_FORMAT": memory_format}
        run(test_command, config, "first", keys)
        assert json.loads((runs / "first/eval/result.json").read_text())["protocol"]["precision"] == precision
        scores.append(np.load(runs / "first/eval/scores.npz")["scores"])
    assert np.allclose(scores[0], scores[1], atol=1e-4)
    assert not np.array_equal(scores[1], scores[2]) and np.allclose(scores[1], scores[2], atol=0.1)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["CONFIG.TRAIN.ACCUMULATE", "7"], "ACCUMULATE is 7 and an epoch of the training list has 6 batches per process"),
        (["CONFIG.TRAIN.CHECKPOINT_STAGES", "[3]"], "CHECKPOINT_STAGES names 3; this network has 3 parts"),
    ],
)
def test_what_this_list_or_network_cannot_do_is_said_before_the_first_step(config, capsys, keys, words):
    with pytest.raises(SystemExit):
        train_command.main(["--config-file", str(config), *keys])
    error = capsys.readouterr().err
    assert words in error and "step 1" not in error and "Traceback" not in error
