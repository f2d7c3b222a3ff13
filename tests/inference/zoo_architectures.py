"""The different networks among the names of the model zoo, a small clip for each, and its export with all its layers."""

import json
from pathlib import Path

import torch

from vidrec.inference.export import Exportable, capture, compare, without_traces
from vidrec.inference.export_onnx import load_onnx, write_onnx
from vidrec.model_zoo import specs
from vidrec.models.build import get_model

# What no exported program has: it is used in training only, or when fresh weights are drawn.
TRAINING_ONLY = ("DROPOUT", "INIT_STD", "NONLOCAL_MOMENTUM")
FRAMES = {"C3D": 16, "P3D": 16, "SlowFast": 8}  # 8 or 1 else
SIZES = {"C3D": 96, "InceptionV3": 75, "I3DInceptionV3": 75}  # 32 else


def architectures() -> dict[str, list[str]]:
    """The first `section/name` of each architecture, and all names that share it: they differ in classes, clips, dropout or weights."""
    found: dict[str, list[str]] = {}
    for row in specs.ROWS:
        sections = {part: {key: value for key, value in section.items() if key not in TRAINING_ONLY} for part, section in row.model.items()}
        found.setdefault(json.dumps(sections, sort_keys=True), []).append(f"{row.section}/{row.name}")
    return {names[0]: names for names in found.values()}


def small_clip(name: str) -> tuple[int, int]:
    """(frames, size) of a clip that the network of a name can take."""
    row = specs.row(*reversed(name.split("/")))
    kind = row.model["BACKBONE"]["TYPE"]
    if "NECK" in row.model:  # the pyramid pools all frames of its published clip
        return row.clip.num_frames, 32
    return FRAMES.get(kind, 1 if row.clip.num_segments > 1 else 8), SIZES.get(kind, 32)


def check_export(name: str, folder: Path) -> None:
    """Exports the network of a name and compares both programs with it."""
    torch.manual_seed(0)
    frames, size = small_clip(name)
    network = Exportable(get_model(name, num_classes=7).eval(), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    clips = torch.randint(0, 256, (4, frames, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    inputs, logits = network.inputs(clips), network.logits(clips)
    program = without_traces(capture(network.module, inputs[:2]))
    assert compare(torch.no_grad()(program.module()), inputs, logits).over_std < 1e-5
    write_onnx(program, folder / "a.onnx", facts={})
    assert compare(load_onnx(folder / "a.onnx"), inputs, logits).over_std < 1e-3
