#!/usr/bin/env python3
"""Examines every video of a config's lists to its last frame, and writes a manifest and cleaned lists."""

import sys

from vidrec.commands.check_dataset import main

if __name__ == "__main__":
    sys.exit(main())
