"""`prepare DATA_SET ...`: lists and class maps out of what people download."""

import importlib
import sys
from collections.abc import Sequence

DATA_SETS = {
    "kinetics": "Kinetics-400, 600 and 700: csv files and a tree of clips",
    "sthsthv2": "Something-Something v2: json files and a folder of webm files",
    "ucf101": "UCF101: the split files and a tree of avi files",
    "hmdb51": "HMDB51: the split files and a tree of avi files",
    "folder": "your own videos, a folder for each class",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of a data set by name; `-h`, no name or an unknown one lists them. Returns the exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and argv[0] in DATA_SETS:
        return importlib.import_module(f"vidrec.commands.prepare.{argv[0]}").main(argv[1:])
    wanted = bool(argv) and argv[0] in ("-h", "--help")
    problem = "" if wanted or not argv else f"{argv[0]!r} is not a data set that prepare knows.\n"
    lines = "\n".join(f"  {name:10} {what}" for name, what in DATA_SETS.items())
    print(f"{problem}usage: prepare DATA_SET [--help]\n\ndata sets:\n{lines}", file=sys.stdout if wanted else sys.stderr)
    return 0 if wanted else 2
