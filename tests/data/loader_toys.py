"""Datasets whose reading goes wrong in ways that no Python code can catch; importable by loader processes."""

import os
import signal
import time
from multiprocessing import resource_sharer

import torch
from torch.utils.data import Dataset

from vidrec.data.watch import watched


class Fatal(Dataset):
    """Item 3 ends its process.

    Args:
        how: `kill` (SIGKILL, as the system does without memory), `crash` (exit code 139) or `hang`.
    """

    def __init__(self, how: str):
        self.how = how

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        with watched(f"/videos/number {index}.mp4"):
            if index == 3 and self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if index == 3 and self.how == "crash":
                os._exit(139)
            while index == 3 and self.how == "hang":
                time.sleep(1)
        return index


class ProcessGroups(Dataset):
    """Items are the process group of the process that reads them."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        return os.getpgrp()


class DiesWithItemsOnTheWay(Dataset):
    """Items of shared memory. Its process dies at the third, and nobody serves the second any more a while before its end is seen."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        with watched(f"/videos/number {index}.mp4"):
            if index == 2:
                time.sleep(0.5)  # the item before is sent by a thread
                resource_sharer.stop()
                time.sleep(2.0)
                os.kill(os.getpid(), signal.SIGKILL)
        return torch.full((4,), index)
