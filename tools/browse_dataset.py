#!/usr/bin/env python3
"""Draws clips as the network sees them: python tools/browse_dataset.py --config-file F [--split train|val] [--num N] [--out FILE.png]"""

import sys

from vidrec.commands.browse_dataset import main

if __name__ == "__main__":
    sys.exit(main())
