"""Signals that ask a run to stop, on their way from the launcher to its processes."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# SIGUSR1 is what batch systems send ahead of the time limit. Untreated it would end the launcher and orphan the processes.
FORWARDED = (signal.SIGTERM, signal.SIGUSR1)
STOPPING = "VIDREC_STOPPING"  # the number of the signal that asked for the end; processes started after it end at once
AGENT = "VIDREC_AGENT"  # set in processes that this launcher has started


@contextmanager
def forward_signals() -> Iterator[None]:
    """While it lasts, each of FORWARDED that arrives here goes on to every process that this one has started, as often as it comes.

    What they do with it is theirs: training ends its step, saves and exits; other commands end at once.
    """

    def forward(number: int, frame: Any) -> None:
        os.environ[STOPPING] = str(number)
        for child in multiprocessing.active_children():
            with suppress(ProcessLookupError):
                os.kill(child.pid, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    os.environ[AGENT] = str(os.getpid())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        del os.environ[AGENT]


def stop_code() -> int:
    """128 + the number of the signal that asked for the end; 0 where none did."""
    return 128 + int(os.environ[STOPPING]) if STOPPING in os.environ else 0
