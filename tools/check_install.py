#!/usr/bin/env python3
"""Tells whether the packages that vidrec needs load, with their versions and the devices."""

import sys

from vidrec.commands.check_install import main

if __name__ == "__main__":
    sys.exit(main())
