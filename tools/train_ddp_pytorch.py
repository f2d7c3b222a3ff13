#!/usr/bin/env python3
"""Trains a network: python tools/train_ddp_pytorch.py --config-file F [KEY VALUE ...]"""

import sys

from vidrec.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
