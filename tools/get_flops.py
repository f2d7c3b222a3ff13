#!/usr/bin/env python3
"""Counts what a network costs: python tools/get_flops.py --config-file F [--num-frames N] [--input-size S] [KEY VALUE ...]"""

import sys

from vidrec.commands.get_flops import main

if __name__ == "__main__":
    sys.exit(main())
