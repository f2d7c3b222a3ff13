"""Lists of UCF101 from trainlist01.txt, testlist01.txt and classInd.txt, and the tree of avi files."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidrec.commands.prepare._finish import prepare_parser, run_prepare
from vidrec.commands.prepare._listing import Item, Listing, VideoIndex, class_order, read_text, wrong_line


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = prepare_parser("prepare ucf101", __doc__)
    parser.add_argument("--annotations", type=Path, required=True, metavar="DIR", help="folder of the split files (ucfTrainTestlist)")
    parser.add_argument("--split", type=int, choices=(1, 2, 3), default=1, help="one of the three published splits")
    return run_prepare(parser.parse_args(argv), make_listing)


def make_listing(args: argparse.Namespace) -> Listing:
    """The videos of one split that are below the folder of videos; the test list becomes `val`.

    Labels are those of the zoo, alphabetical, not the numbers of classInd.txt, where lower case comes first (Hammering, HammerThrow).

    Raises:
        DataError: a split file is missing or is none of UCF101's.
    """
    index_file = args.annotations / "classInd.txt"
    names = {name for _, (_, name) in _pairs(index_file, "`number name`")}
    classes, order = class_order(names, "ucf101")
    numbers = {name.lower(): number for number, name in enumerate(classes)}
    index = VideoIndex(args.videos)
    listing = Listing("ucf101", args.videos, classes, {"train": [], "val": []}, notes=[order])
    for split, file in (("train", f"trainlist{args.split:02d}.txt"), ("val", f"testlist{args.split:02d}.txt")):
        path = args.annotations / file
        for number, line in enumerate(read_text(path, "a split file of UCF101").splitlines(), 1):
            if not line.strip():
                continue
            listed = line.split()[0]
            folder, _, name = listed.rpartition("/")
            if folder.lower() not in numbers:
                raise wrong_line(path, number, line, "`class/name.avi` of a class of classInd.txt")
            found = index.find(name.rpartition(".")[0], folder)
            if found is None:
                listing.missing.append(f"{split}: {listed}")
            else:
                listing.splits[split].append(Item(found, numbers[folder.lower()]))
    if unused := index.unused(listing):
        listing.notes.append(f"{unused} files are not in split {args.split} and are left out.")
    return listing


def _pairs(path: Path, wanted: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """(line number, its two words) of each line."""
    for number, line in enumerate(read_text(path, "the class index of UCF101").splitlines(), 1):
        words = line.split()
        if words and len(words) != 2:
            raise wrong_line(path, number, line, wanted)
        if words:
            yield number, (words[0], words[1])
