"""Runs the Python blocks of one page one after the other: the path of a file a line comes in, its traceback or "" goes out as JSON.

What a block has defined, the next one knows.
"""

import json
import runpy
import sys
import traceback


def run_blocks() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    known: dict = {}
    for line in sys.stdin:
        problem = ""
        try:
            # Another name than __main__: loader processes import the file of __main__ again.
            after = runpy.run_path(line.strip(), init_globals=known, run_name="docs_block")
            known = {name: value for name, value in after.items() if not name.startswith("__")}
        except BaseException:
            problem = traceback.format_exc()
        print(json.dumps(problem), file=answers, flush=True)


if __name__ == "__main__":
    run_blocks()
