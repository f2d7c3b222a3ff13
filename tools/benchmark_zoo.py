#!/usr/bin/env python3
"""Measures the networks of the model zoo: python tools/benchmark_zoo.py [PATTERN] [--device cuda] [--precision bf16] [--out FILE.json]"""

import sys

from vidrec.commands.benchmark_zoo import main

if __name__ == "__main__":
    sys.exit(main())
