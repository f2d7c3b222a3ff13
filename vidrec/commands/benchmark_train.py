"""Measures the training steps of a config: clips per second, where a step's time goes, memory, and the share of the device's own speed.

Several ways of computing the step take turns in one run, so that a busy moment of the machine hits all of them.
"""

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import config_parser, run_command
from vidrec.commands.tables import show, text_table
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.stepper import Stepper

FAST = {"PRECISION": "bf16", "MEMORY_FORMAT": "channels_last_3d", "COMPILE": ""}
SETTINGS: dict[str, dict[str, str]] = {
    "config": {},
    "fp32": {"PRECISION": "fp32", "MEMORY_FORMAT": "contiguous", "COMPILE": ""},
    "fp32_channels_last": FAST | {"PRECISION": "fp32"},
    "bf16": FAST | {"MEMORY_FORMAT": "contiguous"},
    "bf16_channels_last": FAST,
    "bf16_compiled": FAST | {"COMPILE": "inductor"},
    "fp16_channels_last": FAST | {"PRECISION": "fp16"},
}
PARTS = ("data", "copy", "forward", "backward", "optimizer")
WORDS = f"comma-separated, of {', '.join(SETTINGS)}; config is the config as it is"


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = config_parser("benchmark_train.py", __doc__)
    parser.add_argument("--settings", default="config", metavar="A,B", help=WORDS)
    parser.add_argument("--rounds", type=int, default=10, help="measured steps of each; 10 if not given")
    parser.add_argument("--warm-up", type=int, default=2, help="steps of each before that; 2 if not given")
    parser.add_argument(
        "--real-data", action="store_true", help="clips of the config's training list; random pixels in memory if not given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    options = {"settings": args.settings.split(","), "rounds": args.rounds, "warm_up": args.warm_up, "real_data": args.real_data}
    return run_command(lambda: benchmark_train(args.config_file, args.overrides, json_file=args.json, **options))


def benchmark_train(
    config_file: str,
    overrides: Sequence[str],
    *,
    settings: Sequence[str],
    rounds: int,
    warm_up: int,
    real_data: bool,
    json_file: Path | None,
) -> None:
    """Measures, prints the table and writes the JSON file. Raises UserError for a mistake in the arguments or the config."""
    from vidrec.commands.runs import load_run_config

    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise UserError(f"--settings names {unknown[0]!r}; it must be one or more of {', '.join(SETTINGS)}, with commas between them.")
    if rounds < 1 or warm_up < 0:
        raise UserError(f"--rounds is {rounds} and --warm-up {warm_up}; at least 1 and 0 steps are needed: give larger numbers.")
    figures = measure(load_run_config(config_file, overrides), settings, rounds=rounds, warm_up=warm_up, real_data=real_data)
    figures = {"benchmark": "train", "config": config_file, **figures}
    show(report(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


@dataclass
class _Contestant:
    """One setting with its network, and what was measured of it."""

    name: str
    cfg: "CfgNode"
    stepper: "Stepper"
    batches: Iterator[Any]
    steps: list[dict[str, float]] = field(default_factory=list)  # milliseconds of each measured step by part
    products: list[float] = field(default_factory=list)  # floating-point operations per second of a product of matrices, after each step
    memory: int = 0


def measure(cfg: "CfgNode", settings: Sequence[str], *, rounds: int, warm_up: int, real_data: bool) -> dict[str, Any]:
    """The figures of all settings, which take turns step by step."""
    from vidrec.commands.machine import machine_facts
    from vidrec.commands.train_step import choose_kernels
    from vidrec.engine.measure import training_flops
    from vidrec.utils import dist

    choose_kernels(cfg)
    data, train, device = cfg.CONFIG.DATA, cfg.CONFIG.TRAIN, dist.device()
    contestants = [_contestant(cfg, name, real_data=real_data) for name in settings]
    facts = machine_facts(device)
    for _ in range(warm_up):
        for contestant in contestants:
            _timed_step(contestant)
    for contestant in contestants:
        _measure_memory(contestant, [other for other in contestants if other is not contestant])
    for _ in range(rounds):
        for contestant in contestants:
            _measure_step(contestant)
    shape = (3, data.NUM_SEGMENT * data.CLIP_LEN, data.CROP_SIZE, data.CROP_SIZE)
    flops = training_flops(_plain_model(cfg), shape)
    return {
        **facts,
        "model": cfg.CONFIG.MODEL.NAME or cfg.CONFIG.MODEL.BACKBONE.TYPE,
        "clip": list(shape),
        "clips_per_step": train.BATCH_SIZE * train.ACCUMULATE,
        "rounds": rounds,
        "data": "training list" if real_data else "random pixels in memory",
        "flops_per_clip": flops,
        "settings": [_figures(contestant, flops) for contestant in contestants],
    }


def _contestant(cfg: "CfgNode", name: str, *, real_data: bool) -> _Contestant:
    from vidrec.commands.train_step import build_stepper
    from vidrec.data.build import build_batch_augment
    from vidrec.engine.optim import build_loss, build_optimizer
    from vidrec.utils import dist

    cfg = cfg.clone()
    cfg.defrost()
    cfg.CONFIG.TRAIN.update(SETTINGS[name])
    cfg.freeze()
    model = _plain_model(cfg, on_meta=False).to(dist.device())
    more = {"augment": build_batch_augment(cfg, "device"), "loss": build_loss(cfg, None, dist.device())} if real_data else {"augment": None}
    stepper = build_stepper(cfg, model, build_optimizer(cfg, model), guard=None, **more)
    return _Contestant(name, cfg, stepper, _real_batches(cfg) if real_data else _random_batches(cfg))


def _plain_model(cfg: "CfgNode", *, on_meta: bool = True) -> Any:
    import torch

    from vidrec.models.build import build_model
    from vidrec.utils.seed import seed_everything

    seed_everything(cfg.CONFIG.TRAIN.SEED)
    with torch.device("meta" if on_meta else "cpu"):
        return build_model(cfg, load_weights=False).train()


def _random_batches(cfg: "CfgNode") -> Iterator[Any]:
    import torch

    from vidrec.data.datasets import ClipBatch
    from vidrec.utils import dist

    data, size = cfg.CONFIG.DATA, cfg.CONFIG.TRAIN.BATCH_SIZE
    shape = (size, data.NUM_SEGMENT * data.CLIP_LEN, data.CROP_SIZE, data.CROP_SIZE, 3)
    clips, labels = torch.randint(0, 256, shape, dtype=torch.uint8), torch.arange(size) % data.NUM_CLASSES
    if dist.device().type == "cuda":
        clips, labels = clips.pin_memory(), labels.pin_memory()
    return repeat(ClipBatch(clips, labels, torch.arange(size), []))


def _real_batches(cfg: "CfgNode") -> Iterator[Any]:
    from vidrec.commands.runs import open_split

    _, sampler, loader = open_split(cfg, "train")
    for epoch in range(cfg.CONFIG.TRAIN.EPOCH_NUM):
        sampler.set_epoch(epoch)
        yield from loader


def _measure_memory(contestant: _Contestant, others: Sequence[_Contestant]) -> None:
    """The peak in a step of its own, which begins with no memory in reserve and is slower by that; less what the others hold."""
    from vidrec.engine.measure import PeakMemory, held_bytes

    peak = PeakMemory(contestant.stepper.device)
    peak.reset()
    _timed_step(contestant)
    contestant.memory = peak.read() - sum(held_bytes(other.stepper.model, other.stepper.optimizer) for other in others)


def _measure_step(contestant: _Contestant) -> None:
    """One step and a product; on a CUDA device a second step for the parts, since waiting for the device after each lengthens it."""
    from vidrec.engine.measure import SectionClock, product_flops_per_s

    whole = _timed_step(contestant) if contestant.stepper.device.type == "cuda" else {}
    with SectionClock(contestant.stepper) as clock:
        times = _timed_step(contestant) | whole
    contestant.steps.append(times | {part: 1000 * seconds for part, seconds in clock.seconds.items()})
    contestant.products.append(product_flops_per_s(contestant.stepper.device, contestant.cfg.CONFIG.TRAIN.PRECISION))


def _timed_step(contestant: _Contestant) -> dict[str, float]:
    """Milliseconds of the whole step, of waiting for its data, and of the CPU."""
    from vidrec.engine.measure import synchronize

    stepper = contestant.stepper
    synchronize(stepper.device)
    started, cpu = time.perf_counter(), time.process_time()
    batches = [_next(contestant) for _ in range(stepper.batches_per_step)]
    waited = time.perf_counter() - started
    stepper.step(batches, epoch=0, step=len(contestant.steps))
    synchronize(stepper.device)
    ended = time.perf_counter()
    return {"step": 1000 * (ended - started), "data": 1000 * waited, "cpu": 1000 * (time.process_time() - cpu)}


def _next(contestant: _Contestant) -> Any:
    batch = next(contestant.batches, None)
    if batch is None:
        raise UserError("The training list ends before all steps are measured; it must last for them: lower --rounds or raise EPOCH_NUM.")
    return batch


def _figures(contestant: _Contestant, flops: int) -> dict[str, Any]:
    train, product = contestant.cfg.CONFIG.TRAIN, statistics.median(contestant.products)
    medians = {part: statistics.median(step[part] for step in contestant.steps) for part in ("step", *PARTS, "cpu")}
    clips = train.BATCH_SIZE * train.ACCUMULATE
    seconds = medians["cpu" if contestant.stepper.device.type == "cpu" else "step"] / 1000  # of the same clock as the product's
    return {
        "name": contestant.name,
        "precision": train.PRECISION,
        "memory_format": train.MEMORY_FORMAT,
        "compile": train.COMPILE,
        "clips_per_s": float(f"{1000 * clips / medians['step']:.4g}"),
        "ms": {part: round(value, 2) for part, value in medians.items()},
        "memory_mib": round(contestant.memory / 2**20),
        "product_gflops_per_s": round(product / 1e9, 1),
        "utilization": round(flops * clips / seconds / product, 4),
    }


def report(figures: dict[str, Any]) -> str:
    """The whole table, for reading."""
    frames, height, width = figures["clip"][1:]
    head = [
        f"{figures['model']}: {figures['clips_per_step']} clips of {frames} x {height} x {width} in a step, {figures['data']}",
        f"{figures['device']}, {figures['threads']} threads, torch {figures['torch']}, {figures['date']}",
        f"medians of {figures['rounds']} steps in turns; {figures['flops_per_clip'] / 1e9:.1f} GFLOP for a clip, forward and backward",
    ]
    columns = ["setting", "clips/s", "x", "step, ms", *PARTS, "CPU, ms", "x", "MiB", "product, GFLOP/s", "used"]
    first = figures["settings"][0]["ms"]
    rows = []
    for each in figures["settings"]:
        times = [f"{each['ms'][part]:.1f}" for part in ("step", *PARTS, "cpu")]
        use = [
            f"{first['cpu'] / each['ms']['cpu']:.2f}",
            str(each["memory_mib"]),
            f"{each['product_gflops_per_s']:.0f}",
            f"{each['utilization']:.0%}",
        ]
        rows.append([each["name"], f"{each['clips_per_s']:.4g}", f"{first['step'] / each['ms']['step']:.2f}", *times, *use])
    return "\n".join([*head, "", text_table(columns, rows, "<" + ">" * (len(columns) - 1))])
