"""Lists of Something-Something v2 from its json files and the folder of `<id>.webm`."""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidrec.commands.prepare._finish import prepare_parser, run_prepare
from vidrec.commands.prepare._listing import Item, Listing, VideoIndex, class_order, read_text
from vidrec.utils.errors import DataError

PREFIXES = ("something-something-v2-", "")  # the files' names have changed over the years
SPLITS = {"train": "train", "validation": "val"}
ANSWERS = "test-answers.csv"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = prepare_parser("prepare sthsthv2", __doc__)
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="DIR", help="folder of train.json, validation.json, labels.json (any prefix)"
    )
    return run_prepare(parser.parse_args(argv), make_listing)


def make_listing(args: argparse.Namespace) -> Listing:
    """The videos of the json files, and of the test's answers where they are there, that are below the folder of videos.

    Raises:
        DataError: a json file is missing or is none of Something-Something's.
    """
    classes, order = _classes(args.annotations)
    numbers = {name: number for number, name in enumerate(classes)}
    index = VideoIndex(args.videos)
    listing = Listing("sthsthv2", args.videos, classes, {}, notes=[order])
    wanted = {split: _records(args.annotations, name) for name, split in SPLITS.items()}
    if answers := _find(args.annotations, ANSWERS):
        wanted["test"] = _answers(answers)
    else:
        listing.notes.append(f"There is no {ANSWERS} beside the json files, so there is no list of the test videos.")
    for split, records in wanted.items():
        items = listing.splits.setdefault(split, [])
        for video, template in records:
            name = template.replace("[", "").replace("]", "")
            if name not in numbers:
                raise DataError(
                    f"Video {video} of {split} has the template {template!r}, which is not in labels.json; take files of one version."
                )
            path = index.find(video)
            if path is None:
                listing.missing.append(f"{split}: {video}")
            else:
                items.append(Item(path, numbers[name]))
    if unused := index.unused(listing):
        listing.notes.append(f"{unused} files are in no list and are left out.")
    return listing


def _classes(folder: Path) -> tuple[list[str], str]:
    """Class names by the numbers of labels.json, and a sentence about how they compare with the zoo's."""
    labels = _load(folder, "labels.json", "an object from class name to number")
    try:
        by_number = {int(number): name for name, number in labels.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"labels.json in {folder} is no object from class name to number ({error}); take it as it was published."
        ) from error
    if sorted(by_number) != list(range(len(labels))):
        raise DataError(f"The numbers in labels.json in {folder} are not 0 to {len(labels) - 1}, each once; take it as it was published.")
    classes = [by_number[number] for number in range(len(labels))]
    same = class_order(set(classes), "sthsthv2")[0] == classes and len(classes) == 174
    return classes, f"The {len(classes)} classes have the order of labels.json, " + (
        "as the zoo's sthsthv2 labels." if same else "which is not that of the zoo's sthsthv2 labels."
    )


def _records(folder: Path, split: str) -> list[tuple[str, str]]:
    """(id, template) of each video of a split."""
    records = _load(folder, f"{split}.json", "a list of records with id and template")
    try:
        return [(str(record["id"]), record["template"]) for record in records]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{split}.json in {folder} is no list of records with id and template ({error!r}); take it as it was published."
        ) from error


def _answers(path: Path) -> list[tuple[str, str]]:
    rows = [row for row in csv.reader(read_text(path, "the answers of the test").splitlines(), delimiter=";") if row]
    if any(len(row) != 2 for row in rows):
        raise DataError(f"{path} is no list of `id;class name`; take it as it was published, or take it away.")
    return [(row[0], row[1]) for row in rows]


def _find(folder: Path, name: str) -> Path | None:
    return next((folder / f"{prefix}{name}" for prefix in PREFIXES if (folder / f"{prefix}{name}").is_file()), None)


def _load(folder: Path, name: str, what: str) -> Any:
    path = _find(folder, name)
    if path is None:
        raise DataError(
            f"--annotations is {folder}, which holds neither {PREFIXES[0]}{name} nor {name}; it must hold {what}. Check the path."
        )
    try:
        return json.loads(read_text(path, what))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); it must be {what}. Fetch it again.") from error
