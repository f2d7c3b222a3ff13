"""Measures inference of the networks of the model zoo, each at the clip it was published for, and writes a page of speed and accuracy."""

import argparse
import signal
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.list_models import find_rows
from vidrec.commands.zoo_figures import MACHINE, Figures, group_names, open_figures, read_figures, write_figures
from vidrec.commands.zoo_worker import Settings, measure_task, prepare_worker
from vidrec.model_zoo.costs import PATH, read_costs
from vidrec.utils.cores import free_memory
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from vidrec.utils.killable import Outcome

OUT = PATH.parent / "throughput.json"
PRECISIONS, FORMATS, CLOCKS = ("fp32", "bf16", "fp16"), ("contiguous", "channels_last_3d"), ("wall", "cpu")
LEAST = {"rounds": 1, "warm_up": 0, "batch_size": 1, "time_limit": 1, "memory_limit": 1}
GOING_ON = "The networks measured so far are kept; the same command goes on from there."
LACKING = 3  # exit code where the rest was measured and a network could not be; 1 is that of errors
FREE_SHARE = 0.9  # of the free memory that a network may take on the CPU


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser(
        "benchmark_zoo.py", description=f"{__doc__} Started again, it goes on where it stopped, and tries again what failed."
    )
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern of names, 'i3d*' or 'mxnet/*resnet50*'; all if not given")
    parser.add_argument("--device", help="cpu, cuda or cuda:N; if not given, cuda where there is one, else cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the passes; fp32 if not given")
    parser.add_argument("--memory-format", choices=FORMATS, default="contiguous", help="of weights and clips; contiguous if not given")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="clips in a pass; 1 if not given")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="measured passes of each network; 10 if not given")
    parser.add_argument("--warm-up", type=int, default=2, metavar="N", help="passes before them; 2 if not given")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: count the seconds that the process itself had, on a CPU that others use too"
    )
    parser.add_argument(
        "--memory-limit", type=float, metavar="GIB", help="a network's on the CPU; nine tenths of what is free if not given"
    )
    parser.add_argument("--time-limit", type=float, default=3600, metavar="S", help="seconds that a network may take; 3600 if not given")
    parser.add_argument("--out", type=Path, default=OUT, metavar="JSON", help=f"file of the figures; {OUT.name} in model_zoo/ if not given")
    parser.add_argument("--restart", action="store_true", help="forget what the file holds, and measure anew")
    parser.add_argument("--page-only", action="store_true", help="measure nothing; write the page of what the file holds")
    args = parser.parse_args(argv)
    return run_command(lambda: benchmark_zoo(args), going_on=GOING_ON)


def benchmark_zoo(args: argparse.Namespace) -> int:
    """Measures what is missing, then writes the page; returns the exit code. Raises UserError for what is wrong in arguments or file."""
    for name, least in LEAST.items():
        value = getattr(args, name)
        if value is not None and not value >= least:
            raise UserError(f"--{name.replace('_', '-')} is {value:g}; it must be at least {least}. Give a larger number.")
    if args.out.suffix != ".json":
        raise UserError(f"--out is {args.out}; the figures are a JSON file, with the page beside it: give it a name that ends in .json.")
    from vidrec.pages.frame import need_plotly

    need_plotly()  # before an hour of measuring
    if args.page_only:
        write_page(read_figures(args.out), args.out)
        return 0
    groups = group_names(find_rows(args.pattern))
    settings = choose_settings(args)
    machine = _machine(settings)
    figures = open_figures(args.out, machine, settings._asdict(), restart=args.restart)
    figures["measured_as"] |= {name: measured for measured, names in groups.items() for name in names}
    todo = [name for name in groups if "failed" in figures["measured"].get(name, {"failed": "never tried"})]
    print(f"{sum(map(len, groups.values()))} names, {len(groups)} different networks, {len(groups) - len(todo)} of them measured before")
    print(f"{machine['device']}, {machine['threads']} threads, {settings.precision}; figures go to {args.out}", flush=True)
    write_figures(args.out, figures)  # what cannot be written is said now
    measure(todo, settings, figures, args)
    write_page(figures, args.out)
    return LACKING if any("failed" in figures["measured"][name] for name in groups) else 0


