"""Ends a run in good order: a signal or the clock asks for it, the step is finished, the run is saved, and the process says so."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as distributed

from vidrec.engine.log import logger
from vidrec.utils.dist import any_true, world_size

# EX_TEMPFAIL of sysexits.h, "try again later": the run was saved and is not finished.
EXIT_STOPPED = 75
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
ONE_REQUEST_S = 3.0  # signals so close together are one: a process may get it from the batch system and from its launcher too


class Stopped(Exception):
    """The run was asked to stop, has been saved, and is not finished."""


class Stop:
    """Whether this process has been asked to stop.

    A second signal, more than ONE_REQUEST_S after the first, ends the process at once, whatever it is doing.

    Args:
        max_hours: the clock asks so long after the object was made; 0: never.
    """

    def __init__(self, *, max_hours: float = 0.0):
        self._deadline = time.monotonic() + max_hours * 3600 if max_hours else None
        self._reason = ""
        self._first: float | None = None

    @property
    def reason(self) -> str:
        """Why this process has been asked to stop, '' where it has not."""
        if not self._reason and self._deadline is not None and time.monotonic() >= self._deadline:
            self._reason = "CONFIG.TRAIN.MAX_HOURS are over"
        return self._reason

    @property
    def asked(self) -> bool:
        return bool(self.reason)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it lasts, SIGNALS ask this process to stop instead of ending it. For the main thread.

        Python runs a handler between two instructions of the main thread, which may stand in a collective for long; the number of a
        signal comes through the socket at once, and a thread takes it.
        """
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
        wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(ours,), name="vidrec-signals", daemon=True).start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            theirs.close()  # ends the thread

    def _listen(self, signals: socket.socket) -> None:
        with signals:
            while numbers := signals.recv(64):
                for number in numbers:
                    self._take(number)

    def _take(self, number: int) -> None:
        if number not in SIGNALS:
            return
        now = time.monotonic()
        if self._first is None:
            self._first, self._reason = now, signal.Signals(number).name
        elif now - self._first > ONE_REQUEST_S:
            os._exit(128 + number)


class Wishes(NamedTuple):
    """What a process has to tell the others after a step: it is asked to stop, a save is due, its last save has failed."""

    stop: bool
    save: bool
    failed: bool


class Agreement:
    """Lets all processes know after a step what any of them wishes, so that they act at the same step.

    Of several processes the wishes of a step are known after the next one: so the exchange goes on beside the step and nobody waits.
    """

    def __init__(self) -> None:
        self._wishes = torch.zeros(len(Wishes._fields), dtype=torch.int32)  # on the CPU: the groups of `launch` always speak gloo there
        self._exchange: distributed.Work | None = None

    def on(self, wishes: Wishes) -> Wishes:
        """The wishes to fulfil now; every process must ask, with its own."""
        if world_size() == 1:
            return wishes
        agreed = self.settled()
        self._wishes = torch.tensor(wishes, dtype=torch.int32)
        self._exchange = distributed.all_reduce(self._wishes, op=distributed.ReduceOp.MAX, async_op=True)
        return agreed

    def settled(self) -> Wishes:
        """What was asked last; nothing is under way afterwards."""
        if self._exchange is None:
            return Wishes(False, False, False)
        self._exchange.wait()
        self._exchange = None
        return Wishes(*map(bool, self._wishes.tolist()))


class Interruptible:
    """The items of a loader, until a process is asked to stop; then every process raises Stopped at the end of its share.

    The processes have different numbers of items, so they agree only there: one that is not asked itself goes through all of its items.
    """

    def __init__(self, items: Iterable[Any], stop: Stop):
        self._items, self._stop = items, stop

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            if self._stop.asked:
                break
            yield item
        if any_true(self._stop.asked):
            raise Stopped


def exit_status(status: int = EXIT_STOPPED) -> int:
    """What a process ends with that has not failed: `status`, or 0 under a torchrun that would start a process with any other one again."""
    restarts = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", 0)) > 0
    return 0 if restarts and "VIDREC_AGENT" not in os.environ else status


def requeue(run: Callable[..., Any] = subprocess.run) -> None:
    """Asks SLURM to put this job into its queue again; says so where that fails or this is no job of SLURM."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or shutil.which("scontrol") is None:
        what = "SLURM_JOB_ID is not set" if job is None else "there is no scontrol on PATH"
        logger.warning("CONFIG.TRAIN.REQUEUE is True and %s: the run is not put into a queue again; start it by hand.", what)
        return
    done = run(["scontrol", "requeue", job], capture_output=True, text=True)
    if done.returncode:
        logger.error("`scontrol requeue %s` ended with status %d (%s); start the run by hand.", job, done.returncode, done.stderr.strip())
    else:
        logger.info("job %s is in the queue again", job)
