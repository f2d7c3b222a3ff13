#!/usr/bin/env python3
"""Writes the demo data set: small mp4 files of eight motions, with annotation files for training and validation."""

import sys

from vidrec.commands.make_demo_data import main

if __name__ == "__main__":
    sys.exit(main())
