#!/usr/bin/env python3
"""Serves a page on which a network looks at videos: python tools/demo_app.py [--runs DIR ...] [--port P]"""

import sys

from vidrec.commands.demo_app import main

if __name__ == "__main__":
    sys.exit(main())
