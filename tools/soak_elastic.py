#!/usr/bin/env python3
"""Kills processes of small runs and compares how they end: python tools/soak_elastic.py [--kills N] [--agents 2]"""

import sys

from vidrec.commands.soak_elastic import main

if __name__ == "__main__":
    sys.exit(main())
