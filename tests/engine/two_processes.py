"""A function run by two processes of one group, without the launcher."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
import torch.multiprocessing as processes


def run_by_two(function: Callable[[int, Path], Any], folder: Path) -> list[Any]:
    """What `function(rank, folder)`, a function of a module, returns on ranks 0 and 1."""
    processes.spawn(_work, (function, folder), nprocs=2)
    return [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(2)]


def _work(rank: int, function: Callable[[int, Path], Any], folder: Path) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(function(rank, folder), folder / f"{rank}.pth")
    distributed.destroy_process_group()
