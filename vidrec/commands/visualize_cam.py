"""Draws where a network finds the evidence for a class: `visualize_cam --config-file F video.mp4 ... [--class C] [--layer NAME] ...`."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidrec.commands.cli import run_command
from vidrec.utils.errors import UserError, VideoError

if TYPE_CHECKING:
    from vidrec.inference.explain import Explanation
    from vidrec.inference.predictor import Predictor

DESCRIPTION = (
    "Draw where in space and time a network finds the evidence for a class (Grad-CAM): for each video a strip of frames (PNG) and an mp4."
)


class Wish(NamedTuple):
    """What is to be drawn. `class_name`: a name or number, or None for the most probable; the rest as in `explain`."""

    class_name: str | None
    layers: tuple[str, ...]
    num_views: int | None
    num_shown: int


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="visualize_cam.py", description=DESCRIPTION)
    parser.add_argument(
        "--config-file", required=True, metavar="F", help="YAML file, folder of a run, checkpoint, or a name of the model zoo"
    )
    parser.add_argument("inputs", nargs="+", metavar="VIDEO", help="video files; then KEY VALUE pairs that win over the config")
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
    parser.add_argument("--out", type=Path, default=Path("cam"), metavar="DIR", help="folder for the pictures; cam if not given")
    parser.add_argument("--device", default="", metavar="D", help="cpu, cuda, cuda:1 ...; a CUDA device if not given and there is one")
    args = parser.parse_intermixed_args(argv)
    wish = Wish(args.class_name, tuple(args.layer), args.views, args.frames)
    return run_command(lambda: visualize(args.config_file, args.inputs, wish, out=args.out, device=args.device))


def visualize(config_file: str, inputs: Sequence[str], wish: Wish, *, out: Path, device: str) -> None:
    """Draws every video that can be read. Raises UserError for a wrong argument, and at the end where a video could not be read."""
    first = next((place for place, text in enumerate(inputs) if text.startswith(("CONFIG.", "DDP_CONFIG."))), len(inputs))
    videos, overrides = inputs[:first], inputs[first:]
    for option, value in (("--frames", wish.num_shown), ("--views", wish.num_views)):
        if value is not None and value < 1:
            raise UserError(f"{option} is {value}; it must be at least 1. Give a larger number.")
    from vidrec.commands.loading import load
    from vidrec.engine.files import make_folder
    from vidrec.inference.cam import check_layers
    from vidrec.inference.explain import find_class

    predictor = load(config_file, overrides=overrides, device=device)
    check_layers(predictor.model, wish.layers)
    label = None if wish.class_name is None else find_class(wish.class_name, predictor.class_names)
    try:
        make_folder(out)
    except OSError as error:
        raise UserError(f"The folder {out} cannot be made ({error.strerror}); give --out a place that you may write to.") from error
    failures, started = [], time.monotonic()
    for place, (video, stem) in enumerate(zip(videos, _stems(videos), strict=True), start=1):
        try:
            line = _draw(predictor, video, wish, label=label, target=out / stem)
        except VideoError as error:
            failures.append(str(error))
            line = f"{video}: left out, {error}"
        print(f"{_progress(place, len(videos), started)}{line}", flush=True)
    if failures:
        listed = "\n".join(f"  - {failure}" for failure in failures)
        raise UserError(f"{len(failures)} of {len(videos)} videos cannot be read; the others are in {out}:\n{listed}")


def _draw(predictor: "Predictor", video: str, wish: Wish, *, label: int | None, target: Path) -> str:
    """Writes `target`.png and `target`.mp4 and says what they show."""
    from vidrec.inference.cam_pictures import save_pictures
    from vidrec.inference.explain import explain, shown_frames

    found = explain(predictor, video, label=label, layers=wish.layers, num_views=wish.num_views)
    strip, moving = target.with_name(f"{target.name}.png"), target.with_name(f"{target.name}.mp4")
    save_pictures(found, shown_frames(predictor, found), strip=strip, video=moving, num_shown=wish.num_shown)
    return f"{video}: {_summary(found)} -> {strip}, {moving}"


def _summary(found: "Explanation") -> str:
    """Example: `clockwise 99.1 %, most evidence at 0.43 s`"""
    peak = f"most evidence at {found.seconds[found.per_frame.argmax()]:.2f} s" if found.evidence.any() else "no evidence"
    return f"{found.name} {100 * found.probability:.1f} %, {peak}"


def _progress(done: int, total: int, started: float) -> str:
    """Example: `[2/5, eta 0:00:12] `; nothing for one video."""
    from vidrec.engine.progress import duration_text

    left = (time.monotonic() - started) / done * (total - done)
    return "" if total == 1 else f"[{done}/{total}, eta {duration_text(left)}] "


def _stems(videos: Sequence[str]) -> list[str]:
    """Names for the pictures of each video: its own without suffix, with a number where another has it already."""
    taken: dict[str, int] = {}
    stems = []
    for video in videos:
        stem = f"{Path(video).stem or 'video'}_cam"
        taken[stem] = taken.get(stem, 0) + 1
        stems.append(stem if taken[stem] == 1 else f"{stem}_{taken[stem]}")
    return stems
