"""The different networks among the names of the model zoo, and a small clip for each."""

import json

from vidrec.model_zoo import specs

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
