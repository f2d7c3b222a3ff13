"""Measures what a long list of videos costs: seconds to load, memory at the peak and a row, private memory of loader processes."""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import DataError

if TYPE_CHECKING:
    from vidrec.data.annotations import VideoTable

CLASSES = 400
LAST_WORDS = ("drumming", "jump rope", "(on a beam)")


class ListForm(NamedTuple):
    """How a list is written.

    Args:
        line: of a video.
        named: labels are names of one to three words, of which the reader is told.
    """

    file: str
    line: str
    before: str = ""
    between: str = "\n"
    after: str = "\n"
    named: bool = False


FORMS = {
    "pair": ListForm("list.txt", "{path} {label}"),
    "text": ListForm("list.txt", "{path} {frames} {label}"),
    "frames": ListForm("list.txt", "{path} {frames} {end} {label}"),
    "seconds": ListForm("list.txt", "{path} {frames}.5 {end}.25 {label}"),
    "quoted": ListForm("list.txt", '"{path}" {frames} {label}'),
    "names": ListForm("list.txt", "{path} {name}", named=True),
    "several": ListForm("list.txt", "{path} {label},{second},{third}"),
    "csv": ListForm("list.csv", "{path},{frames},{label}"),
    "csv-names": ListForm("list.csv", "{path},{name}", named=True),
    "csv-several": ListForm("list.csv", '{path},"{label},{second},{third}"'),
    "tsv": ListForm("list.tsv", "{path}\t{frames}\t{label}"),
    "tsv-names": ListForm("list.tsv", "{path}\t{name}", named=True),
    "csv-header": ListForm("list.csv", "{label},{path},{frames}", "label,path,num_frames\n"),
    "csv-header-names": ListForm("list.csv", "{path},{name}", "path,label\n", named=True),
    "csv-header-several": ListForm("list.csv", '{path},"{label},{second},{third}"', "path,labels\n"),
    "tsv-header": ListForm("list.tsv", "{path}\t{frames}\t{end}\t{label}", "path\tstart\tend\tlabel\n"),
    "json": ListForm("list.json", '{{"path": "{path}", "label": {label}}}', "[\n", ",\n", "\n]\n"),
    "json-names": ListForm("list.json", '{{"id": "{path}", "template": "{name}"}}', "[\n", ",\n", "\n]\n", named=True),
    "json-several": ListForm("list.json", '"{path}": [{label}, {second}, {third}]', "{\n", ",\n", "\n}\n"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = new_parser(
        "benchmark_annotations.py", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
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
        table = read_table(file, num_classes=CLASSES, class_names=class_names() if FORMS[form].named else None)
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
    written, names = FORMS[form], class_names()
    with (folder / written.file).open("w", encoding="utf-8") as file:
        file.write(written.before)
        for row in range(num_rows):
            label, frames = row % CLASSES, row % 300
            path = f"train/class_{label:03d}/video_{row:09d}_000010.mp4"
            fields = {"path": path, "frames": frames, "end": frames + 10, "label": label, "name": names[label]}
            fields |= {"second": (label + 1) % CLASSES, "third": (label + 7) % CLASSES}
            file.write((written.between if row else "") + written.line.format(**fields))
        file.write(written.after)
    return folder / written.file


def class_names() -> list[str]:
    """Names of two to four words, whose last words many of them share."""
    return [f"{chr(97 + label // 26)}{chr(97 + label % 26)} {LAST_WORDS[label % len(LAST_WORDS)]}" for label in range(CLASSES)]


def worker_private(rows: "VideoTable | list[str]", workers: int) -> list[int]:
    """Private memory in bytes of each of some loader processes that have read every row, sorted (Linux)."""
    from vidrec.commands._row_reader import RowReader
    from vidrec.data.loaders import make_loader

    return sorted(make_loader(RowReader(rows, workers), range(workers), batch_size=None, num_workers=workers))
