"""Writes the table of training speeds in docs/performance.md from the files that tools/benchmark_train.py wrote to docs/benchmarks/."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.tables import markdown_table
from vidrec.utils.errors import UserError

BEGIN, END = "<!-- written by tools/make_performance_table.py -->", "<!-- end of what it writes -->"
NETWORKS = {
    "I3D-R50": "configs/kinetics400/i3d_resnet50_v1_kinetics400.yaml",
    "SlowFast 4x16": "configs/kinetics400/slowfast_4x16_resnet50_kinetics400.yaml",
    "R(2+1)D-50": "configs/kinetics400/r2plus1d_v1_resnet50_kinetics400.yaml",
    "TPN-R50": "configs/kinetics400/tpn_resnet50_f8s8_kinetics400.yaml",
    "TSN-R50": "configs/kinetics400/resnet50_v1b_kinetics400.yaml",
}
SETTINGS = {"fp32": "fp32", "bf16_channels_last": "bf16, channels_last_3d", "bf16_compiled": "bf16, compiled"}
DEVICES = {"cuda": "a CUDA device", "cpu": "a CPU"}
NOT_MEASURED = "not measured"


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("make_performance_table.py", description=__doc__)
    parser.add_argument("--docs", type=Path, default=Path("docs"), metavar="FOLDER", help="with performance.md and benchmarks/; docs")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where the table is out of step with the files")
    args = parser.parse_args(argv)
    return run_command(lambda: make_performance_table(args.docs, check=args.check))


def make_performance_table(docs: Path, *, check: bool) -> None:
    """Writes the table, or compares it. Raises UserError where it differs, or where the page has no place for it."""
    page = docs / "performance.md"
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    if BEGIN not in old or END not in old:
        raise UserError(f"{page} has no place for the table; it must have the lines {BEGIN} and {END}: name the folder with --docs.")
    figures = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((docs / "benchmarks").glob("train_*.json"))]
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    new = f"{before}{BEGIN}\n\n{training_table(figures)}\n\n{END}{after}"
    if check and new != old:
        raise UserError(f"The table of {page} is not that of {docs / 'benchmarks'}; run python tools/make_performance_table.py and commit.")
    if not check:
        page.write_text(new, encoding="utf-8")


def training_table(figures: Sequence[dict[str, Any]]) -> str:
    """Rows for every network on every kind of device; a kind without figures says so."""
    rows = []
    for kind, words in DEVICES.items():
        for network, config in NETWORKS.items():
            found = [each for each in figures if (each["device_type"], each["config"]) == (kind, config)]
            rows += [_row(network, each) for each in found] or [[words, network, "", *[NOT_MEASURED] * len(SETTINGS), ""]]
    return markdown_table(["device", "network", "clips", *SETTINGS.values(), "date"], rows, "<<<>>><")


def _row(network: str, figures: dict[str, Any]) -> list[str]:
    frames, height, width = figures["clip"][1:]
    by_name = {each["name"]: each for each in figures["settings"]}
    threads = f", {figures['threads']} thread{'s' if figures['threads'] > 1 else ''}" if figures["device_type"] == "cpu" else ""
    clips = f"{figures['clips_per_step']} of {frames} x {height} x {width}"
    clock = "cpu" if figures["device_type"] == "cpu" else "step"
    cells = [_cell(by_name.get(name), by_name["fp32"], figures["clips_per_step"], clock) for name in SETTINGS]
    return [f"{figures['device']}{threads}, torch {figures['torch']}", network, clips, *cells, figures["date"]]


def _cell(each: dict[str, Any] | None, base: dict[str, Any], clips: int, clock: str) -> str:
    """Example: `0.39 (3.4x), 51%, 1727 MiB`"""
    if each is None:
        return NOT_MEASURED
    milliseconds = each["ms"][clock]
    factor = f" ({base['ms'][clock] / milliseconds:.1f}x)" if each is not base else ""
    return f"{1000 * clips / milliseconds:.3g}{factor}, {each['utilization']:.0%}, {each['memory_mib']} MiB"
