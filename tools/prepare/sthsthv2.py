#!/usr/bin/env python3
"""Lists of Something-Something v2 from its json files and the folder of `<id>.webm`."""

import sys

from vidrec.commands.prepare.sthsthv2 import main

if __name__ == "__main__":
    sys.exit(main())
