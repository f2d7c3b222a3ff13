#!/usr/bin/env python3
"""Measures inference: python tools/get_fps.py --config-file F [--json FILE] [KEY VALUE ...]"""

import sys

from vidrec.commands.get_fps import main

if __name__ == "__main__":
    sys.exit(main())
