#!/usr/bin/env python3
"""Writes the table of training speeds in docs/performance.md: python tools/make_performance_table.py [--check]"""

import sys

from vidrec.commands.make_performance_table import main

if __name__ == "__main__":
    sys.exit(main())
