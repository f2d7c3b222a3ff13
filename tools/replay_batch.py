#!/usr/bin/env python3
"""Runs the batch of a step that went wrong once more: python tools/replay_batch.py FILE"""

import sys

from vidrec.commands.replay_batch import main

if __name__ == "__main__":
    sys.exit(main())
