#!/usr/bin/env python3
"""Says what videos show: python tools/inference.py --config-file F video.mp4 folder/ list.txt ... [KEY VALUE ...]"""

import sys

from vidrec.commands.inference import main

if __name__ == "__main__":
    sys.exit(main())
