"""What each loader process is reading, so that one that dies or hangs ends in a message that names its file."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SLOT = 1024  # bytes of a path that are kept


class Board:
    """A slot of shared memory for each loader process, with the path that it is reading; empty between two.

    Args:
        num_workers: loader processes.
        limit: seconds that one video may take before its process ends itself; 0: no limit. Kept by a timer of the system, so that
            not even native code that never returns can outlast it (where the system has one; Windows has not).
    """

    def __init__(self, num_workers: int, *, limit: float):
        self._slots = torch.zeros((num_workers, SLOT), dtype=torch.uint8).share_memory_()
        self.limit = limit

    def write(self, worker: int, path: str) -> None:
        content = os.fsencode(path)[-SLOT:]
        self._slots[worker] = 0
        self._slots[worker, : len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else 0

    def read(self, worker: int) -> str:
        """The path that a process is reading, '' for none."""
        return os.fsdecode(self._slots[worker].numpy().tobytes().rstrip(b"\0"))


_mine: tuple[Board, int] | None = None  # of this process, where it is a loader process


def join(board: Board, worker: int) -> None:
    """Makes this process the loader process `worker` of a board."""
    global _mine
    _mine = (board, worker)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, whatever it is doing


@contextmanager
def watched(path: str) -> Iterator[None]:
    """Says that this process reads a video until the block ends. Outside of loader processes nothing happens."""
    if _mine is None:
        yield
        return
    board, worker = _mine
    board.write(worker, path)
    _set_timer(board.limit)
    try:
        yield
    finally:
        _set_timer(0.0)
        board.write(worker, "")


def _set_timer(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
