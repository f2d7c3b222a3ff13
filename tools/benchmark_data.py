#!/usr/bin/env python3
"""Measures what samples and views cost beside the decode: ratios of CPU times in one process with one thread."""

import sys

from vidrec.commands.benchmark_data import main

if __name__ == "__main__":
    sys.exit(main())