def choose_settings(args: argparse.Namespace) -> Settings:
    """The settings that the arguments ask for. Raises UserError for a device that is not there, or cannot be measured so."""
    import torch

    found = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(found)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device is {found!r}; it must be cpu, cuda or cuda:N. Give one of these, or leave it out.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device is {found!r} and this machine has {torch.cuda.device_count()} CUDA devices; give one that is there, or cpu."
        )
    if device.type == "cuda" and args.clock == "cpu":
        raise UserError(f"--clock is cpu and --device {found}; a CUDA device is measured by the clock of the wall: leave --clock out.")
    return Settings(found, args.precision, args.memory_format, args.batch_size, args.rounds, args.warm_up, args.clock)


def _machine(settings: Settings) -> dict[str, Any]:
    import torch

    from vidrec.commands.machine import machine_facts

    facts = machine_facts(torch.device(settings.device))
    return {name: facts[name] for name in MACHINE}


def measure(todo: Sequence[str], settings: Settings, figures: Figures, args: argparse.Namespace) -> None:
    """Measures the networks of names one by one in another process, writes the file after each and says how it goes."""
    from vidrec.engine.progress import duration_text
    from vidrec.utils.killable import run_killable

    costs = read_costs()
    work = {name: costs[tuple(name.split("/"))].multiply_adds for name in todo}
    outcomes = run_killable(
        measure_task,
        [(name, settings) for name in todo],
        workers=1,
        timeout=args.time_limit,
        setup=partial(prepare_worker, memory_limit(args.memory_limit, settings)),
        preload=["vidrec.commands.get_fps", "vidrec.models.build", "vidrec.engine.measure", "vidrec.engine.out_of_memory"],
    )
    started, done = time.monotonic(), 0
    for place, outcome in enumerate(outcomes, start=1):
        name, _ = outcome.task
        found = outcome.result if outcome.end == "done" else {"failed": failure_text(outcome, args.time_limit)}
        figures["measured"][name] = found
        write_figures(args.out, figures)
        done += work[name]
        left = (time.monotonic() - started) * (sum(work.values()) - done) / done
        print(f"{place}/{len(todo)} {name}: {result_text(found)}, eta {duration_text(left)}", flush=True)


def failure_text(outcome: "Outcome", time_limit: float) -> str:
    """Why a network has no figures whose process hung or died."""
    if outcome.end == "hung":
        return f"it was not done after {time_limit:g} s"
    killed = -outcome.exit_code == signal.SIGKILL
    how = "killed (signal 9), most often since memory ran out" if killed else f"ended with exit code {outcome.exit_code}"
    return f"its process was {how}" if killed else f"its process {how}"


def result_text(found: Mapping[str, Any]) -> str:
    """Example: `1.234 clips/s, 1,013 MiB`"""
    if "failed" in found:
        return f"no figures: {found['failed']}"
    return f"{found['clips_per_s']:.4g} clips/s, {found['peak_memory_mib']:,} MiB"


def memory_limit(gib: float | None, settings: Settings) -> int:
    """Bytes that a process on the CPU may have; 0 for none, as on a CUDA device, which has a limit of its own."""
    if settings.device.startswith("cuda"):
        return 0
    return int((gib * 2**30) if gib else FREE_SHARE * free_memory())


def write_page(figures: Figures, out: Path) -> None:
    """Writes the page beside the file. Raises UserError where that fails."""
    from vidrec.pages.frame import write_page
    from vidrec.pages.throughput import throughput_page

    page = out.with_suffix(".html")
    write_page(page, throughput_page(figures))
    print(f"{page}: {len(figures['measured_as'])} names")
