"""YAML files and command-line pairs as entries that know where they were written."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yacs.config import CfgNode

from vidrec.config.defaults import COMPONENT_SECTIONS

BASE_KEY = "_BASE_"
RENAMED_KEYS = {"DDP_CONFIG.WOLRD_URLS": "DDP_CONFIG.WORLD_URLS"}  # the reference zoo's spelling
# At the top of PySlowFast's YAML files.
PYSLOWFAST_KEYS = {"SOLVER", "DATA_LOADER", "RESNET", "SLOWFAST", "NUM_GPUS", "NUM_SHARDS", "RNG_SEED", "OUTPUT_DIR"}


class Entry(NamedTuple):
    """One key as somebody wrote it.

    Attributes:
        key: dotted path from the root (`CONFIG.TRAIN.LR`); for a component section, the section's path.
        value: what YAML makes of it; for a component section a dict or None.
        text: the scalar as written, None for lists and mappings. Keys that are strings take it, so that 018545497 stays itself.
        where: `file.yaml:12` or `command line`.
    """

    key: str
    value: Any
    text: str | None
    where: str


Layer = list[Entry]  # what one file, or the command line, sets


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-5 is a number (YAML 1.1 wants 1.0e-5)."""


_EXPONENT = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


class _File(NamedTuple):
    """A YAML file being read, and the mistakes found so far in all files of the config."""

    path: Path
    loader: _Loader
    mistakes: list[str]

    def line(self, node: yaml.Node) -> int:
        return node.start_mark.line + 1

    def value(self, node: yaml.Node, where: str) -> Any:
        """The node's plain value; None, with a mistake noted, for anything that YAML could only make by running code."""
        try:
            return self.loader.construct_object(node, deep=True)
        except yaml.YAMLError as error:
            self.mistakes.append(f"{where}: {' '.join(str(error).split())}; only plain values, lists and mappings are read.")
            return None


def read_layers(path: str | Path, schema: CfgNode) -> tuple[list[Layer], list[str]]:
    """The layers of a file, those of its `_BASE_` files first, and the mistakes that kept something from being read.

    `_BASE_` is a path or a list of paths, relative to the file that names them; a later one wins over an earlier one.
    """
    mistakes: list[str] = []
    return _read_layers(Path(path).expanduser(), schema, (), mistakes), mistakes


def read_text_layer(text: str, schema: CfgNode, *, source: str) -> tuple[Layer, list[str]]:
    """The layer of a config that is no file, such as the one in a checkpoint, and its mistakes; without `_BASE_`.

    Args:
        source: what messages call it.
    """
    mistakes: list[str] = []
    file, root = _compose_text(text, Path(source), "", mistakes)
    return list(_entries(file, root, schema)), mistakes


def _read_layers(path: Path, schema: CfgNode, ancestors: tuple[Path, ...], mistakes: list[str]) -> list[Layer]:
    resolved = path.resolve()
    if resolved in ancestors:
        chain = " -> ".join(str(file) for file in (*ancestors, resolved))
        mistakes.append(f"{ancestors[-1]}: {BASE_KEY} leads back to a file that is being read ({chain}); remove one link.")
        return []
    file, root = _compose(path, ancestors, mistakes)
    layers: list[Layer] = []
    for base in _bases(file, root):
        layers += _read_layers(base, schema, (*ancestors, resolved), mistakes)
    return [*layers, list(_entries(file, root, schema))]


def _compose(path: Path, ancestors: tuple[Path, ...], mistakes: list[str]) -> tuple[_File, yaml.MappingNode]:
    """The node tree of a file; an empty mapping for an empty file, and, with a mistake noted, for one that is no config."""
    named_by, text = f" ({BASE_KEY} of {ancestors[-1]})" if ancestors else "", ""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        mistakes.append(f"The config file {path}{named_by} cannot be read: {error.strerror or error}; check the path.")
    except UnicodeDecodeError as error:
        mistakes.append(_no_yaml(path, named_by, error))
    return _compose_text(text, path, named_by, mistakes)


