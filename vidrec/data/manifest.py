"""The manifest of a data set: what each video really is, as tools/check_dataset.py found it (CSV); training can leave out the bad ones."""

import csv
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from vidrec.data.annotations import VideoTable
from vidrec.utils.errors import DataError

OK = "ok"
BAD = {
    "missing": "no such file, or none that may be read",
    "unreadable": "no video, or damaged so that not all frames can be decoded",
    "truncated": "cut short: fewer frames than the container promises",
    "blank": "every frame has one color",
    "hung": "the decoder did not end within the time limit",
    "crashed": "the decoder's process died",
}
STATUSES = (OK, *BAD)


class ManifestRow(NamedTuple):
    """A video as it was found. What could not be found out is 0 or ''."""

    path: str
    status: str  # one of STATUSES
    frames: int  # that can be shown
    fps: float
    width: int  # pixels, stored, before rotation
    height: int
    rotation: int  # degrees counter-clockwise, by which the frames are turned for display
    codec: str
    notes: str  # what else is remarkable, separated by '; '
    reason: str  # why the status is not ok


def write_manifest(file: TextIO, rows: Iterable[ManifestRow]) -> None:
    """Writes the table with its header line."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(ManifestRow._fields)
    writer.writerows(rows)


def read_manifest(path: str | Path) -> Iterator[ManifestRow]:
    """The rows of a manifest. Raises DataError where the file is none, with the line."""
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != ManifestRow._fields:
                raise ValueError(f"its first line is not {','.join(ManifestRow._fields)}")
            for cells in reader:
                yield _parse(cells, reader.line_num)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"CONFIG.DATA.MANIFEST is {str(path)!r}, which cannot be used: {error}; the manifest.csv of tools/check_dataset.py is wanted. "
            "Check the path, or run the tool."
        ) from error


def leave_out_bad(table: VideoTable, manifest: str | Path) -> VideoTable:
    """The table without the videos that the manifest calls bad; what is left out is logged.

    Raises:
        DataError: the manifest cannot be read, knows no video of the table, or leaves none of it.
    """
    known, bad = set(), {}
    for row in read_manifest(manifest):
        known.add(hash(row.path))
        if row.status in BAD:
            bad[row.path] = row.status
    paths = [video_id(table.path(row)) for row in range(len(table))]
    unknown = sum(hash(path) not in known for path in paths)
    if unknown == len(paths):
        raise DataError(
            f"CONFIG.DATA.MANIFEST is {str(manifest)!r}, which knows none of the {len(paths)} videos of the training list; the manifest of "
            "the same files in the same place is wanted. Run tools/check_dataset.py on this config."
        )
    rows = np.array([path not in bad for path in paths])
    counts = Counter(bad[path] for path in paths if path in bad)
    if not rows.any():
        raise DataError(f"CONFIG.DATA.MANIFEST {str(manifest)!r} leaves none of the {len(paths)} training videos; mend the files it lists.")
    listed = f" ({', '.join(f'{count} {status}' for status, count in counts.most_common())})" if counts else ""
    log = logging.getLogger("vidrec")
    log.info("%s leaves %d of %d videos out of training%s", manifest, len(paths) - rows.sum(), len(paths), listed)
    if unknown:
        log.warning(
            "%s does not know %d of the %d training videos; they stay. Run tools/check_dataset.py again.", manifest, unknown, len(paths)
        )
    return table.keep(rows) if counts else table


def video_id(path: str) -> str:
    """The path by which a manifest knows a video: absolute, or the URL as it is."""
    return path if "://" in path else os.path.abspath(path)


def _parse(cells: list[str], line: int) -> ManifestRow:
    if len(cells) != len(ManifestRow._fields):
        raise ValueError(f"line {line} has {len(cells)} of {len(ManifestRow._fields)} cells")
    text = dict(zip(ManifestRow._fields, cells, strict=True))
    if text["status"] not in STATUSES:
        raise ValueError(f"line {line} has the status {text['status']!r}, not one of {', '.join(STATUSES)}")
    whole = {name: int(text[name]) for name in ("frames", "width", "height", "rotation")}
    return ManifestRow(**(text | whole | {"fps": float(text["fps"])}))
