"""Lists of Kinetics-400, 600 or 700 from its csv files and the clips, in class folders or flat, as `<id>_000010_000020.mp4`."""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vidrec.commands.prepare._finish import prepare_parser, run_prepare
from vidrec.commands.prepare._listing import Item, Listing, VideoIndex, class_order, read_text
from vidrec.utils.errors import DataError

SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
COLUMNS = ("youtube_id", "time_start", "time_end")


class Clip(NamedTuple):
    """A row of a csv file."""

    split: str
    label: str  # '' where the file gives none, as for the test clips of Kinetics-400
    video: str
    start: int  # seconds
    end: int


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = prepare_parser("prepare kinetics", __doc__)
    parser.add_argument(
        "--csv",
        type=Path,
        nargs="+",
        required=True,
        metavar="F",
        help="csv files with label, youtube_id, time_start, time_end and split; without a split column the file's name tells it",
    )
    return run_prepare(parser.parse_args(argv), make_listing)


def make_listing(args: argparse.Namespace) -> Listing:
    """The clips of the csv files that are below the folder of videos. Raises DataError for a file that is no csv of Kinetics."""
    clips = [clip for path in args.csv for clip in read_clips(path)]
    index = VideoIndex(args.videos)
    classes, order = class_order({clip.label for clip in clips if clip.label}, "kinetics400", "kinetics700")
    numbers = {name: number for number, name in enumerate(classes)}
    listing = Listing("kinetics", args.videos, classes, {}, notes=[order])
    without_label = 0
    for clip in clips:
        if not clip.label:
            without_label += 1
            continue
        items = listing.splits.setdefault(clip.split, [])
        name = f"{clip.video}_{clip.start:06d}_{clip.end:06d}"
        folders = (clip.split, clip.label, clip.label.replace(" ", "_"))
        path = index.find(name, *folders) or index.find(f"{clip.video}_{clip.start}_{clip.end}", *folders) or index.find(clip.video)
        if path is None:
            listing.missing.append(f"{clip.split}: {name} ({clip.label})")
        else:
            items.append(Item(path, numbers[clip.label]))
    if without_label:
        listing.notes.append(f"{without_label} rows have no label and are left out.")
    if unused := index.unused(listing):
        listing.notes.append(f"{unused} files are in no csv file and are left out.")
    return listing


def read_clips(path: Path) -> Iterator[Clip]:
    """The rows of a csv file. Raises DataError where a column is missing or a row is wrong."""
    table = csv.DictReader(read_text(path, "a csv file of Kinetics").splitlines())
    absent = [name for name in COLUMNS if name not in (table.fieldnames or [])]
    if absent:
        raise DataError(
            f"{path} has no column {', '.join(absent)}, but {', '.join(table.fieldnames or ['nothing'])}; wanted are label, "
            "youtube_id, time_start, time_end and split. Take the csv file as it was published."
        )
    by_name = next((split for word, split in SPLITS.items() if word in path.stem.lower()), "train")
    for row in table:
        split = (row.get("split") or by_name).strip().lower()
        try:
            start, end = int(float(row["time_start"])), int(float(row["time_end"]))
            yield Clip(SPLITS[split], (row.get("label") or "").strip(), row["youtube_id"].strip(), start, end)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}:{table.line_num}: {','.join(str(value) for value in row.values())!r:.120} is no clip; times are seconds"
                f" and the split is one of {', '.join(SPLITS)}. Take the csv file as it was published."
            ) from error
