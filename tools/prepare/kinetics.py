#!/usr/bin/env python3
"""Lists of Kinetics-400, 600 or 700 from its csv files and the clips, in class folders or flat, as `<id>_000010_000020.mp4`."""

import sys

from vidrec.commands.prepare.kinetics import main

if __name__ == "__main__":
    sys.exit(main())
