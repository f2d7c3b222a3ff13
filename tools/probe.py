#!/usr/bin/env python3
"""Measures features with simple classifiers: python tools/probe.py --features TRAIN --val VAL [options]"""

import sys

from vidrec.commands.probe import main

if __name__ == "__main__":
    sys.exit(main())
