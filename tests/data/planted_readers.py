"""Decoders that fail as native code does, for files whose names say how."""

import os
import signal
import time
from pathlib import Path

from vidrec.data.decoders.auto import open_auto


def open_planted(path):
    """`auto`, except for files named hang*, crash*, segfault*, killed* and wrong*."""
    kind = Path(path).stem
    if kind.startswith("hang"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(3600)
    if kind.startswith("crash"):
        os._exit(139)
    if kind.startswith("segfault"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind.startswith("wrong"):
        raise ZeroDivisionError("frames per second")
    return open_auto(path)
