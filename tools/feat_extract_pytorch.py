#!/usr/bin/env python3
"""Writes the features of videos: python tools/feat_extract_pytorch.py --config-file F [options] [KEY VALUE ...]"""

import sys

from vidrec.commands.feat_extract import main

if __name__ == "__main__":
    sys.exit(main())
