#!/usr/bin/env python3
"""Writes the videos of a list into tar shards with an index, for clusters and object storage."""

import sys

from vidrec.commands.make_shards import main

if __name__ == "__main__":
    sys.exit(main())
