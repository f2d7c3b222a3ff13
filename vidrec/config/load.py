"""Loading a config: defaults <- `_BASE_` files <- YAML <- command line, all mistakes at once.

The model zoo's row behind MODEL.NAME lies just below the layer that sets the name: keys of that layer and of later ones change the
row, and the network of earlier layers gives way to it. The row's number of classes lies below everything.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from vidrec.config.check import check_entry, check_rules
from vidrec.config.defaults import COMPONENT_SECTIONS, get_cfg_defaults
from vidrec.config.source import Entry, Layer, read_layers, read_overrides
from vidrec.model_zoo import specs
from vidrec.utils.errors import ConfigError
from vidrec.utils.text import did_you_mean

NAME_KEY = "CONFIG.MODEL.NAME"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> CfgNode:
    """The checked, frozen config of a YAML file.

    Args:
        path: the YAML file.
        overrides: `KEY VALUE` pairs that win over the file, as on the command line.

    Raises:
        ConfigError: listing every mistake of the file, its `_BASE_` files and the overrides, with file and line.
    """
    cfg, mistakes = read_config(path, overrides)
    if mistakes:
        raise ConfigError(mistakes)
    return cfg


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> tuple[CfgNode, list[str]]:
    """The frozen config and the mistakes found on the way, for callers that have checks of their own to add."""
    cfg = get_cfg_defaults()
    layers, mistakes = read_layers(path, cfg)
    readable = any(layers) or not mistakes
    layer, override_mistakes = read_overrides(overrides)
    mistakes += override_mistakes
    mistakes += merge_layers(cfg, [*layers, layer], complete=readable)
    cfg.freeze()
    return cfg, mistakes


def merge_layers(cfg: CfgNode, layers: list[Layer], complete: bool = True) -> list[str]:
    """Writes layers into a config, later ones over earlier ones, and returns the mistakes.

    Args:
        complete: check the rules between keys too, which only a finished config has to keep.
    """
    where: dict[str, str] = {}
    wrong: set[str] = set()
    mistakes: list[str] = []
    for layer in _with_zoo_row(layers, mistakes):
        for entry in layer:
            value, mistake = check_entry(cfg, entry)
            if mistake:
                mistakes.append(mistake)
                wrong.add(entry.key)
            else:
                _write(cfg, entry.key, value)
            where[entry.key] = entry.where
    return mistakes + check_rules(cfg, where, wrong=wrong, complete=complete)


def config_difference(cfg: CfgNode) -> list[str]:
    """One line for each key that differs from its default: `CONFIG.TRAIN.LR: 0.02 (default 0.01)`."""
    defaults = dict(flat_items(get_cfg_defaults()))
    lines = []
    for key, value in flat_items(cfg):
        if key not in defaults:
            lines.append(f"{key}: {value!r}")
        elif value != defaults[key]:
            lines.append(f"{key}: {value!r} (default {defaults[key]!r})")
    return lines


def flat_items(node: CfgNode, prefix: str = "") -> list[tuple[str, Any]]:
    """(dotted key, value) of every leaf, in the order of the schema; an empty component section has none."""
    items: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, CfgNode):
            items += flat_items(value, f"{prefix}{key}.")
        else:
            items.append((f"{prefix}{key}", value))
    return items


def _with_zoo_row(layers: list[Layer], mistakes: list[str]) -> list[Layer]:
    """The layers, with the model zoo's row behind the last MODEL.NAME among them; an unknown name is noted as a mistake."""
    named = [(place, entry) for place, layer in enumerate(layers) for entry in layer if entry.key == NAME_KEY]
    if not named or not named[-1][1].text:
        return layers
    place, entry = named[-1]
    if entry.text not in specs.names():
        mistakes.append(
            f"{entry.where}: {NAME_KEY} is {entry.text!r}, which the model zoo does not have;"
            f" vidrec.list_models() tells its names.{did_you_mean(entry.text, specs.names())}"
        )
        return layers
    fragment, where = specs.fragment(entry.text), f"model zoo row {entry.text}"
    data = [Entry(f"CONFIG.DATA.{key}", value, str(value), where) for key, value in fragment.get("DATA", {}).items()]
    emptied = [Entry(f"CONFIG.MODEL.{part}", None, None, where) for part in ("BACKBONE", "NECK", "HEAD")]
    parts = [Entry(f"CONFIG.MODEL.{part}", section, None, where) for part, section in fragment["MODEL"].items()]
    return [data, *layers[:place], [*emptied, *parts], *layers[place:]]


def _write(cfg: CfgNode, key: str, value: Any) -> None:
    """Sets a key. A component section is merged, or replaced where its TYPE changes; None empties it."""
    *parents, leaf = key.split(".")
    node = cfg
    for parent in parents:
        node = node[parent]
    if key not in COMPONENT_SECTIONS:
        node[leaf] = value
    elif value is None:
        node[leaf] = CfgNode()
    elif "TYPE" in value and value["TYPE"] != node[leaf].get("TYPE"):
        node[leaf] = _with_type(CfgNode(copy.deepcopy(dict(value))), node[leaf])
    else:
        _merge(node[leaf], value)


def _with_type(section: CfgNode, old: CfgNode) -> CfgNode:
    """A new section; keys written before its TYPE was (on the command line) belong to it when the old one had no TYPE."""
    return section if "TYPE" in old else CfgNode({**old, **section})


def _merge(node: CfgNode, update: dict[str, Any]) -> None:
    for key, value in update.items():
        if isinstance(value, dict) and isinstance(node.get(key), CfgNode):
            _merge(node[key], value)
        else:
            node[key] = CfgNode(copy.deepcopy(value)) if isinstance(value, dict) else copy.deepcopy(value)
