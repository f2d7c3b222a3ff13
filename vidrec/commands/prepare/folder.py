"""Lists of your own videos, a folder for each class; with folders train, val and test around them, or split by chance."""

import argparse
import hashlib
import os
from collections.abc import Sequence

from vidrec.commands.prepare._finish import prepare_parser, run_prepare
from vidrec.commands.prepare._listing import Item, Listing, VideoIndex
from vidrec.utils.errors import DataError

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = prepare_parser("prepare folder", __doc__)
    parser.add_argument(
        "--val-share", type=float, default=0.2, help="share of each class for validation, where there are no folders for it"
    )
    parser.add_argument("--test-share", type=float, default=0.0, help="share of each class for the test")
    parser.add_argument("--seed", type=int, default=0, help="of the split; equal seeds and names give equal splits")
    return run_prepare(parser.parse_args(argv), make_listing)


def make_listing(args: argparse.Namespace) -> Listing:
    """The videos of the class folders. Raises DataError for shares that leave nothing to train on, and for loose files."""
    if min(args.val_share, args.test_share) < 0 or args.val_share + args.test_share >= 1:
        raise DataError(
            f"--val-share is {args.val_share:g} and --test-share {args.test_share:g}; each must be at least 0 and both together below 1. "
            "Lower them."
        )
    index = VideoIndex(args.videos)
    parts = [path.split("/") for path in index.paths]
    given = all(words[0].lower() in SPLITS for words in parts)
    depth = 1 if given else 0  # of the class folder
    loose = ["/".join(words) for words in parts if len(words) <= depth + 1]
    if loose:
        where = "train/CLASS/" if given else "CLASS/"
        raise DataError(
            f"{args.videos} holds {len(loose)} videos outside of class folders, the first {loose[0]}; each must be in {where}. Move them."
        )
    classes = sorted({words[depth] for words in parts})
    listing = Listing("folder", args.videos, classes, {}, notes=[f"The {len(classes)} classes have alphabetical order."])
    by_class: dict[str, list[str]] = {name: [] for name in classes}
    for words in parts:
        by_class[words[depth]].append("/".join(words))
    for label, paths in enumerate(by_class.values()):
        for path, split in given_splits(paths) if given else drawn_splits(paths, args):
            listing.splits.setdefault(split, []).append(Item(path, label))
    if not given:
        listing.notes.append(
            f"The split is drawn with seed {args.seed}. Clips of one recording should be on one side: make folders train and val."
        )
    _note_missing_classes(listing)
    listing.splits = {split: listing.splits[split] for split in ("train", "val", "test") if split in listing.splits}
    return listing


def given_splits(paths: Sequence[str]) -> list[tuple[str, str]]:
    """(path, split) by the outermost folder."""
    return [(path, SPLITS[path.split("/")[0].lower()]) for path in paths]


def drawn_splits(paths: Sequence[str], args: argparse.Namespace) -> list[tuple[str, str]]:
    """(path, split) of the videos of one class; a class of two or more keeps at least one to train on.

    Videos are ordered by a hash of seed and path, and the first ones are taken: the split is the same on every machine, and a video that
    is added later moves at most one other across.

    Example: 10 videos, shares 0.2 and 0.1 -> 2 val, 1 test, 7 train
    """
    order = sorted(paths, key=lambda path: hashlib.sha256(b"%d:%s" % (args.seed, os.fsencode(path))).digest())
    num_val = _share(len(paths), args.val_share)
    num_test = min(_share(len(paths), args.test_share), max(len(paths) - num_val - 1, 0))
    splits = dict.fromkeys(order[:num_val], "val") | dict.fromkeys(order[num_val : num_val + num_test], "test")
    return [(path, splits.get(path, "train")) for path in paths]


def _share(count: int, share: float) -> int:
    """How many of some videos are a share: rounded, at least one where the share is not 0, and never all."""
    return min(max(round(count * share), 1 if share else 0), count - 1)


def _note_missing_classes(listing: Listing) -> None:
    for split, items in listing.splits.items():
        absent = sorted(set(range(len(listing.classes))) - {item.label for item in items})
        if absent:
            names = ", ".join(listing.classes[label] for label in absent[:5])
            listing.notes.append(f"{split} has no video of {len(absent)} classes: {names}{' ...' if len(absent) > 5 else ''}.")
