"""A signal that asks a run to stop, sent to all of its processes, leaves the loader processes at work."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from torch.utils.data import Dataset

from vidrec.data.loaders import make_loader
from vidrec.data.samplers import EvalSampler
from vidrec.data.stop_signals import SIGNALS


class Slow(Dataset):
    """100 items that take 20 ms each."""

    def __len__(self):
        return 100

    def __getitem__(self, index):
        time.sleep(0.02)
        return index


def processes_below(pid):
    """All living processes that this one has started, and those that they have started."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = stat.read_text().rsplit(")", 1)
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(int(fields.split()[1]), []).append((int(stat.parent.name), name))
    found, left = [], [pid]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += [number for number, _ in below]
    return found


@pytest.mark.parametrize("number", SIGNALS)
def test_loader_processes_and_their_server_outlive_a_request_to_stop(number):
    loader = iter(make_loader(Slow(), EvalSampler(100), batch_size=None, num_workers=2))
    assert next(loader) == 0
    # The sender is another process, as a batch system is; what a trainer itself sends ends its loader processes.
    sender = multiprocessing.get_context("spawn").Process(target=send, args=(os.getpid(), number))
    sender.start()
    sender.join(60)
    assert sender.exitcode == 0
    assert list(loader) == list(range(1, 100))
    del loader


def send(pid, number):
    """Sends a signal to all loader processes of a process and their server."""
    mine = {os.getpid()}
    for child, name in processes_below(pid):
        if child not in mine and "resource_tracker" not in name and is_of_loaders(child):
            os.kill(child, number)


def is_of_loaders(pid):
    return b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_the_trainer_itself_still_ends_them():
    iterator = make_loader(Slow(), EvalSampler(100), batch_size=None, num_workers=1)
    loader = iter(iterator)
    next(loader)
    (worker,) = multiprocessing.active_children()[-1:]
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(20)
    assert not worker.is_alive()
