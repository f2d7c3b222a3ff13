"""The process group in plain words. Every function is valid without a group too: then this process is rank 0 of 1."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as distributed

from vidrec.utils.errors import UserError

Result = TypeVar("Result")


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """Rank of this process over all nodes, from 0."""
    return distributed.get_rank() if _in_group() else 0


def world_size() -> int:
    """Number of processes over all nodes."""
    return distributed.get_world_size() if _in_group() else 1


def local_rank() -> int:
    """Rank of this process on its node, from 0; also the index of its CUDA device."""
    return int(os.environ.get("LOCAL_RANK", 0)) if _in_group() else 0


def local_world_size() -> int:
    """Number of processes on this node."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if _in_group() else 1


def is_main() -> bool:
    """Whether this is the one process that writes files and speaks on the console."""
    return rank() == 0


def device() -> torch.device:
    """The device of this process, as `launch` chose it: its CUDA device, or the CPU where there is none."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def barrier() -> None:
    """Waits until every process is here."""
    any_true(False)


def any_true(flag: bool) -> bool:
    """Whether the flag is set on any process; every process must call it."""
    if world_size() == 1:
        return flag
    found = torch.tensor(int(flag))  # on the CPU: the groups of `launch` always speak gloo there
    distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
    return bool(found.item())


def gather_objects(item: Any) -> list[Any] | None:
    """The picklable items of all processes in order of rank, on the main process; None on the others."""
    if world_size() == 1:
        return [item]
    items = [None] * world_size() if is_main() else None
    distributed.gather_object(item, items, dst=0)
    return items


def all_gather_objects(item: Any) -> list[Any]:
    """The picklable items of all processes in order of rank, on every process."""
    if world_size() == 1:
        return [item]
    items: list[Any] = [None] * world_size()
    distributed.all_gather_object(items, item)
    return items


def broadcast_object(item: Any) -> Any:
    """The main process's picklable item, on every process."""
    if world_size() == 1:
        return item
    items = [item]
    distributed.broadcast_object_list(items, src=0)
    return items[0]


def run_on_main(function: Callable[..., Result], *args: Any) -> Result:
    """Runs a function on the main process only and hands its result, or its UserError, to every process.

    Without this a main process that cannot write a file would leave the others waiting for it.
    """
    if world_size() == 1:
        return function(*args)
    result, error = None, None
    if is_main():
        try:
            result = function(*args)
        except UserError as raised:
            error = raised
    result, error = broadcast_object((result, error))
    if error is not None:
        error.everywhere = True
        raise error
    return result
