#!/usr/bin/env python3
"""Lists of your own videos, a folder for each class; with folders train, val and test around them, or split by chance."""

import sys

from vidrec.commands.prepare.folder import main

if __name__ == "__main__":
    sys.exit(main())
