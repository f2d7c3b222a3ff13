"""Starts the toy of `engine_toy` as a user would: as plain python, which starts its own processes, or under torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import torch

TOY = str(Path(__file__).with_name("engine_toy.py"))
PLAIN = [sys.executable, TOY]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", TOY]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def run(command, folder, *, env=ENVIRONMENT, **arguments):
    """Runs the toy to its end; `arguments` are its fields."""
    pairs = [f"{key}={value}" for key, value in arguments.items()]
    return subprocess.run([*command, str(folder), *pairs], env=env, capture_output=True, text=True, timeout=120)


def final(folder):
    """What the toy wrote at its end: the weights, and their digest on every process."""
    return torch.load(folder / "final.pth", weights_only=True)
