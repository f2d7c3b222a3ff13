"""Imported first, and only, by the server that loader processes are forked from: it outlives a request to stop, and so do they.

torchrun and batch systems send the signals that ask a run to stop to whole groups or to every process of a job, and a terminal sends
Ctrl-C to a group. Loader processes would die of them, while the training process still needs them to finish its step. They end when it
does. So they get a process group of their own, and the server ignores the signals; see `stop_signals` for the loader processes.
A process has one such server for whatever it forks, so everyone who may be the first to start it asks for this module.
"""

import os
import signal

from vidrec.data.stop_signals import SIGNALS

os.setpgrp()
for number in SIGNALS:
    signal.signal(number, signal.SIG_IGN)
