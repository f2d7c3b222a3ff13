"""Counts what the network of a config costs for one clip: `get_flops --config-file F [--num-frames N] [--input-size S] [KEY VALUE ...]`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidrec.commands.cli import config_parser, run_command
from vidrec.commands.tables import show, text_table, unit_for
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.costs import Costs
    from vidrec.models.recognizer import Recognizer

DESCRIPTION = (
    "Count multiply-adds, parameters and activations of one clip, by fvcore. Nothing is computed, and neither weights nor videos are read."
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = config_parser("get_flops.py", DESCRIPTION)
    parser.add_argument(
        "--num-frames", type=int, metavar="N", help="frames of the clip; if not given, NUM_SEGMENT * CLIP_LEN of the config"
    )
    parser.add_argument("--input-size", type=int, metavar="S", help="height and width in pixels; if not given, CROP_SIZE of the config")
    args = parser.parse_args(argv)
    return run_command(lambda: get_flops(args.config_file, args.overrides, num_frames=args.num_frames, input_size=args.input_size))


def get_flops(config_file: str, overrides: Sequence[str], *, num_frames: int | None, input_size: int | None) -> None:
    """Prints the table. Raises UserError for a mistake in the config, or a clip that the network cannot take."""
    for option, value, unit in (("--num-frames", num_frames, "frame"), ("--input-size", input_size, "pixel")):
        if value is not None and value < 1:
            raise UserError(f"{option} is {value}; it must be at least 1 {unit}. Give a larger number, or leave it out for the config's.")
    from vidrec.commands.runs import load_run_config
    from vidrec.engine.costs import count_costs

    cfg = load_run_config(config_file, overrides)
    data = cfg.CONFIG.DATA
    frames = data.NUM_SEGMENT * data.CLIP_LEN if num_frames is None else num_frames
    size = data.CROP_SIZE if input_size is None else input_size
    costs = count_costs(_build_on_meta(cfg), num_frames=frames, size=size)
    show(report(f"{cfg.CONFIG.MODEL.NAME or config_file}, {data.NUM_CLASSES} classes", f"{frames} frames, {size} x {size} pixels", costs))


def report(network: str, clip: str, costs: "Costs") -> str:
    """The whole table for one clip, then what was not counted."""
    trainable = "all" if costs.trainable == costs.parameters else f"{costs.trainable:,}"
    totals = (costs.multiply_adds, costs.parameters, costs.activations)
    units = [unit_for(total) for total in totals]
    exact = [f"{total:,}" for total in totals]
    adds, parameters, activations = (_scaled(total, unit) + f" {unit[0]}" for total, unit in zip(totals, units, strict=True))
    head = [
        ("network", network),
        ("input", clip),
        ("multiply-adds", f"{adds} ({exact[0]})"),
        ("parameters", f"{parameters} ({exact[1]}; trainable: {trainable})"),
        ("activations", f"{activations} ({exact[2]})"),
    ]
    rows = []
    for name, *counts in (*costs.parts, ("total", *totals)):
        shown = [_scaled(count, unit) for count, unit in zip(counts, units, strict=True)]
        rows.append([name, shown[0], f"{100 * counts[0] / costs.multiply_adds:.1f}", *shown[1:]])
    columns = [f"{name}, {unit}" for name, (unit, _) in zip(("multiply-adds", "parameters", "activations"), units, strict=True)]
    parts = text_table(["part", columns[0], "%", *columns[1:]], rows, "<>>>>")
    return "\n".join([*(f"{name:14}{text}" for name, text in head), "", parts, "", *_remarks(costs)])


def _scaled(count: int, unit: tuple[str, float]) -> str:
    return f"{count / unit[1]:.2f}"


def _remarks(costs: "Costs") -> list[str]:
    calls = ", ".join(f"{name} ({count})" for name, count in costs.uncounted.items() if name not in costs.missed)
    lines = [
        "One multiply-add counts 1: convolutions, linear layers, attention, BatchNorm (2 per element), adaptive 2-D average pools.",
        f"Not counted, as is usual (calls): {calls or 'nothing'}.",
    ]
    if costs.missed:
        calls = ", ".join(f"{name} ({costs.uncounted[name]})" for name in costs.missed)
        lines.append(f"NOT COUNTED because fvcore does not know it (calls): {calls}. The multiply-adds above are too few by that.")
    return lines


def _build_on_meta(cfg: "CfgNode") -> "Recognizer":
    import torch

    from vidrec.models.build import build_model

    with torch.device("meta"):
        return build_model(cfg, load_weights=False)
