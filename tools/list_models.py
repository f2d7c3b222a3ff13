#!/usr/bin/env python3
"""Lists the model zoo: python tools/list_models.py ["i3d*"] [--zoo torch|mxnet] [--data-set D] [--json]"""

import sys

from vidrec.commands.list_models import main

if __name__ == "__main__":
    sys.exit(main())
