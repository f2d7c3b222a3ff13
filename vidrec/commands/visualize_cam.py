"""Draws where a network finds the evidence for a class: `visualize_cam --config-file F INPUT ... [--class C] [--layer NAME]`."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import UNREADABLE, add_device, add_source, new_parser, run_command, split_overrides
from vidrec.utils.errors import UserError, VideoError
from vidrec.utils.say import show

if TYPE_CHECKING:
    from vidrec.data.inputs import Inputs
    from vidrec.inference.explain import Explanation
    from vidrec.inference.predictor import Predictor

DESCRIPTION = (
    "Draw where in space and time a network finds the evidence for a class (Grad-CAM): for each video a strip of frames (PNG) and an mp4."
)
EPILOG = (
    "Inputs are those of inference.py: video files, folders, lists, URLs, and KEY VALUE pairs of the config among them. The exit code is "
    "0, 1 for a mistake in what is asked, or 3 where videos could not be read (they are listed, all others are done)."
)
STEM_BYTES = 200  # of a video's name in those of its pictures


class Wish(NamedTuple):
    """What is to be drawn. `class_name`: a name or number, or None for the most probable; the rest as in `explain`."""

    class_name: str | None
    layers: tuple[str, ...]
    num_views: int | None
    num_shown: int


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("visualize_cam.py", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="videos, and KEY VALUE pairs that win over the config")
    add_source(parser)
    parser.add_argument("--class", dest="class_name", metavar="C", help="name or number of the class; the most probable if not given")
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="module whose output is looked at; repeated: added. If not given, what the head pools",
    )
    parser.add_argument("--views", type=int, metavar="N", help="clips of each video; 1 if not given, the middle (more for short clips)")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="frames in the strip; 8 if not given")
    parser.add_argument("--out", type=Path, default=Path("cam"), metavar="FOLDER", help="folder for the pictures; cam if not given")
    add_device(parser)
    args = parser.parse_intermixed_args(argv)
    wish = Wish(args.class_name, tuple(args.layer), args.views, args.frames)
    failures: list[str] = []
    run_command(lambda: failures.extend(visualize(args.config_file or args.run, args.inputs, wish, out=args.out, device=args.device)))
    return UNREADABLE if failures else 0


def visualize(source: str, words: Sequence[str], wish: Wish, *, out: Path, device: str) -> list[str]:
    """Draws every video that can be read; returns the paths of the others. Raises UserError for a mistake in what is asked."""
    for option, value in (("--frames", wish.num_shown), ("--views", wish.num_views)):
        if value is not None and value < 1:
            raise UserError(f"{option} is {value}; it must be at least 1. Give a larger number.")
    from vidrec.commands.loading import find_source, make_predictor
    from vidrec.engine.files import make_folder
    from vidrec.inference.cam import check_layers
    from vidrec.inference.explain import find_class

    words, overrides = split_overrides(words)
    found = find_source(source, overrides)
    inputs = _find_videos(words, found.cfg)
    model = make_predictor(found, device=device)
    check_layers(model.model, wish.layers)
    label = None if wish.class_name is None else find_class(wish.class_name, model.class_names)
    try:
        make_folder(out)
    except OSError as error:
        raise UserError(f"The folder {out} cannot be made ({error.strerror}); give --out a place that you may write to.") from error
    failures = _draw_all(model, inputs, wish, label=label, out=out)
    if failures:
        show("\n  ".join([f"{len(failures)} of {inputs.num_videos} videos could not be read:", *failures]))
    return failures


def _find_videos(words: Sequence[str], cfg: Any) -> "Inputs":
    """The videos that are meant. Raises UserError where there are none, and for streams and cameras, which do not end."""
    from vidrec.data.build import class_names
    from vidrec.data.inputs import find_inputs

    inputs = find_inputs(words, class_names=class_names(cfg) or (), template=cfg.CONFIG.DATA.FRAME_TEMPLATE)
    if inputs.streams:
        raise UserError(f"{inputs.streams[0]} is a stream or a camera; visualize_cam takes files. Record it into a file first.")
    return inputs


def _draw_all(model: "Predictor", inputs: "Inputs", wish: Wish, *, label: int | None, out: Path) -> list[str]:
    """Draws what can be read, and says what it shows; returns the paths of what cannot."""
    from vidrec.engine.progress import Countdown
    from vidrec.inference.cam_pictures import save_pictures
    from vidrec.inference.explain import explain, shown_frames

    videos = [(table, index) for table in inputs.tables for index in range(len(table))]
    stems, failures = _stems(table.path(index) for table, index in videos), []
    with Countdown(inputs.num_videos, "visualize_cam") as countdown:
        for (table, index), stem in zip(videos, stems, strict=True):
            path, strip, moving = table.path(index), out / f"{stem}.png", out / f"{stem}.mp4"
            try:
                options = {"span": table.span(index), "label": label, "layers": wish.layers, "num_views": wish.num_views}
                found = explain(model, table.source(index), **options)
                save_pictures(found, shown_frames(model, found), strip=strip, video=moving, num_shown=wish.num_shown)
                countdown.say(f"{path}: {_summary(found)} -> {strip}, {moving.name}")
            except VideoError as error:
                failures.append(path)
                countdown.say(f"{path}: CANNOT BE READ: {error}")
            countdown.advance()
    return failures


def _summary(found: "Explanation") -> str:
    """Example: `clockwise 99.1 %, most evidence at 0.43 s`"""
    peak = f"most evidence at {found.seconds[found.per_frame.argmax()]:.2f} s" if found.evidence.any() else "no evidence"
    return f"{found.name} {100 * found.probability:.1f} %, {peak}"


def _cut(name: str) -> str:
    """A name that leaves room for more, since file systems allow 255 bytes."""
    while len(os.fsencode(name)) > STEM_BYTES:
        name = name[:-1]
    return name


def _stems(paths: Iterator[str]) -> list[str]:
    """Names for the pictures of each video: its own without suffix, with a number where another has it already."""
    taken: dict[str, int] = {}
    stems = []
    for path in paths:
        stem = f"{_cut(Path(path).stem) or 'video'}_cam"
        taken[stem] = taken.get(stem, 0) + 1
        stems.append(stem if taken[stem] == 1 else f"{stem}_{taken[stem]}")
    return stems
