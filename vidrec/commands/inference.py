"""Says what videos show: `inference --config-file F INPUT ... [KEY VALUE ...]`."""

import argparse
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidrec.commands.cli import UNREADABLE, add_device, add_source, new_parser, run_command, split_overrides
from vidrec.commands.inference_extras import Extras, watch_streams, write_extras
from vidrec.utils.errors import UserError, VideoError
from vidrec.utils.say import show

if TYPE_CHECKING:
    from vidrec.data.annotations import VideoTable
    from vidrec.data.inputs import Inputs
    from vidrec.inference.predictor import Failure, Prediction, Predictor
    from vidrec.inference.records import Records

DESCRIPTION = "Say what videos show, by the network of a run, of a checkpoint, or of the model zoo with its published weights."
INPUTS = """\
inputs:
  video.mp4          a video file
  folder/            every video file and every folder of numbered frames below it
  list.txt, .csv ... a list in any form that training takes, or paths alone, one a line; - reads such a list from standard input
  https://...        a video file that is fetched (also s3:// and what else fsspec knows)
  rtsp://..., 0      a stream or a camera, watched until it ends, for --seconds, or until Ctrl-C
  CONFIG.KEY VALUE   a key of the config and its value, anywhere among the inputs: a word such as CONFIG.DATA.TEST_NUM_CROP is never
                     taken for a file (write ./CONFIG.X for one)

The exit code is 0, 1 for a mistake in what is asked, or 3 where videos could not be read (they are listed, all others are done)."""
STRIDE_S = 0.5
ONE_VIEW = ["CONFIG.DATA.TEST_NUM_SEGMENT", "1", "CONFIG.DATA.TEST_NUM_CROP", "1"]


class Options(NamedTuple):
    """The flags of the command line, named as they are."""

    source: str
    overrides: list[str]
    inputs: list[str]
    top_k: int
    out: Path
    device: str
    save_logits: bool
    data_folder: str
    extras: Extras
    windowed: str  # --stride or --window, where it is given
    seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    args = make_parser().parse_intermixed_args(argv)
    failures: list[str] = []
    run_command(lambda: failures.extend(predict(read_options(args))))
    return UNREADABLE if failures else 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser(
        "inference.py", description=DESCRIPTION, epilog=INPUTS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="see below; pairs KEY VALUE of the config may stand among them")
    add_source(parser)
    parser.add_argument("--top-k", type=int, default=5, metavar="K", help="classes that are shown and written; 5 if not given")
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), metavar="FOLDER", help="for csv and json; predictions if not given"
    )
    parser.add_argument("--views", choices=("protocol", "one"), help="views of a video: those of a test, or one clip in one crop")
    add_device(parser)
    parser.add_argument("--batch-size", type=int, metavar="N", help="views in one forward; if not given, VAL.BATCH_SIZE of the config")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that decode; if not given, DATA.NUM_WORKERS of the config")
    parser.add_argument("--data-folder", default="", metavar="FOLDER", help="put before relative paths in lists; if not given, the list's")
    parser.add_argument("--timeline", action="store_true", help="slide over each video: probabilities against time as csv and PNG")
    parser.add_argument("--stride", type=float, metavar="S", help=f"seconds from window to window; {STRIDE_S} if not given")
    parser.add_argument("--window", type=float, metavar="S", help="seconds of a window; if not given, what one clip spans")
    parser.add_argument("--annotate", action="store_true", help="write each video with the prediction drawn in, as an mp4")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="how long streams and cameras are watched; 0: to the end")
    parser.add_argument("--save-logits", action="store_true", help="write the logits of every view into FOLDER/logits, a file for a video")
    return parser


