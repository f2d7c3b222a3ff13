#!/usr/bin/env python3
"""Measures training steps: python tools/benchmark_train.py --config-file F [--settings A,B] [--json FILE] [KEY VALUE ...]"""

import sys

from vidrec.commands.benchmark_train import main

if __name__ == "__main__":
    sys.exit(main())
