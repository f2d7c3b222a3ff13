"""Lists of HMDB51 from its split files `<class>_test_split1.txt` and the tree of avi files."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vidrec.commands.prepare._finish import prepare_parser, run_prepare
from vidrec.commands.prepare._listing import Item, Listing, VideoIndex, class_order, read_text, wrong_line
from vidrec.utils.errors import DataError

SPLITS = {"1": "train", "2": "val", "0": ""}  # 0: in neither part of this split


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = prepare_parser("prepare hmdb51", __doc__)
    parser.add_argument("--annotations", type=Path, required=True, metavar="DIR", help="folder of the split files")
    parser.add_argument("--split", type=int, choices=(1, 2, 3), default=1, help="one of the three published splits")
    return run_prepare(parser.parse_args(argv), make_listing)


def make_listing(args: argparse.Namespace) -> Listing:
    """The videos of one split that are below the folder of videos; the test part becomes `val`.

    Raises:
        DataError: there are no split files, or one is none of HMDB51's.
    """
    ending = f"_test_split{args.split}.txt"
    files = {path.name.removesuffix(ending): path for path in sorted(args.annotations.glob(f"*{ending}"))}
    if not files:
        raise DataError(
            f"--annotations is {args.annotations}, which holds no file <class>{ending}; it must be the folder of HMDB51's split files "
            "(testTrainMulti_7030_splits). Check the path."
        )
    classes, order = class_order(set(files), "hmdb51")
    index = VideoIndex(args.videos)
    listing = Listing("hmdb51", args.videos, classes, {"train": [], "val": []}, notes=[order])
    for label, name in enumerate(classes):
        for number, line in enumerate(read_text(files[name], "a split file of HMDB51").splitlines(), 1):
            if not line.strip():
                continue
            video, _, part = line.strip().rpartition(" ")
            if part not in SPLITS or not video:
                raise wrong_line(files[name], number, line, "`name.avi 0`, 1 or 2")
            if not SPLITS[part]:
                continue
            found = index.find(video.strip().rpartition(".")[0], name)
            if found is None:
                listing.missing.append(f"{SPLITS[part]}: {name}/{video.strip()}")
            else:
                listing.splits[SPLITS[part]].append(Item(found, label))
    if unused := index.unused(listing):
        listing.notes.append(f"{unused} files are in neither part of split {args.split} and are left out.")
    return listing
