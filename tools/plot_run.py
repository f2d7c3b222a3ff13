#!/usr/bin/env python3
"""Draws the curves of runs: python tools/plot_run.py RUN [RUN ...] [--out FILE.png]"""

import sys

from vidrec.commands.plot_run import main

if __name__ == "__main__":
    sys.exit(main())
