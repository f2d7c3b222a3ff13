"""A run killed with SIGKILL at any moment goes on to the same bits as the run that was not killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from engine_toy import Toy, digest, make_trainer, recorded, toy_config

from vidrec.engine import checkpoint
from vidrec.engine.totals import run_totals

TOY = str(Path(__file__).with_name("engine_toy.py"))
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def train(folder, **arguments) -> str:
    """sha256 of the final weights of a run in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    toy = Toy(folder=str(folder), epochs=4, batch_norm=True, **arguments)
    trainer, state = make_trainer(toy, toy_config(toy))
    trainer.run(state)
    torch.set_num_threads(threads)
    return digest(trainer.stepper.model)


def command(folder, **arguments):
    pairs = [f"{key}={value}" for key, value in {"epochs": 4, "batch_norm": True, **arguments}.items()]
    return [sys.executable, TOY, str(folder), *pairs]


def names(folder):
    """Files in the folder of the checkpoints, without the manifests."""
    return sorted(path.name for path in (folder / "checkpoints").iterdir() if path.suffix != ".json")


def test_killed_in_an_epoch_and_then_in_a_save_ends_with_the_same_bits(tmp_path):
    whole = train(tmp_path / "whole")
    killed = tmp_path / "killed"
    first = subprocess.run(command(killed, kill_at="1,3"), env=ENVIRONMENT, timeout=60)
    assert (first.returncode, names(killed)) == (-signal.SIGKILL, ["epoch_0001.pth"])
    # The second run saves the best of epoch 2 and then epoch 2 itself, in the middle of which it dies.
    second = subprocess.run(command(killed, resume="auto", kill_in_save=2), env=ENVIRONMENT, timeout=60)
    assert second.returncode == -signal.SIGKILL
    left = names(killed)
    assert left[:2] == ["best.pth", "epoch_0001.pth"] and left[2].startswith("epoch_0002.pth.tmp.") and len(left) == 3
    assert train(killed, resume="auto") == whole
    assert names(killed) == names(tmp_path / "whole")
    assert recorded(killed) == recorded(tmp_path / "whole")
    parts = run_totals(killed / "metrics.jsonl").parts
    assert [(part.epoch, part.ended) for part in parts] == [(0, "killed"), (1, "killed"), (1, "running")]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_goes_on_after_any_step_ends_with_the_same_bits_and_numbers(tmp_path, monkeypatch, accumulate):
    monkeypatch.setattr(checkpoint, "STEP_FILES", 100)
    whole, arguments = tmp_path / "whole", {"save_steps": 1, "accumulate": accumulate}
    expected = train(whole, **arguments)
    steps = 6 // accumulate
    files = [f"epoch_{epoch:04d}_step_{step:06d}.pth" for epoch in range(4) for step in range(1, steps + 1)]
    assert sorted(set(names(whole)) - {"best.pth"}) == sorted([*files, *(f"epoch_{epoch:04d}.pth" for epoch in range(1, 5))])
    for name in files:
        part = tmp_path / name
        part.mkdir()
        shutil.copy(whole / "metrics.jsonl", part)
        assert train(part, resume=str(whole / "checkpoints" / name), **arguments) == expected, name
        assert recorded(part) == recorded(whole), name


def test_within_epochs_the_newest_two_checkpoints_are_kept(tmp_path):
    train(tmp_path, save_steps=4)  # 4 epochs of 6 steps
    steps = [name for name in names(tmp_path) if "step" in name]
    assert steps == ["epoch_0003_step_000002.pth", "epoch_0003_step_000006.pth"]


def wait_until_started(mark, process):
    deadline = time.monotonic() + 60
    while not mark.exists() or mark.read_text() != str(process.pid):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.slow
def test_killed_at_random_moments_ends_with_the_same_bits(tmp_path):
    whole = train(tmp_path / "whole")
    killed, moments = tmp_path / "killed", random.Random(0)
    for _ in range(8):
        with subprocess.Popen(command(killed, resume="auto"), env=ENVIRONMENT) as process:
            wait_until_started(tmp_path / "started", process)
            time.sleep(moments.uniform(0, 0.15))
            process.kill()
    assert train(killed, resume="auto") == whole
