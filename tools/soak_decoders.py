#!/usr/bin/env python3
"""Opens a video thousands of times with each decoder and reports how memory and open files grow."""

import sys

from vidrec.commands.soak_decoders import main

if __name__ == "__main__":
    sys.exit(main())
