"""Work in processes that may hang or die: each task has a time limit, and costs itself at the most."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, NamedTuple

from vidrec.utils.errors import UserError

START_LIMIT = 120.0  # seconds in which a new process must be ready: it imports what it needs
END_LIMIT = 5.0  # seconds for a killed process to be gone; one that the kernel holds (a dead network drive) is left behind


class Outcome(NamedTuple):
    """How a task ended."""

    task: Any
    end: Literal["done", "hung", "died"]
    result: Any = None  # of a task that is done
    exit_code: int = 0  # of the process that died; negative: the number of the signal


def run_killable(
    function: Callable[[Any], Any], tasks: Sequence[Any], *, workers: int, timeout: float, setup: Callable[[], None], preload: list[str]
) -> Iterator[Outcome]:
    """Calls function(task) for every task in `workers` processes and yields the outcomes as they come.

    A task that takes longer than `timeout` seconds has its process killed with SIGKILL, and one whose process dies (segmentation fault,
    out of memory) is lost with it; a new process takes its place. None is left when the iterator ends or is closed.

    Args:
        setup: called first in every new process; its time, and that of importing, counts for no task.
        preload: modules that all processes need; imported once, in the server from which the processes are forked.

    Raises:
        UserError: a process cannot be started.
        RuntimeError: the function raised an error; with its traceback's text.
    """
    context = multiprocessing.get_context("forkserver")  # fork would copy locks of threads; spawn would import everything anew
    context.set_forkserver_preload(preload)
    waiting = deque(tasks)
    crew = [_Worker(context, function, setup) for _ in range(min(workers, len(tasks)))]
    try:
        while crew:
            limit = min(worker.deadline for worker in crew) - time.monotonic()
            wait([worker.connection for worker in crew], timeout=max(0.0, limit))
            for place, worker in enumerate(crew):
                outcome = worker.look()
                if outcome is not None and outcome.end != "done":
                    crew[place] = _Worker(context, function, setup)
                if outcome is not None:
                    yield outcome
            for worker in crew:
                if worker.is_idle and waiting:
                    worker.start(waiting.popleft(), timeout)
            for worker in [worker for worker in crew if worker.is_idle or (worker.is_starting and not waiting)]:
                worker.kill()
                crew.remove(worker)
    finally:
        for worker in crew:
            worker.kill()


class _Worker:
    """One process: starting, then idle or busy with a task."""

    def __init__(self, context: Any, function: Callable, setup: Callable):
        self.connection, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, function, setup), daemon=True)
        with _undisturbed():
            self._process.start()
        other.close()
        self.is_starting, self.is_idle, self._task = True, False, None
        self.deadline = time.monotonic() + START_LIMIT

    def start(self, task: Any, timeout: float) -> None:
        self._task, self.is_idle = task, False
        self.deadline = time.monotonic() + timeout
        with suppress(OSError):  # it died just now, which the next look finds
            self.connection.send(task)

    def look(self) -> Outcome | None:
        """What has happened since the last look: the end of its task, or None."""
        try:
            message = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return self._dead()
        if message is None:
            return self._overdue() if time.monotonic() >= self.deadline else None
        starting, task = self.is_starting, self._task
        self.is_starting, self.is_idle, self._task, self.deadline = False, True, None, float("inf")
        kind, result = message
        if kind == "error":
            raise RuntimeError(f"the work on {task!r} failed:\n{result}")
        return None if starting else Outcome(task, "done", result)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(END_LIMIT)
        self.connection.close()

    def _overdue(self) -> Outcome:
        self.kill()
        if self.is_starting:
            raise UserError(f"A worker process was not ready within {START_LIMIT:g} seconds; the machine is too busy. Use fewer --workers.")
        return Outcome(self._task, "hung")

    def _dead(self) -> Outcome:
        self._process.join(END_LIMIT)
        exit_code = self._process.exitcode
        self.kill()
        if self.is_starting:
            raise UserError(
                f"A worker process ended with exit code {exit_code} before its first task; it must be able to import vidrec and the "
                "decoder. Run tools/check_install.py; where memory is short use fewer --workers."
            )
        return Outcome(self._task, "died", exit_code=exit_code or 0)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds Ctrl-C back while processes start: they inherit that, and a Python on its way up does not end with a traceback of its own."""
    resource_tracker.ensure_running()  # where it starts later, it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, function: Callable[[Any], Any], setup: Callable[[], None]) -> None:
    """The loop of a process: a task in, its result out, until the other side is gone."""
    import traceback

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    setup()
    connection.send(("ready", None))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("result", function(task)))
        except Exception:  # a mistake in the function: the parent raises it with this text
            connection.send(("error", traceback.format_exc()))


def _end_with_parent() -> None:
    """Ends this process with the one that started it, even one that was killed while a task here hangs."""
    multiprocessing.parent_process().join()
    os._exit(1)
