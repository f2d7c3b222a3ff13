"""Measures inference with the network of a config: clips and videos per second, and how long one clip takes."""

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import config_parser, run_command
from vidrec.commands.tables import show
from vidrec.config.protocols import resolve_protocol
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    import torch
    from yacs.config import CfgNode


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = config_parser("get_fps.py", f"{__doc__} Views have the size of the config's test; their pixels are random.")
    parser.add_argument("--rounds", type=int, default=10, help="measured forward passes; 10 if not given")
    parser.add_argument("--warm-up", type=int, default=2, help="passes before that; 2 if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    return run_command(lambda: get_fps(args.config_file, args.overrides, rounds=args.rounds, warm_up=args.warm_up, json_file=args.json))


def get_fps(config_file: str, overrides: Sequence[str], *, rounds: int, warm_up: int, json_file: Path | None) -> None:
    """Measures, prints the figures and writes the JSON file. Raises UserError for a mistake in the arguments or the config."""
    from vidrec.commands.runs import load_run_config

    if rounds < 1 or warm_up < 0:
        raise UserError(f"--rounds is {rounds} and --warm-up {warm_up}; at least 1 and 0 passes are needed: give larger numbers.")
    figures = {"benchmark": "inference", "config": config_file, **measure(load_run_config(config_file, overrides), rounds, warm_up)}
    show(report(figures))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(cfg: "CfgNode", rounds: int, warm_up: int) -> dict[str, Any]:
    """The figures of a config: VAL.BATCH_SIZE views in a pass, and one."""
    from vidrec.commands.machine import machine_facts
    from vidrec.commands.train_step import choose_kernels
    from vidrec.engine.measure import inference_flops, product_flops_per_s
    from vidrec.engine.precision import lay_out
    from vidrec.models.build import build_model
    from vidrec.utils import dist

    choose_kernels(cfg)
    val, protocol, device = cfg.CONFIG.VAL, resolve_protocol(cfg.CONFIG), dist.device()
    facts, model = machine_facts(device), build_model(cfg, load_weights=False).eval()
    shape = (3, protocol.clip_len, protocol.crop_size, protocol.crop_size)
    flops, product = inference_flops(model, shape), product_flops_per_s(device, val.PRECISION)
    lay_out(model.to(device), val.MEMORY_FORMAT)
    passes = _seconds(cfg, model, (val.BATCH_SIZE, *shape), warm_up + rounds)[warm_up:]
    single = [wall for wall, _ in _seconds(cfg, model, (1, *shape), warm_up + rounds)[warm_up:]]
    wall, cpu = (statistics.median(column) for column in zip(*passes, strict=True))
    views_per_s = val.BATCH_SIZE / wall
    return {
        **facts,
        "model": cfg.CONFIG.MODEL.NAME or cfg.CONFIG.MODEL.BACKBONE.TYPE,
        "precision": val.PRECISION,
        "memory_format": val.MEMORY_FORMAT,
        "view": list(shape),
        "views_per_pass": val.BATCH_SIZE,
        "views_per_video": protocol.num_views,
        "rounds": rounds,
        "clips_per_s": float(f"{views_per_s:.4g}"),
        "videos_per_s": float(f"{views_per_s / protocol.num_views:.4g}"),
        "latency_ms": {"median": round(1000 * statistics.median(single), 2), "worst": round(1000 * max(single), 2)},
        "flops_per_clip": flops,
        "product_gflops_per_s": round(product / 1e9, 1),
        "utilization": round(flops * val.BATCH_SIZE / (cpu if device.type == "cpu" else wall) / product, 4),
    }


def _seconds(cfg: "CfgNode", model: "torch.nn.Module", shape: Sequence[int], rounds: int) -> list[tuple[float, float]]:
    """Seconds, by the clock and of the CPU, of each pass of a batch of views, from pixels in the host's memory to scores there."""
    import torch

    from vidrec.data.transforms import normalize_clips
    from vidrec.engine.precision import as_torch_format, autocast
    from vidrec.utils import dist

    data, val, device = cfg.CONFIG.DATA, cfg.CONFIG.VAL, dist.device()
    batch, channels, *sizes = shape
    pixels = torch.randint(0, 256, (batch, *sizes, channels), dtype=torch.uint8)
    found = []
    with torch.inference_mode():
        for _ in range(rounds):
            started, cpu = time.perf_counter(), time.process_time()
            clips = normalize_clips(pixels.to(device), data.MEAN, data.STD, memory_format=as_torch_format(val.MEMORY_FORMAT))
            with autocast(val.PRECISION, device):
                scores = model(clips)
            scores.float().cpu()
            found.append((time.perf_counter() - started, time.process_time() - cpu))
    return found


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    frames, height, width = figures["view"][1:]
    latency, views = figures["latency_ms"], figures["views_per_video"]
    rows = [
        ("network", f"{figures['model']}, {figures['precision']}, {figures['memory_format']}"),
        ("device", f"{figures['device']}, {figures['threads']} threads, torch {figures['torch']}, {figures['date']}"),
        ("views", f"{frames} x {height} x {width}, {figures['views_per_pass']} in a pass; medians of {figures['rounds']} passes"),
        ("clips/s", f"{figures['clips_per_s']:.4g}"),
        ("videos/s", f"{figures['videos_per_s']:.4g}, of {views} views; reading and decoding not counted"),
        ("latency", f"{latency['median']:.1f} ms for one clip, {latency['worst']:.1f} at worst"),
        ("used", f"{figures['utilization']:.0%} of a product's {figures['product_gflops_per_s']:.0f} GFLOP/s"),
    ]
    return "\n".join(f"{name:10}{text}" for name, text in rows)
