#!/usr/bin/env python3
"""Exports a network to torch.export and ONNX: python tools/export.py --config-file F [--format torch|onnx|both] [--int8] [KEY VALUE ...]"""

import sys

from vidrec.commands.export import main

if __name__ == "__main__":
    sys.exit(main())
