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

Passes = list[tuple[float, float]]  # seconds by the clock, and of the CPU


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


def measure(cfg: "CfgNode", rounds: int, warm_up: int, *, device: "torch.device | None" = None) -> dict[str, Any]:
    """The figures of a config: VAL.BATCH_SIZE views in a pass, and one.

    Args:
        device: the one of this process if not given.
    """
    from vidrec.commands.machine import machine_facts
    from vidrec.commands.train_step import choose_kernels
    from vidrec.engine.measure import PeakMemory, inference_flops, product_flops_per_s
    from vidrec.engine.precision import lay_out
    from vidrec.models.build import build_model
    from vidrec.utils import dist

    choose_kernels(cfg)
    val, protocol, device = cfg.CONFIG.VAL, resolve_protocol(cfg.CONFIG), device or dist.device()
    facts, model = machine_facts(device), build_model(cfg, load_weights=False).eval()
    shape = (3, protocol.clip_len, protocol.crop_size, protocol.crop_size)
    flops, product = inference_flops(model, shape), product_flops_per_s(device, val.PRECISION)
    lay_out(model.to(device), val.MEMORY_FORMAT)
    peak = PeakMemory(device)
    peak.reset()
    passes = _seconds(cfg, model, (val.BATCH_SIZE, *shape), warm_up + rounds, device=device)[warm_up:]
    peak_memory = peak.read()
    single = passes if val.BATCH_SIZE == 1 else _seconds(cfg, model, (1, *shape), warm_up + rounds, device=device)[warm_up:]
    busy = statistics.median(cpu if device.type == "cpu" else wall for wall, cpu in passes)
    return {
        **facts,
        "model": cfg.CONFIG.MODEL.NAME or cfg.CONFIG.MODEL.BACKBONE.TYPE,
        "precision": val.PRECISION,
        "memory_format": val.MEMORY_FORMAT,
        "view": list(shape),
        "views_per_pass": val.BATCH_SIZE,
        "views_per_video": protocol.num_views,
        "rounds": rounds,
        **_speeds(passes, single, views=val.BATCH_SIZE, views_per_video=protocol.num_views),
        "flops_per_clip": flops,
        "peak_memory_mib": peak_memory // 2**20,
        "product_gflops_per_s": round(product / 1e9, 1),
        "utilization": round(flops * val.BATCH_SIZE / busy / product, 4),
    }


def _speeds(passes: Passes, single: Passes, *, views: int, views_per_video: int) -> dict[str, Any]:
    """What passes of so many views, and passes of one, say about speed."""
    latencies = [wall for wall, _ in single]
    wall, cpu = (statistics.median(column) for column in zip(*passes, strict=True))
    return {
        "clips_per_s": float(f"{views / wall:.4g}"),
        "videos_per_s": float(f"{views / wall / views_per_video:.4g}"),
        "cpu_s_per_clip": float(f"{cpu / views:.4g}"),
        "latency_ms": {"median": round(1000 * statistics.median(latencies), 2), "worst": round(1000 * max(latencies), 2)},
    }


def _seconds(cfg: "CfgNode", model: "torch.nn.Module", shape: Sequence[int], rounds: int, *, device: "torch.device") -> Passes:
    """Seconds, by the clock and of the CPU, of each pass of a batch of views, from pixels in the host's memory to scores there."""
    import torch

    from vidrec.data.transforms import normalize_clips
    from vidrec.engine.precision import as_torch_format, autocast

    data, val = cfg.CONFIG.DATA, cfg.CONFIG.VAL
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
