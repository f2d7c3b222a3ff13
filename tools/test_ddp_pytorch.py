#!/usr/bin/env python3
"""Tests a network with many views per video: python tools/test_ddp_pytorch.py --config-file F [KEY VALUE ...]"""

import sys

from vidrec.commands.test import main

if __name__ == "__main__":
    sys.exit(main())
