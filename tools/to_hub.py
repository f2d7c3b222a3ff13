#!/usr/bin/env python3
"""Writes a model folder for the Hugging Face hub: python tools/to_hub.py RUN FOLDER [--push OWNER/NAME]"""

import sys

from vidrec.commands.to_hub import main

if __name__ == "__main__":
    sys.exit(main())
