#!/usr/bin/env python3
"""Says for each video and decoder whether its frames are those of a sequential decode, and what a clip costs."""

import sys

from vidrec.commands.compare_decoders import main

if __name__ == "__main__":
    sys.exit(main())