def _compose_text(text: str, path: Path, named_by: str, mistakes: list[str]) -> tuple[_File, yaml.MappingNode]:
    root, loader = None, _Loader("")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        mistakes.append(_no_yaml(path, named_by, error))
    if root is not None and not isinstance(root, yaml.MappingNode):
        mistakes.append(f"{path}:1 holds no mapping at its top; it must start with CONFIG: or DDP_CONFIG:.")
    elif root is not None and _is_pyslowfast(root):
        mistakes.append(
            f"{path} is a config of PySlowFast; one of vidrec has its keys below CONFIG: and DDP_CONFIG:. Keys of the same name mean other "
            "things: write a config with the table of docs/migration.md, From PySlowFast."
        )
        root = None
    if not isinstance(root, yaml.MappingNode):
        root = yaml.MappingNode("tag:yaml.org,2002:map", [])
    return _File(path, loader, mistakes), root


def _is_pyslowfast(root: yaml.MappingNode) -> bool:
    tops = {key.value for key, _ in root.value if isinstance(key, yaml.ScalarNode)}
    return len(tops & PYSLOWFAST_KEYS) >= 2 and not tops & {"CONFIG", "DDP_CONFIG", BASE_KEY}


def _no_yaml(path: Path, named_by: str, error: Exception) -> str:
    return f"{path}{named_by} is not YAML: {' '.join(str(error).split())}; mend it there."


def _bases(file: _File, root: yaml.MappingNode) -> list[Path]:
    """The `_BASE_` files of a mapping, which loses the key."""
    nodes = [pair for pair in root.value if pair[0].value == BASE_KEY]
    root.value = [pair for pair in root.value if pair[0].value != BASE_KEY]
    paths: list[Path] = []
    for key, node in nodes:
        where = f"{file.path}:{file.line(key)}"
        value = file.value(node, where)
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            file.mistakes.append(f"{where}: {BASE_KEY} is {value!r}; it must be a path or a list of paths.")
            continue
        paths += [file.path.parent / Path(name).expanduser() for name in names]
    return paths


def _entries(file: _File, mapping: yaml.MappingNode, schema: CfgNode, prefix: str = "") -> Iterator[Entry]:
    """Walks a mapping as deep as the schema has closed nodes; whatever else stands there becomes one entry."""
    seen: dict[str, int] = {}
    for key_node, node in mapping.value:
        line = file.line(key_node)
        key = f"{prefix}{key_node.value}"
        key = RENAMED_KEYS.get(key, key)
        if key in seen:
            file.mistakes.append(f"{file.path}:{line}: {key} stands there twice (first in line {seen[key]}); keep one.")
        seen[key] = line
        below = schema.get(key.rpartition(".")[2])
        closed = isinstance(below, CfgNode) and key not in COMPONENT_SECTIONS
        if closed and isinstance(node, yaml.MappingNode):
            yield from _entries(file, node, below, f"{key}.")
        elif not (closed and node.tag.endswith(":null")):  # `TRAIN:` with nothing below it sets nothing
            where = f"{file.path}:{line}"
            yield Entry(key, file.value(node, where), node.value if isinstance(node, yaml.ScalarNode) else None, where)


def read_overrides(overrides: Sequence[str]) -> tuple[Layer, list[str]]:
    """`KEY VALUE KEY VALUE ...` as one layer. Values are YAML; keys inside a component section are gathered into it."""
    mistakes: list[str] = []
    if len(overrides) % 2:
        mistakes.append(f"The command line ends with {overrides[-1]!r}, which has no value; overrides are pairs KEY VALUE.")
    layer: Layer = []
    for key, value in zip(overrides[::2], overrides[1::2], strict=False):
        key = RENAMED_KEYS.get(key, key)
        try:
            parsed = yaml.load(value, Loader=_Loader) if isinstance(value, str) else value  # _Loader is a SafeLoader
        except yaml.YAMLError as error:
            mistakes.append(f"command line: the value {value!r} of {key} is not YAML: {' '.join(str(error).split())}; quote it.")
            continue
        text = parsed if isinstance(parsed, str) else value  # quotes are YAML's, 018545497 stays as it was typed
        layer.append(_component_entry(Entry(key, parsed, text if isinstance(text, str) else None, "command line")))
    return layer, mistakes


def _component_entry(entry: Entry) -> Entry:
    """`CONFIG.MODEL.BACKBONE.DEPTH 50` as an entry of its section: {"DEPTH": 50}."""
    for section in COMPONENT_SECTIONS:
        if entry.key.startswith(f"{section}."):
            value = entry.value
            for part in reversed(entry.key[len(section) + 1 :].split(".")):
                value = {part: value}
            return Entry(section, value, None, entry.where)
    return entry
