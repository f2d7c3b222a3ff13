#!/usr/bin/env python3
"""Draws where a network finds the evidence for a class: python tools/visualize_cam.py --config-file F video.mp4 ..."""

import sys

from vidrec.commands.visualize_cam import main

if __name__ == "__main__":
    sys.exit(main())
