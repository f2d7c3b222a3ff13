"""Writes a network as files that run without vidrec: torch.export (.pt2) and ONNX, compared with the network, also in int8."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidrec.commands.cli import UNREADABLE, add_source, new_parser, run_command
from vidrec.commands.tables import show
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from vidrec.commands.export_source import Subject
    from vidrec.inference.export import Exportable
    from vidrec.inference.int8 import Quantized

FORMATS = {"torch": ("torch",), "onnx": ("onnx",), "both": ("torch", "onnx")}


class Options(NamedTuple):
    """The flags of the command line, named as they are."""

    source: str
    overrides: Sequence[str] = ()
    weights: Path | None = None
    random_weights: bool = False
    format: str = "both"
    out: Path | None = None
    opset: int | None = None
    with_normalization: bool = False
    tolerance: float = 1e-3
    int8: bool = False
    calibration_clips: int = 64
    int8_tolerance: float = 0.25
    reduce_range: bool = False
    report: bool = False
    rounds: int = 20


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    args = vars(make_parser().parse_args(argv))
    config_file, name = args.pop("config_file"), args.pop("name")
    unread: list[str] = []
    run_command(lambda: unread.extend(export(Options(source=config_file or name, **args))))
    return UNREADABLE if unread else 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser("export.py", description=__doc__)
    add_source(parser, run_flags=("--name", "--run"), metavar="NAME")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--weights", type=Path, metavar="FILE", help="take these weights instead")
    which.add_argument("--random-weights", action="store_true", help="take fresh ones, to see whether a network can be exported")
    parser.add_argument("--format", choices=tuple(FORMATS), default="both", help="both if not given")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="`export` in the run's folder if not given, else `exports`")
    parser.add_argument("--opset", type=int, metavar="N", help="of the ONNX file, 18 to 23")
    parser.add_argument("--with-normalization", action="store_true", help="take pixels [B, T, H, W, 3] uint8, normalized inside")
    parser.add_argument("--tolerance", type=float, default=1e-3, metavar="X", help="difference allowed, over the logits' std; 0.001")
    int8 = parser.add_argument_group("int8")
    int8.add_argument("--int8", action="store_true", help="quantize convolutions and linear layers, on clips of the training list")
    int8.add_argument("--calibration-clips", type=int, default=64, metavar="N", help="64 if not given")
    int8.add_argument("--int8-tolerance", type=float, default=0.25, metavar="X", help="RMS difference allowed, over the std; 0.25")
    int8.add_argument("--reduce-range", action="store_true", help="7-bit activations, for a CPU without VNNI")
    int8.add_argument("--report", action="store_true", help="measure both networks on the validation list, and their speed")
    int8.add_argument("--rounds", type=int, default=20, metavar="N", help="measured forward passes of --report; 20 if not given")
    parser.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="config keys that win over the file")
    return parser


def export(options: Options) -> list[str]:
    """Exports a network and says what was written.

    Returns:
        The videos that could not be read where clips were taken from a list.

    Raises:
        UserError: something that the options name is wrong, or the network cannot be exported, or comes out another one.
    """
    _check(options)
    from vidrec.commands.export_report import report, report_videos
    from vidrec.commands.export_source import compared_clips, find_subject
    from vidrec.commands.export_write import write_all
    from vidrec.inference.export import Exportable

    subject = find_subject(options)
    if options.report:
        report_videos(subject)
    clips = compared_clips(subject)
    subject.say_failures(clips.failures)
    network = Exportable(subject.model, subject.mean, subject.std, takes_pixels=options.with_normalization)
    show(f"{subject.title}; {subject.weights}; compared on {clips.where}")
    failures, quantized = list(clips.failures), None
    if options.int8:
        quantized, unread = _quantize(subject, network, options)
        failures += unread
    exported = write_all(subject, network, clips, options, quantized)
    for file in exported:
        show(file.line())
    if options.report and quantized is not None:
        failures += report(subject, network, exported, options, quantized)
    return [failure.path for failure in failures]


def _quantize(subject: "Subject", network: "Exportable", options: Options) -> "tuple[Quantized, list]":
    from vidrec.commands.export_source import calibration_clips
    from vidrec.engine.progress import Countdown
    from vidrec.inference.int8 import quantize

    clips = calibration_clips(subject, options.calibration_clips)
    subject.say_failures(clips.failures)
    parts = clips.in_calibration_batches()
    with Countdown(len(parts), "calibration", unit="batch") as progress:
        batches = (network.inputs(part) for part in progress.counted(parts))
        quantized = quantize(network.module, batches, reduce_range=options.reduce_range)
    show(f"{quantized.shares}, calibrated on {clips.where}")
    return quantized, clips.failures


def _check(options: Options) -> None:
    """Raises UserError for what the flags themselves have wrong, and for packages that they need."""
    numbers = (("--tolerance", options.tolerance), ("--int8-tolerance", options.int8_tolerance))
    for flag, value in numbers:
        if not value > 0:
            raise UserError(f"{flag} is {value}; it must be more than 0. Give 0.001, or leave it out.")
    for flag, value in (("--calibration-clips", options.calibration_clips), ("--rounds", options.rounds)):
        if value < 2:
            raise UserError(f"{flag} is {value}; it must be at least 2. Give a larger number, or leave it out.")
    if options.report and not options.int8:
        raise UserError("--report is given without --int8; it compares the int8 network with the float one. Add --int8.")
    from vidrec.inference.export_onnx import check_onnx_packages, check_opset
    from vidrec.inference.int8 import check_int8_packages

    if "onnx" in FORMATS[options.format]:
        check_opset(options.opset)
        check_onnx_packages()
    elif options.opset is not None:
        raise UserError(f"--opset is {options.opset} and --format is {options.format}; an opset belongs to ONNX. Leave it out.")
    if options.int8:
        check_int8_packages()
