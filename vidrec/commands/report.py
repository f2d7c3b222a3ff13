"""Writes the page of a run: `report RUN [--out FILE.html]`."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.pages.eval_files import EvalFiles
    from vidrec.pages.report import Report

DESCRIPTION = (
    "Write one HTML page of a run, finished, running or killed: curves, accuracies, classes, confusions, hardest videos with frames,"
    " config. It holds everything it shows."
)
_BAD_VIDEO = re.compile(r" W (.*) Another video takes its place\.$")


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("report.py", description=DESCRIPTION)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="HTML file to write; report.html in the run's folder if not given")
    parser.add_argument("--eval", default="", metavar="NAME", help="folder in RUN of the test to show; its newest test if not given")
    parser.add_argument("--videos", type=int, default=12, metavar="N", help="hardest videos, with frames; 12 if not given")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="frames shown of each; 8 if not given")
    args = parser.parse_args(argv)
    out = args.out or args.run / "report.html"
    return run_command(lambda: report(args.run, out=out, test=args.eval, videos=args.videos, frames=args.frames))


def report(folder: Path, *, out: Path, test: str = "", videos: int = 12, frames: int = 8) -> None:
    """Writes the page. Raises UserError for a folder that is no run, a wrong argument, or a file that cannot be written."""
    for option, value, least in (("--videos", videos, 0), ("--frames", frames, 1)):
        if value < least:
            raise UserError(f"{option} is {value}; it must be at least {least}. Give a larger number.")
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out is {out}; the page is an HTML file: give it a name that ends in .html.")
    from vidrec.pages.frame import need_plotly, write_page
    from vidrec.pages.report import report_page

    check_run(folder)
    need_plotly()
    found = read_run(folder, test=test, videos=videos, frames=frames)
    write_page(out, report_page(found))
    print(f"{out}: {len(found.tests)} tests, {len(found.cards)} videos, {len(found.remarks)} remarks")


def check_run(folder: Path) -> None:
    """Raises UserError where a folder holds nothing of a run."""
    from vidrec.engine.metric_lines import METRICS_FILE
    from vidrec.pages.eval_files import find_tests

    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; it must be the folder of a run, such as runs/my_run. Give one.")
    if not any((folder / name).is_file() for name in (METRICS_FILE, "config.yaml")) and not find_tests(folder):
        raise UserError(
            f"{folder} has neither {METRICS_FILE} nor config.yaml nor the result of a test; it must be the folder of a run, such as"
            " runs/my_run. Give one."
        )


def read_run(folder: Path, *, test: str, videos: int, frames: int) -> "Report":
    """Everything that the folder tells; what is missing or damaged becomes a remark. Raises UserError for a test that is not there."""
    from vidrec.pages.report import Report

    found = Report(folder, made=time.strftime("%Y-%m-%d %H:%M:%S"))
    _read_metrics(found)
    cfg = _read_config(found)
    found.tests = read_tests(folder, test)
    if cfg is not None and not (found.test and found.test.classes):
        _read_names(found, cfg)
    found.summary = read_text(folder / "summary.md")
    found.bad_videos = bad_videos(folder / "log.txt", found.summary)
    if found.test:
        found.remarks += found.test.remarks
        found.cards = _cards(found.test, cfg, videos=videos, frames=frames)
    return found


def _read_metrics(found: "Report") -> None:
    from vidrec.engine.metric_lines import METRICS_FILE
    from vidrec.engine.totals import run_totals
    from vidrec.pages.run_curves import read_curves

    path = found.folder / METRICS_FILE
    if not path.is_file():
        found.remarks.append(f"There is no {METRICS_FILE}: no training was made in this folder.")
        return
    try:
        found.curves = read_curves(path)
        found.totals = run_totals(path)
    except OSError as error:
        found.remarks.append(f"{path} cannot be read ({error.strerror}).")
    except (KeyError, TypeError) as error:
        found.remarks.append(f"{path} has a line of another version ({type(error).__name__}: {error}); times and bests are left out.")


def _read_config(found: "Report") -> "CfgNode | None":
    """The run's config; None, with a remark, where there is none of this version."""
    from vidrec.commands.run_facts import views_text
    from vidrec.config.load import changed_keys, read_config

    path = found.folder / "config.yaml"
    found.config = read_text(path)
    if not found.config:
        found.remarks.append("There is no config.yaml that could be read.")
        return None
    cfg, mistakes = read_config(path)
    if mistakes:
        found.remarks.append(f"config.yaml is none of this version: {mistakes[0]}")
        return None
    config = cfg.CONFIG
    found.changed, found.num_epochs = changed_keys(cfg), config.TRAIN.EPOCH_NUM
    found.views = views_text(config.VAL.NUM_SEGMENT, config.VAL.NUM_CROP)
    return cfg


def _read_names(found: "Report", cfg: "CfgNode") -> None:
    from vidrec.data.build import class_names

    try:
        found.class_names = class_names(cfg)
    except UserError as error:
        found.remarks.append(f"Classes have numbers for names: {error}")


def read_tests(folder: Path, wanted: str) -> "list[EvalFiles]":
    """The tests of a run, the wanted one first, else the newest. Raises UserError where the wanted one is not there."""
    from vidrec.pages.eval_files import find_tests, read_test

    folders = find_tests(folder)
    names = [each.name for each in folders]
    if wanted and wanted not in names:
        raise UserError(f"--eval is {wanted!r}; the tests of {folder} are in {', '.join(names) or 'no folder'}. Give one of them.")
    folders.sort(key=lambda each: each.name != wanted)
    return [read_test(each) for each in folders]


def read_text(path: Path) -> str:
    """The text of a file; '' where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def bad_videos(log: Path, summary: str) -> list[str]:
    """What training could not read, a sentence each: out of the log, else out of summary.md, which names 20 at the most."""
    try:
        with open(log, encoding="utf-8", errors="surrogateescape") as lines:
            found = [match[1] for line in lines if (match := _BAD_VIDEO.search(line.rstrip("\n")))]
    except OSError:
        found = []
    listed = summary.partition("## Videos that could not be read")[2].splitlines()
    return list(dict.fromkeys(found)) or [line.removeprefix("- ").replace("`", "") for line in listed if line.startswith("- ")]


def _cards(test: "EvalFiles", cfg: "CfgNode | None", *, videos: int, frames: int) -> list[Any]:
    """The hardest videos with their pictures, or with the reason why there are none."""
    from vidrec.commands.report_frames import VideoOpener, draw_pictures
    from vidrec.engine.progress import Countdown
    from vidrec.pages.report_videos import Pictures, VideoCard
    from vidrec.utils.errors import VideoError

    entries = test.hardest[:videos]
    opener = VideoOpener(cfg, sha256=str(test.part("annotation").get("sha256", ""))) if entries else None
    cards = []
    for entry in Countdown(len(entries), "frames of the hardest videos").counted(entries):
        try:
            cards.append(VideoCard(entry, Pictures(*draw_pictures(opener, entry, frames=frames))))
        except (VideoError, OSError, ValueError) as error:
            cards.append(VideoCard(entry, None, str(error)))
    return cards
