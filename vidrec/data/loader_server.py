"""Imported first, and only, by the server that loader processes are forked from: gives it and them a process group of their own.

torchrun and batch systems send the signals that ask a run to stop to whole groups, and a terminal sends Ctrl-C to one. Loader processes
would die of them, while the training process still needs them to finish its step. They end when it does.
"""

import os

os.setpgrp()
