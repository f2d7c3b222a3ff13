"""Sphinx extension: writes the tables of every config key and component into `docs/configuration.md` while the site is built.

The page holds the two lines KEYS and COMPONENTS, which the tables take the place of, so that nothing generated is committed.
"""

import inspect
import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import schema
from sphinx.errors import ExtensionError

from vidrec.data.components import DATASET_GIVEN, DATASETS, SAMPLER_GIVEN, SAMPLERS
from vidrec.models.build import BACKBONES, HEAD_GIVEN, HEADS, NECK_GIVEN, NECKS
from vidrec.registry import Registry, parameters_of

PAGE = "docs/configuration"
KEYS, COMPONENTS = "<!-- every key of the schema -->", "<!-- every component -->"

# Registry, the sections that name one of its classes, and the arguments that vidrec supplies itself.
SECTIONS: tuple[tuple[Registry, str, tuple[str, ...]], ...] = (
    (BACKBONES, "CONFIG.MODEL.BACKBONE", ()),
    (NECKS, "CONFIG.MODEL.NECK", NECK_GIVEN),
    (HEADS, "CONFIG.MODEL.HEAD", HEAD_GIVEN),
    (DATASETS, "CONFIG.DATA.TRAIN_DATASET and VAL_DATASET", DATASET_GIVEN),
    (SAMPLERS, "CONFIG.DATA.TRAIN_SAMPLER and VAL_SAMPLER", SAMPLER_GIVEN),
)


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _fill_in)
    app.connect("env-get-outdated", lambda *_: [PAGE])  # its sources are not the page alone
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill_in(app: Any, docname: str, source: list[str]) -> None:
    if docname != PAGE:
        return
    try:
        source[0] = source[0].replace(KEYS, key_tables()).replace(COMPONENTS, component_tables())
    except ValueError as error:
        raise ExtensionError(str(error)) from error


def key_tables() -> str:
    """A heading and a table for each section that holds keys, in Markdown."""
    keys = schema.read_schema()
    lines = []
    for section in (key for key in keys if key.is_section):
        own = [key for key in keys if not key.is_section and key.name.rpartition(".")[0] == section.name]
        if own:
            lines += [f"### {section.name}", "", *([_text(f"{section.effect}."), ""] if section.effect else [])]
            lines += ["| key | default | values | effect |", "|---|---|---|---|", *map(_key_row, own), ""]
    return "\n".join(lines)


def component_tables() -> str:
    """A heading for each registry, and a part with the arguments of each of its classes, in Markdown."""
    lines = []
    for registry, section, given in SECTIONS:
        lines += [f"### {section}", ""]
        for name in registry.names():
            lines += _component(name, registry.get(name), given)
    return "\n".join(lines)


def _key_row(key: schema.Key) -> str:
    values = f"{key.type}; {key.allowed}" if key.allowed else key.type
    return f"| `{key.name}`{' (new)' if key.is_new else ''} | {_code(key.default)} | {_text(values)} | {_text(key.effect)} |"


def _component(name: str, cls: type, given: tuple[str, ...]) -> list[str]:
    texts = argument_texts(cls)
    parameters = [p for p in parameters_of(cls).values() if p.name not in given and _values(p.annotation)]  # "": only code can give it
    silent = [p.name for p in parameters if p.name not in texts]
    if silent:
        raise ValueError(f"{name}: {', '.join(silent)} is not in the `Args:` of its docstring; write unit and effect there.")
    summary = inspect.cleandoc(cls.__doc__).split("\n\n")[0]
    lines = [f"#### {name}", "", _text(summary), ""]
    if not parameters:
        return [*lines, "It takes no arguments.", ""]
    rows = [_argument_row(p, texts[p.name]) for p in parameters]
    return [*lines, "| argument | default | values | effect |", "|---|---|---|---|", *rows, ""]


def _argument_row(parameter: inspect.Parameter, text: str) -> str:
    required = parameter.default is inspect.Parameter.empty
    default = "required" if required else _code(_as_yaml(parameter.default))
    return f"| `{parameter.name.upper()}` | {default} | {_text(_values(parameter.annotation))} | {_text(text)} |"


def argument_texts(cls: type) -> dict[str, str]:
    """What the docstrings of a class, its bases and what it hands arguments on to say of each argument.

    Example: `Args: crop_area, crop_aspect: as in resized_crop` -> both names with that text
    """
    texts: dict[str, str] = {}
    for source in (*inspect.getmro(cls), *getattr(cls, "hands_on_to", ())):
        for names, text in _args_section(inspect.getdoc(source) or ""):
            for name in names:
                texts.setdefault(name, text)
    return texts


def _args_section(doc: str) -> Iterator[tuple[list[str], str]]:
    found = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", doc, re.MULTILINE)
    if found:
        for entry in re.split(r"\n(?=    \S)", found[1].rstrip()):
            names, _, text = entry.strip().partition(": ")
            yield names.split(", "), re.sub(r"\s+", " ", text)


def _values(annotation: Any) -> str:
    """What an annotated argument takes, in the words of the tables; "" for objects. Example: `tuple[int, ...]` -> list of integers"""
    names = {bool: "True or False", int: "integer", float: "number", str: "text", type(None): "None"}
    inner = [arg for arg in get_args(annotation) if arg is not Ellipsis]
    if annotation in names:
        return names[annotation]
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, inner)) if "" not in inner else f"one of {', '.join(filter(None, inner))}, or ''"
    if get_origin(annotation) in (list, tuple):
        item = _values(inner[0]).replace("list", "lists", 1)
        many = item if item.startswith("lists") else f"{item}s"
        return f"list of {many}" if Ellipsis in get_args(annotation) or get_origin(annotation) is list else f"{len(inner)} {many}"
    if get_origin(annotation) in (Union, UnionType) and all(map(_values, inner)):
        return " or ".join(map(_values, inner))
    return ""


def _as_yaml(value: Any) -> Any:
    return [_as_yaml(item) for item in value] if isinstance(value, (list, tuple)) else value


def _code(value: Any) -> str:
    return f"`{value!r}`"


def _text(text: str) -> str:
    """Text that a cell of a table holds: one line, with no markup but code."""
    line = re.sub(r"\s+", " ", text)
    return re.sub(r"([|<*\[])", r"\\\1", line) if "`" not in line else line.replace("|", "\\|")
