#!/usr/bin/env python3
"""Turns any weights file into one of vidrec, or back to the reference's names: python tools/convert_weights.py SOURCE TARGET"""

import sys

from vidrec.commands.convert_weights import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
