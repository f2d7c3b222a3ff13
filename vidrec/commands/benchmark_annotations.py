"""Measures what a long list of videos costs: seconds to load, memory at the peak and a row, private memory of loader processes."""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import run_command
from vidrec.utils.errors import DataError

if TYPE_CHECKING:
    from vidrec.data.annotations import VideoTable

CLASSES = 400
FORMS = {
    "text": ("list.txt", "", "{path} {frames} {label}"),
    "spans": ("list.txt", "", "{path} {frames}.5 {end}.25 {label}"),
    "quoted": ("list.txt", "", '"{path}" {frames} {label}'),
    "csv": ("list.csv", "label,path,num_frames", "{label},{path},{frames}"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="benchmark_annotations", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="videos in the list")
    parser.add_argument("--form", choices=sorted(FORMS), default="text", help="of the list")
    parser.add_argument("--workers", type=int, default=4, help="loader processes that read the whole list")
    parser.add_argument("--json", type=Path, metavar="F", help="write the figures there too")
    args = parser.parse_args(argv)
    return run_command(lambda: benchmark_annotations(args.rows, args.form, workers=args.workers, json_file=args.json))


def benchmark_annotations(num_rows: int, form: str = "text", *, workers: int = 4, json_file: Path | None = None) -> dict[str, Any]:
    """Writes a list, loads it, lets loader processes read all of it, prints and returns the figures.

    Raises:
        DataError: fewer than 1 row or worker.
    """
    if num_rows < 1 or workers < 1:
        raise DataError(f"--rows is {num_rows} and --workers {workers}; both must be at least 1. Give larger numbers.")
    from vidrec.data.annotations import VideoTable, read_table

    with tempfile.TemporaryDirectory() as folder:
        file = write_list(Path(folder), num_rows, form)
        started, cpu = time.perf_counter(), time.process_time()
        table = read_table(file, num_classes=CLASSES)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    text, rest = table.num_bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    before = worker_private(VideoTable.from_paths(["a"]), workers)
    after = worker_private(table, workers)
    figures = {
        "form": form,
        "rows": len(table),
        "load_s": round(seconds, 2),
        "load_cpu_s": round(cpu, 2),
        "peak_gb": round(peak / 1e9, 3),
        "text_bytes_a_row": round(text / len(table), 2),
        "other_bytes_a_row": round(rest / len(table), 2),
        "private_mb_a_worker": [round((one - other) / 1e6, 2) for one, other in zip(after, before, strict=True)],
    }
    for name, value in figures.items():
        print(f"{name:20} {value}")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def write_list(folder: Path, num_rows: int, form: str) -> Path:
    """A list of made-up paths of 42 bytes, such as those of Kinetics."""
    name, header, line = FORMS[form]
    with (folder / name).open("w", encoding="utf-8") as file:
        file.write(f"{header}\n" if header else "")
        for row in range(num_rows):
            label, frames = row % CLASSES, row % 300
            path = f"train/class_{label:03d}/video_{row:09d}_000010.mp4"
            file.write(line.format(path=path, frames=frames, end=frames + 10, label=label) + "\n")
    return folder / name


def worker_private(rows: "VideoTable | list[str]", workers: int) -> list[int]:
    """Private memory in bytes of each of some loader processes that have read every row, sorted (Linux)."""
    from vidrec.commands._row_reader import RowReader
    from vidrec.data.loaders import make_loader

    return sorted(make_loader(RowReader(rows, workers), range(workers), batch_size=None, num_workers=workers))
