"""The file of benchmark_zoo: how fast the networks of the model zoo are on one machine, and which names share a measurement."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vidrec.model_zoo import specs
from vidrec.utils.errors import UserError

KIND = "inference of the model zoo"
MACHINE = ("device", "device_type", "threads", "torch", "vidrec")  # what must stay the same within a file
SHARING = (
    "Names whose networks do the same work share one measurement: they differ in weights, classes, dropout, initialization, momentum or"
    " in which frames a pathway takes. An int8 name has that of the float network that is quantized."
)
WORKLESS = ("DROPOUT", "INIT_STD", "NONLOCAL_MOMENTUM", "SLOW_START")  # arguments that cost no time in a test

Figures = dict[str, Any]


def key_of(row: specs.Row) -> str:
    """Example: `torch/i3d_resnet50_v1_kinetics400`"""
    return f"{row.section}/{row.name}"


def twin_of(row: specs.Row) -> specs.Row:
    """The first row of the model zoo whose network does the same work on a clip of the same size; most often the row itself."""
    return next(other for other in specs.ROWS if _work(other) == _work(row))


def _work(row: specs.Row) -> tuple[Any, ...]:
    parts = {part: {key: value for key, value in section.items() if key not in WORKLESS} for part, section in row.model.items()}
    return parts, row.clip.num_frames, row.clip.crop_size


def group_names(rows: Iterable[specs.Row]) -> dict[str, list[str]]:
    """Name that is measured -> the names that it is measured for."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(key_of(twin_of(row)), []).append(key_of(row))
    return groups


def new_figures(machine: dict[str, Any], settings: dict[str, Any]) -> Figures:
    """An empty file's content; `measured_as` will have the measured name of every name, `measured` its figures."""
    return {"benchmark": KIND, "machine": machine, "settings": settings, "sharing": SHARING, "measured_as": {}, "measured": {}}


def open_figures(path: Path, machine: dict[str, Any], settings: dict[str, Any], *, restart: bool) -> Figures:
    """The figures of a file to go on with; new ones where there is none, or with `restart`. Raises UserError where they do not belong."""
    if restart or not path.exists():
        return new_figures(machine, settings)
    figures = read_figures(path)
    pairs = [("machine", machine), ("settings", settings)]
    differences = [
        f"{name} is {figures[part].get(name)!r} there and {value!r} now"
        for part, own in pairs
        for name, value in own.items()
        if figures[part].get(name) != value
    ]
    if differences:
        raise UserError(
            f"{path} holds figures that were measured otherwise ({'; '.join(differences)}); those of one file must be of one machine and"
            " one way of measuring. Give --out another file, or --restart to forget them."
        )
    return figures


def read_figures(path: Path) -> Figures:
    """The content of a file. Raises UserError where it is not one of this benchmark."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); it must be a file of figures: measure first, or give --out one."
        ) from error
    except ValueError as error:
        raise UserError(
            f"{path} is no JSON file ({error}); it must be one that benchmark_zoo wrote. Remove it, or give --out another."
        ) from error
    if not isinstance(figures, dict) or figures.get("benchmark") != KIND or set(figures) != set(new_figures({}, {})):
        raise UserError(f"{path} holds something other than the figures of benchmark_zoo; remove it, or give --out another file.")
    unknown = sorted(set(figures["measured_as"]) - set(map(key_of, specs.ROWS)))
    if unknown:
        raise UserError(
            f"{path} has names that are none of this model zoo ({', '.join(unknown[:3])}); it must be written by a vidrec of this version."
            " Remove it, or give --out another file."
        )
    return figures


def write_figures(path: Path, figures: Figures) -> None:
    """Writes the file, whole or not at all; a name and a measurement a line. Raises UserError where that fails."""
    from vidrec.engine.files import atomic_file

    texts = {key: _block(value) if key in ("measured_as", "measured") else json.dumps(value) for key, value in figures.items()}
    lines = [f" {json.dumps(key)}: {value}" for key, value in texts.items()]
    try:
        with atomic_file(path) as file:
            file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give --out a file in a folder that you may write to.") from error


def _block(entries: dict[str, Any]) -> str:
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items()) + "\n }" if entries else "{}"
