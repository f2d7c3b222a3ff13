"""The int8 network beside the float one: decisions on the validation list, logits, size on disk, and speed on this machine."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.tables import show, text_table
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    import torch

    from vidrec.commands.export import Options
    from vidrec.commands.export_source import Subject
    from vidrec.commands.export_write import Exported
    from vidrec.data.multiview import Failure, MultiViewDataset
    from vidrec.inference.export import Exportable, Run
    from vidrec.inference.int8 import Quantized


def report_videos(subject: "Subject") -> "MultiViewDataset":
    """The videos of the validation list. Raises UserError where there is no list."""
    from vidrec.commands.export_source import list_path

    videos = subject.videos("test")
    if videos is None:
        path = list_path(subject.cfg, "test")
        raise UserError(
            f"CONFIG.DATA.VAL_ANNO_PATH is {path!r}, and no list is there; --report decides on its videos. Add CONFIG.DATA.VAL_ANNO_PATH"
            " LIST to the command line, or leave --report out."
        )
    return videos


def report(
    subject: "Subject", network: "Exportable", exported: "Sequence[Exported]", options: "Options", quantized: "Quantized"
) -> "list[Failure]":
    """Measures, prints a table and writes `STEM_report.json`. Returns the videos that could not be read."""
    import torch

    from vidrec.commands.machine import machine_facts
    from vidrec.engine.files import atomic_file
    from vidrec.inference.int8_report import latencies

    with tempfile.TemporaryDirectory(prefix="vidrec-export-") as folder, torch.no_grad():
        floats = _write_floats(network, Path(folder), [file.sidecar["format"] for file in exported], subject)
        frames, height, width = subject.clip_shape
        clip = network.inputs(torch.zeros(1, frames, height, width, 3, dtype=torch.uint8))
        runs, notes = _runs(network, floats, exported, clip)
        agreements, failures = _decide(subject, network, {file.sidecar["format"]: file.path for file in exported})
        sizes = {f"float {kind}": path.stat().st_size for kind, path in floats.items()}
        figures = {
            "network": subject.title,
            "weights": subject.weights,
            **machine_facts(torch.device("cpu")),
            "int8": quantized.shares.as_dict(),
            "agreement": agreements,
            "bytes": sizes | {f"int8 {file.sidecar['format']}": file.num_bytes for file in exported},
            "clip": list(subject.clip_shape),
            "clips_of_a_video": subject.clips_of_a_video,
            "rounds": options.rounds,
            "latency_ms": latencies(runs, clip, options.rounds),
            "not_measured": notes,
            "unreadable": [failure.path for failure in failures],
        }
    path = subject.folder / f"{subject.stem}_report.json"
    with atomic_file(path) as file:
        file.write((json.dumps(figures, indent=1) + "\n").encode())
    show(f"{_table(figures)}\n{path}")
    return failures


def _write_floats(network: "Exportable", folder: Path, formats: Sequence[str], subject: "Subject") -> dict[str, Path]:
    """The float network in the same formats, for size and speed."""
    import torch

    from vidrec.inference.export import CAPTURED_BATCH, capture, without_traces, write_program
    from vidrec.inference.export_onnx import write_onnx

    frames, height, width = subject.clip_shape
    clips = torch.zeros(CAPTURED_BATCH, frames, height, width, 3, dtype=torch.uint8)
    program = without_traces(capture(network.module, network.inputs(clips)))
    paths = {kind: folder / f"float.{kind}" for kind in formats}
    if "torch" in paths:
        write_program(program, paths["torch"], facts="{}")
    if "onnx" in paths:
        write_onnx(program, paths["onnx"], facts={})
    return paths


def _runs(
    network: "Exportable", floats: dict[str, Path], exported: "Sequence[Exported]", clip: "torch.Tensor"
) -> "tuple[dict[str, Run], dict[str, str]]":
    """What is timed, by name, and what could not be, with the reason."""
    from vidrec.inference.export_onnx import load_onnx
    from vidrec.inference.int8_report import compiled, load_module

    int8 = {file.sidecar["format"]: file.path for file in exported}
    made: dict[str, Any] = {"float, eager": network.module}
    if "torch" in int8:
        made["float, torch.compile (inductor)"] = compiled(network.module, clip)
        made["int8, torch.compile (inductor)"] = compiled(load_module(int8["torch"]), clip)
    if "onnx" in int8:
        made["float, onnxruntime"], made["int8, onnxruntime"] = load_onnx(floats["onnx"]), load_onnx(int8["onnx"])
    notes = {name: run for name, run in made.items() if isinstance(run, str)}
    return {name: run for name, run in made.items() if name not in notes}, notes


def _decide(subject: "Subject", network: "Exportable", int8: dict[str, Path]) -> "tuple[dict[str, Any], list[Failure]]":
    """Agreement with the float network by format, over all views of all videos of the validation list; and what cannot be read."""
    import torch

    from vidrec.data.transforms import cut_views
    from vidrec.engine.averages import FEATURE_MEAN, ViewAverage
    from vidrec.engine.progress import Countdown
    from vidrec.inference.export import load_program
    from vidrec.inference.export_onnx import load_onnx
    from vidrec.inference.int8_report import agreement

    videos = report_videos(subject)
    loaded = {kind: load_program(path) if kind == "torch" else load_onnx(path) for kind, path in int8.items()}
    runs: dict[str, Any] = {"float": network.module, **loaded}
    logits: dict[str, list[torch.Tensor]] = {name: [] for name in runs}
    labels, failures = [], []
    for row in Countdown(len(videos), "float and int8").counted(range(len(videos))):
        video = videos[row]
        if video.failure is not None:
            failures.append(video.failure)
            continue
        labels.append(videos.table.label_set(row))
        inputs = network.inputs(cut_views(video.frames, video.views, 0, len(video.views)))
        for name, run in runs.items():
            logits[name].append(run(inputs))
    if not labels:
        raise UserError("None of the videos of the validation list can be read; at least one must be. Mend the list.")
    name = "logits_mean" if subject.average == FEATURE_MEAN else subject.average  # the same, and a file gives no features
    average = ViewAverage(name, sigmoid=subject.activation == "sigmoid")
    return {kind: asdict(agreement(logits["float"], logits[kind], labels, average)) for kind in int8}, failures


def _table(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines, views = [], figures["clips_of_a_video"]["num_views"]
    for kind, found in figures["agreement"].items():
        lines.append(
            f"{kind}: top-1 {found['top1_float']:.3f} float, {found['top1_int8']:.3f} int8, the same decision on"
            f" {100 * found['same_top1']:.1f} % of {found['videos']} videos with {views} views; logits differ by"
            f" {100 * found['rms_over_std']:.1f} % of their std (RMS), {100 * found['largest_over_std']:.1f} % at most"
        )
    sizes, times = figures["bytes"], figures["latency_ms"]
    lines.append(text_table(("file", "MB"), [(name, f"{size / 1e6:.1f}") for name, size in sizes.items()], "<>"))
    lines.append(text_table(("one clip, median", "ms"), [(name, f"{value:.1f}") for name, value in times.items()], "<>"))
    lines += [f"not measured: {name}: {reason}" for name, reason in figures["not_measured"].items()]
    lines.append(f"{figures['device']}, {figures['threads']} threads, load {figures['load_average']}, torch {figures['torch']}")
    return "\n".join(lines)
