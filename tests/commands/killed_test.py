"""The test command, to be killed: python killed_test.py --config-file F [KEY VALUE ...]; with SLOWLY set slow, and every score is kept."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from vidrec.engine.evaluation import partial

PAUSE_S = 0.4  # after each video: time to be killed in, however fast the machine is
if "SLOWLY" in os.environ:  # the processes that the command starts import this file too
    partial.SAVE_EVERY_S = 0.0
    keep = partial.PartialScores.add

    def keep_and_wait(self, *video, **stamp):
        keep(self, *video, **stamp)
        time.sleep(PAUSE_S)

    partial.PartialScores.add = keep_and_wait


def main() -> int:
    from vidrec.commands.test import main as test

    return test(sys.argv[1:])


def results(folder: Path) -> dict[str, object]:
    """What a test wrote, by file, without what a clock or an installation decides."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".npz"}
    summary = json.loads(found["result.json"])
    found["result.json"] = {key: value for key, value in summary.items() if key not in ("seconds", "versions")}
    with np.load(folder / "scores.npz") as arrays:
        found["scores.npz"] = {name: arrays[name].tobytes() for name in arrays}
    return found


if __name__ == "__main__":
    raise SystemExit(main())
