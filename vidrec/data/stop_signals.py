"""Loader processes outlive the signals that ask a run to stop: a batch system may send them to every process of a job."""

import os
import signal
import threading

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


def outlive(trainer: int) -> None:
    """Lets this loader process be ended by SIGTERM of the process that it loads for, and by SIGNALS of nobody else.

    A thread takes them, so it must be called before others are started. Where the system cannot say who sent a signal (macOS), nothing
    changes.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # the server ignores them, and torch has a handler of its own in the way
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_take, args=(trainer,), daemon=True).start()


def _take(trainer: int) -> None:
    while True:
        found = signal.sigwaitinfo(SIGNALS)
        if found.si_signo == signal.SIGTERM and found.si_pid == trainer:
            os._exit(0)