def read_options(args: argparse.Namespace) -> Options:
    """The flags, checked as far as that goes without the network. Raises UserError."""
    for flag, value in (("--top-k", args.top_k), ("--batch-size", args.batch_size)):
        if value is not None and value < 1:
            raise UserError(f"{flag} is {value}; it must be at least 1. Give a larger number, or leave it out.")
    for flag, value, lowest in (("--stride", args.stride, 1e-9), ("--window", args.window, 0), ("--seconds", args.seconds, 0)):
        if value is not None and not lowest <= value < float("inf"):
            raise UserError(f"{flag} is {value:g}; it must be {'above' if lowest else 'at least'} 0 seconds. Give another number.")
    inputs, overrides = split_overrides(args.inputs)
    if not inputs:
        raise UserError("No input is given; video files, folders or lists are wanted. Name some, see --help.")
    given = list(ONE_VIEW) if args.views == "one" else []
    given += ["CONFIG.VAL.BATCH_SIZE", str(args.batch_size)] if args.batch_size else []
    given += ["CONFIG.DATA.NUM_WORKERS", str(args.workers)] if args.workers is not None else []
    return Options(
        source=args.config_file or args.run,
        overrides=[*given, *overrides],
        inputs=inputs,
        top_k=args.top_k,
        out=args.out,
        device=args.device,
        save_logits=args.save_logits,
        data_folder=args.data_folder,
        extras=Extras(
            args.timeline,
            args.annotate,
            STRIDE_S if args.stride is None else args.stride,
            args.window or 0.0,
            all_crops=args.views == "protocol",
        ),
        windowed="--stride" if args.stride is not None else "--window" if args.window else "",
        seconds=args.seconds,
    )


def predict(options: Options) -> list[str]:
    """Predicts, prints and writes; returns the paths of the videos that could not be read."""
    from vidrec.commands.loading import find_source, make_predictor
    from vidrec.data.build import class_names
    from vidrec.data.inputs import find_inputs
    from vidrec.inference.records import Records

    found = find_source(options.source, options.overrides)
    inputs = find_inputs(
        options.inputs,
        class_names=class_names(found.cfg) or (),
        template=found.cfg.CONFIG.DATA.FRAME_TEMPLATE,
        data_folder=options.data_folder,
    )
    if options.windowed and not (options.extras.timeline or inputs.streams):
        raise UserError(f"{options.windowed} is given without --timeline, and no input is a stream. Add --timeline, or leave it out.")
    if inputs.streams and options.extras.annotate:
        raise UserError(f"{inputs.streams[0]} is a stream or a camera; --annotate takes files. Record it into a file first.")
    model = make_predictor(found, device=options.device)
    top_k = min(options.top_k, len(model.class_names))
    about = {"network": model.name, "weights": model.weights, "views": model.num_views, "scores": model.average.scores_are}
    show(str(model))
    with Records(options.out, about=about, top_k=top_k, logits=options.save_logits, class_names=model.class_names) as records:
        try:
            failures = _predict_files(model, inputs, records, options.extras)
        except KeyboardInterrupt:
            show(f"stopped after {records.count} of {inputs.num_videos} videos, which are in {options.out}")
            raise SystemExit(128 + signal.SIGINT) from None
        if inputs.streams:
            failures += watch_streams(model, inputs.streams, records, options.extras, seconds=options.seconds)
    if failures:
        show("\n  ".join([f"{len(failures)} of {inputs.num_videos + len(inputs.streams)} videos could not be read:", *failures]))
    show(f"written: {options.out}, with predictions.csv and predictions.json")
    return failures


def _predict_files(model: "Predictor", inputs: "Inputs", records: "Records", extras: Extras) -> list[str]:
    """Predicts every video of the tables; returns what could not be read."""
    from vidrec.data.remote import fetching_once
    from vidrec.engine.progress import Countdown

    failures = []
    with Countdown(inputs.num_videos, "inference") as countdown:
        for listed in inputs.tables:
            with fetching_once(listed) if extras.asked else nullcontext(listed) as table:
                for place, found in enumerate(model.predict_many(table, top_k=records.top_k)):
                    reason = _tell_and_record(model, found, table, place, records, extras, say=countdown.say)
                    table.release(place)
                    failures += [found.path] if reason else []
                    countdown.advance()
    return failures


def _tell_and_record(
    model: "Predictor",
    found: "Prediction | Failure",
    table: "VideoTable",
    place: int,
    records: "Records",
    extras: Extras,
    *,
    say: Callable[[str], None],
) -> str:
    """Says what a video shows and writes all that is asked for of it; returns why it could not be read, '' where it could."""
    from vidrec.inference.predictor import Failure
    from vidrec.inference.records import top_text

    if isinstance(found, Failure):
        say(f"{found.path}: CANNOT BE READ: {found.reason}")
        records.add(found)
        return found.reason
    say(f"{found.path}: {top_text(found.top)}")
    try:
        more, reason = write_extras(model, found, table, place, records, extras), ""
    except VideoError as error:
        more, reason = {"failure": str(error)}, str(error)
        say(f"{found.path}: CANNOT BE READ: {reason}")
    except UserError:  # such as a full disk: what is known of the video is kept
        records.add(found)
        raise
    records.add(found, **more)
    return reason
