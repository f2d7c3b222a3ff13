#!/usr/bin/env python3
"""Measures what a long list of videos costs: seconds to load, memory at the peak and a row, private memory of loader processes."""

import sys

from vidrec.commands.benchmark_annotations import main

if __name__ == "__main__":
    sys.exit(main())
