#!/usr/bin/env python3
"""Writes the page of a run: python tools/report.py RUN [--out FILE.html]"""

import sys

from vidrec.commands.report import main

if __name__ == "__main__":
    sys.exit(main())
