#!/usr/bin/env python3
"""Writes model_zoo/costs.json and model_zoo/README.md: python tools/make_zoo_tables.py [--check] [--keep-costs]"""

import sys

from vidrec.commands.make_zoo_tables import main

if __name__ == "__main__":
    sys.exit(main())
