"""From a listing to files: check the videos, encode them where asked, write lists, class map and report."""

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.prepare._listing import Listing
from vidrec.commands.prepare._reencode import Encoding, find_ffmpeg, reencode
from vidrec.commands.prepare._work import for_each, header_problem
from vidrec.utils.cores import usable_cores
from vidrec.utils.errors import DataError

SHOWN = 10  # missing and broken files that are printed; report.json has all


def prepare_parser(prog: str, description: str) -> argparse.ArgumentParser:
    """The options that the data sets share."""
    parser = new_parser(
        prog, description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--videos", type=Path, required=True, metavar="DIR", help="folder of the videos, at any depth")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for lists, class map, report and encoded videos")
    parser.add_argument("--check", choices=("headers", "none"), default="headers", help="open each file's header; nothing is decoded")
    parser.add_argument("--short-side", type=int, default=0, metavar="PIXELS", help="encode smaller copies with ffmpeg; 0: none")
    parser.add_argument("--crf", type=int, default=Encoding.crf, help="quality of the copies, 0 to 51, lower is better")
    parser.add_argument("--preset", default=Encoding.preset, help="of libx264, for the copies")
    parser.add_argument("--workers", type=int, default=0, help="files at a time; 0: one per core")
    return parser


def run_prepare(args: argparse.Namespace, make_listing: Callable[[argparse.Namespace], Listing]) -> int:
    """Runs the command of a data set. Returns the exit status."""

    def run() -> None:
        if args.short_side:
            Encoding(args.short_side, args.crf, args.preset).check()
            find_ffmpeg()
        try:
            finish(make_listing(args), args)
        except OSError as error:
            raise DataError(f"{args.out} cannot be written or {args.videos} read: {error}. Check the paths and the room left.") from error

    return run_command(run)


def finish(listing: Listing, args: argparse.Namespace) -> None:
    """Checks and encodes the videos of a listing and writes everything. Raises DataError where no video is left."""
    workers = args.workers or usable_cores()
    paths = sorted({item.path for items in listing.splits.values() for item in items})
    broken = _unwritable(paths)
    if args.check == "headers":
        whole = [path for path in paths if path not in broken]
        problems = for_each(lambda path: header_problem(str(listing.videos / path)), whole, workers=workers, title="read headers")
        broken |= {path: problem for path, problem in zip(whole, problems, strict=True) if problem}
    folder, names = listing.videos, {path: path for path in paths}
    if args.short_side:
        folder = args.out / "videos"
        encoding = Encoding(args.short_side, args.crf, args.preset)
        encoded = reencode(listing.videos, [path for path in paths if path not in broken], folder, encoding=encoding, workers=workers)
        broken |= {path: result.problem for path, result in encoded.items() if result.problem}
        names = {path: result.path for path, result in encoded.items()}
    args.out.mkdir(parents=True, exist_ok=True)
    names_text = "".join(f"{name}\n" for name in listing.classes)
    (args.out / "classes.txt").write_text(names_text, encoding="utf-8", errors="surrogateescape")
    counts = {}
    for split, items in listing.splits.items():
        rows = [(names[item.path], item.label) for item in items if item.path not in broken]
        counts[split] = {"listed": len(items), "written": len(rows)}
        _write_list(args.out / f"{split}.csv", rows)
    report = _report(listing, counts, broken, folder)
    (args.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _print_report(report, args.out)
    if not any(count["written"] for count in counts.values()):
        raise DataError(
            f"No video of {listing.name} could be listed; {args.out / 'report.json'} says why. Check --videos {listing.videos}."
        )


def _unwritable(paths: list[str]) -> dict[str, str]:
    """Files whose names cannot stand in a line."""
    return {path: "its name holds a line break" for path in paths if "\n" in path or "\r" in path}


def _write_list(path: Path, rows: list[tuple[str, int]]) -> None:
    """A csv file with a header. A name that would read as a comment gets a harmless ./ before it."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label"))
        writer.writerows((f"./{name}" if name.startswith("#") else name, label) for name, label in rows)


def _report(listing: Listing, counts: dict[str, Any], broken: dict[str, str], folder: Path) -> dict[str, Any]:
    return {
        "data_set": listing.name,
        "videos": str(folder.absolute()),
        "num_classes": len(listing.classes),
        "splits": counts,
        "num_missing": len(listing.missing),
        "num_broken": len(broken),
        "notes": listing.notes,
        "missing": listing.missing,
        "broken": [{"path": path, "reason": reason} for path, reason in sorted(broken.items())],
    }


def _print_report(report: dict[str, Any], out: Path) -> None:
    for split, count in report["splits"].items():
        print(f"{split:6} {count['written']} videos in {out / f'{split}.csv'}")
    for name in ("missing", "broken"):
        entries = [entry if isinstance(entry, str) else f"{entry['path']}: {entry['reason']}" for entry in report[name]]
        entries = [entry.replace("\n", "\\n").encode("utf-8", "backslashreplace").decode() for entry in entries]  # names need not be UTF-8
        if entries:
            print(f"{name:6} {len(entries)} videos, left out:", *(f"  {entry}" for entry in entries[:SHOWN]), sep="\n")
        if len(entries) > SHOWN:
            print(f"  and {len(entries) - SHOWN} more in {out / 'report.json'}")
    print(*report["notes"], sep="\n")
    print("In the config:")
    for split, key in (("train", "TRAIN"), ("val" if "val" in report["splits"] else "test", "VAL")):
        if split in report["splits"]:
            print(f"  CONFIG.DATA.{key}_ANNO_PATH {out / f'{split}.csv'} CONFIG.DATA.{key}_DATA_PATH {report['videos']}")
    print(f"  CONFIG.DATA.NUM_CLASSES {report['num_classes']} CONFIG.DATA.CLASS_NAMES {out / 'classes.txt'}")
