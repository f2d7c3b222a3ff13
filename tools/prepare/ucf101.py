#!/usr/bin/env python3
"""Lists of UCF101 from trainlist01.txt, testlist01.txt and classInd.txt, and the tree of avi files."""

import sys

from vidrec.commands.prepare.ucf101 import main

if __name__ == "__main__":
    sys.exit(main())
