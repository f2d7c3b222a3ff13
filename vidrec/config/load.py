"""Loading a config: defaults <- `_BASE_` files <- YAML <- command line, all mistakes at once.

The model zoo's row behind MODEL.NAME lies just below the layer that sets the name: keys of that layer and of later ones change the
row, and the network of earlier layers gives way to it. Which row it is, MODEL.ZOO and MODEL.PRETRAINED decide with their last values,
wherever they stand. The row's number of classes lies below everything.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from vidrec.config.check import check_entry, check_rules
from vidrec.config.defaults import COMPONENT_SECTIONS, get_cfg_defaults
from vidrec.config.source import Entry, Layer, read_layers, read_overrides, read_text_layer
from vidrec.config.zoo import HASHTAG_KEY, NAME_KEY, ZOO_KEY, Mistake, look_up, zoo_name
from vidrec.model_zoo import specs
from vidrec.utils.errors import ConfigError

PARTS = ("BACKBONE", "NECK", "HEAD")


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
    return _merged(*read_layers(path, get_cfg_defaults()), overrides)


def read_config_text(text: str, overrides: Sequence[str] = (), *, source: str) -> tuple[CfgNode, list[str]]:
    """The same for a config that is no file, such as the one in a checkpoint; `source` is what messages call it."""
    layer, mistakes = read_text_layer(text, get_cfg_defaults(), source=source)
    return _merged([layer], mistakes, overrides)


def _merged(layers: list[Layer], mistakes: list[str], overrides: Sequence[str]) -> tuple[CfgNode, list[str]]:
    cfg = get_cfg_defaults()
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
    for layer in _with_zoo_row(cfg, layers, mistakes):
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


def changed_keys(cfg: CfgNode) -> dict[str, Any]:
    """Dotted key -> value of what differs from the defaults and, where MODEL.NAME names a row of the model zoo, from that row."""
    known = dict(flat_items(get_cfg_defaults()))
    name, zoo, hashtag = _row_keys(cfg).values()
    row = look_up(name, zoo=zoo, hashtag=hashtag) if name else None
    if isinstance(row, specs.Row):
        cfg_row = get_cfg_defaults()
        for entry in [*_classes(row, ""), *_parts(row.model, "")]:
            _write(cfg_row, entry.key, entry.value)
        known |= dict(flat_items(cfg_row))
    missing = object()
    return {key: value for key, value in flat_items(cfg) if known.get(key, missing) != value}


def flat_items(node: CfgNode, prefix: str = "") -> list[tuple[str, Any]]:
    """(dotted key, value) of every leaf, in the order of the schema; an empty component section has none."""
    items: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, CfgNode):
            items += flat_items(value, f"{prefix}{key}.")
        else:
            items.append((f"{prefix}{key}", value))
    return items


def _with_zoo_row(cfg: CfgNode, layers: list[Layer], mistakes: list[str]) -> list[Layer]:
    """The layers, with the model zoo's row behind the last MODEL.NAME among them; what is wrong with it is noted as a mistake.

    Args:
        cfg: what was merged before; its values stand where the layers have none.
    """
    last = {entry.key: (place, entry) for place, layer in enumerate(layers) for entry in layer}
    chosen = {key: last[key] for key in (NAME_KEY, ZOO_KEY, HASHTAG_KEY) if key in last}
    name, zoo, hashtag = (_text(chosen[key][1]) if key in chosen else value for key, value in _row_keys(cfg).items())
    if not chosen or not name:
        return layers
    row = look_up(name, zoo=zoo if zoo in specs.SECTIONS else "", hashtag=hashtag)  # another ZOO breaks its rule, and is reported so
    if isinstance(row, Mistake):
        _, entry = chosen.get(row.key) or next(iter(chosen.values()))
        mistakes.append(f"{entry.where}: {row.text}")
        return layers
    where = f"model zoo row {zoo_name(row)}"
    if NAME_KEY not in chosen:
        return [_changed_parts(cfg, row, where), *layers]
    place, _ = chosen[NAME_KEY]
    return [_classes(row, where), *layers[:place], _parts(row.model, where), *layers[place:]]


def _row_keys(cfg: CfgNode) -> dict[str, Any]:
    """The three keys that decide the row, with their values in a config."""
    model = cfg.CONFIG.MODEL
    return {NAME_KEY: model.NAME, ZOO_KEY: model.ZOO, HASHTAG_KEY: model.PRETRAINED}


def _text(entry: Entry) -> str:
    """The entry's text; '' for what is no text, such as True or a list."""
    return "" if isinstance(entry.value, bool) else entry.text or ""


def _classes(row: specs.Row, where: str) -> Layer:
    return [] if row.num_classes is None else [Entry("CONFIG.DATA.NUM_CLASSES", row.num_classes, str(row.num_classes), where)]


def _parts(model: dict[str, dict[str, Any]], where: str) -> Layer:
    """The network of a row in the place of any other: each part emptied, then written."""
    emptied = [Entry(f"CONFIG.MODEL.{part}", None, None, where) for part in PARTS]
    return [*emptied, *(Entry(f"CONFIG.MODEL.{part}", section, None, where) for part, section in model.items())]


def _changed_parts(cfg: CfgNode, row: specs.Row, where: str) -> Layer:
    """The row's network in the place of the one that the same name meant before; what was changed in that one stays."""
    name, zoo, hashtag = _row_keys(cfg).values()
    before = look_up(name, zoo=zoo, hashtag=hashtag)
    if isinstance(before, Mistake) or before is row:
        return []
    return _parts({part: _rebased(cfg.CONFIG.MODEL[part], before.model.get(part, {}), row.model.get(part, {})) for part in PARTS}, where)


def _rebased(own: CfgNode, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A section that was built on the `old` one, built on the `new` one; a section of another TYPE as it is."""
    if own.get("TYPE") != old.get("TYPE"):
        return dict(own)
    return {**new, **{key: value for key, value in own.items() if old.get(key) != value}}


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
