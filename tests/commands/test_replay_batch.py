"""A run whose numbers go wrong, and the replay of the batch that did it."""

import pytest
import torch
from tool_runs import run_here

from vidrec.commands import replay_batch, train
from vidrec.commands.replay_batch import replay
from vidrec.utils.errors import CheckpointError


def test_a_run_that_diverges_names_a_file_and_the_replay_names_the_module(config, tmp_path):
    overrides = ["CONFIG.TRAIN.OPTIMIZER", "SGD", "CONFIG.TRAIN.LR", "1e30", "CONFIG.VAL.FREQ", "0"]
    done = run_here(train.main, "--config-file", config, *overrides, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (kept,) = (tmp_path / "runs/run/replay").iterdir()
    assert f"kept in {kept}" in done.stderr and "train/" in done.stderr
    text = run_here(replay_batch.main, kept).stdout
    assert "loss then: nan, now: nan" in text
    assert "forward: the first value that is not finite comes out of backbone." in text
    assert text.splitlines()[-1].split()[:2] == ["0", "1e+30"]


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save({"model": {}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"x.pth lacks replay, batches, videos, .*; a replay needs a file that a run wrote"):
        replay(tmp_path / "x.pth")
