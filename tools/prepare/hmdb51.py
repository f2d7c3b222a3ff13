#!/usr/bin/env python3
"""Lists of HMDB51 from its split files `<class>_test_split1.txt` and the tree of avi files."""

import sys

from vidrec.commands.prepare.hmdb51 import main

if __name__ == "__main__":
    sys.exit(main())
