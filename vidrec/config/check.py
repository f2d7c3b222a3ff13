"""Whether an entry names a key, and has its type and range; what it should have been if not."""

from collections.abc import Iterator
from typing import Any

from yacs.config import CfgNode

from vidrec.config.defaults import COMPONENT_SECTIONS
from vidrec.config.rules import RULES, between_keys
from vidrec.config.source import Entry
from vidrec.utils.text import did_you_mean

_HASHTAG, _WEIGHTS = "CONFIG.MODEL.PRETRAINED", "CONFIG.TRAIN.CLASS_WEIGHTS"
TWO_TYPES = {_HASHTAG: "True, False or a hashtag", _WEIGHTS: "a list of numbers, or balanced"}  # keys of two types, in words


def check_entry(cfg: CfgNode, entry: Entry) -> tuple[Any, str | None]:
    """The entry's value in the type of its key, or the mistake in it."""
    node: Any = cfg
    for part in entry.key.split("."):
        if not isinstance(node, CfgNode) or part not in node:
            return None, f"{entry.where}: {entry.key} is not a config key.{_suggestion(cfg, entry.key)}"
        node = node[part]
    if entry.key in COMPONENT_SECTIONS:
        if entry.value is None or isinstance(entry.value, dict):
            return entry.value, None
        return None, f"{entry.where}: {entry.key} is {entry.value!r}; it must be a section with TYPE and that class's arguments."
    if isinstance(node, CfgNode):
        return None, f"{entry.where}: {entry.key} is {entry.value!r}; it must be a section with the keys {', '.join(node)}."
    value = _weights(entry.value) if entry.key == _WEIGHTS else _as_type(entry, node, either_bool=entry.key == _HASHTAG)
    if value is None:
        found = f"{entry.value!r} ({type(entry.value).__name__})"
        return None, f"{entry.where}: {entry.key} is {found}; it must be {_type_words(entry.key, node)}."
    return value, None


def _as_type(entry: Entry, default: Any, either_bool: bool) -> Any:
    """The value as the default's type; None where it has another one."""
    value = entry.value
    if either_bool:  # its default may be a hashtag by now, which an earlier layer wrote
        return value if isinstance(value, bool) else entry.text or None
    if isinstance(default, bool):
        return value if isinstance(value, bool) else None
    if isinstance(default, str):
        return "" if value is None else entry.text if entry.text is not None else value if isinstance(value, str) else None
    if default == []:  # what may stand in it is a rule's to say
        return list(value) if isinstance(value, (list, tuple)) else None
    if isinstance(default, list):
        return _as_list(value, default[0])
    return _number_as(value, default)


def _weights(value: Any) -> Any:
    """Text or a list of floats; None where the value is neither."""
    return value if isinstance(value, str) else _as_list(value, 1.0)


def _as_list(value: Any, default: Any) -> list[Any] | None:
    items = [_number_as(item, default) for item in value] if isinstance(value, (list, tuple)) else [None]
    return None if None in items else items


def _number_as(value: Any, default: Any) -> Any:
    """A scalar in the type of `default`; a whole number and a string like '1e-5' can be floats. None where it cannot."""
    if isinstance(default, str):
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return None
    if isinstance(default, int):
        return value if isinstance(value, int) else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number == number and abs(number) != float("inf") else None


def _type_words(key: str, default: Any) -> str:
    if key in TWO_TYPES:
        return TWO_TYPES[key]
    if default == [] and key in RULES:
        return RULES[key].allowed
    if isinstance(default, list):
        return f"a list, such as {default!r}"
    return {bool: "True or False", int: "a whole number", float: "a number", str: "text"}[type(default)]


def _suggestion(cfg: CfgNode, key: str) -> str:
    """Where a key that does not exist may belong: elsewhere by its last part, or a similar name."""
    last = key.rpartition(".")[2]
    every = list(_all_keys(cfg))
    elsewhere = [known for known in every if known.rpartition(".")[2] == last]
    if elsewhere:
        return f" It belongs at {' or '.join(elsewhere)}."
    parent = key.rpartition(".")[0]
    siblings = {known.rpartition(".")[2]: known for known in every if known.rpartition(".")[0] == parent}
    hint = did_you_mean(last, siblings)
    return hint or did_you_mean(key, every) or did_you_mean(last, {known.rpartition(".")[2] for known in every})


def _all_keys(node: CfgNode, prefix: str = "") -> Iterator[str]:
    """Every dotted key, sections too."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, CfgNode) and f"{prefix}{key}" not in COMPONENT_SECTIONS:
            yield from _all_keys(value, f"{prefix}{key}.")


def check_rules(cfg: CfgNode, where: dict[str, str], *, wrong: set[str], complete: bool) -> list[str]:
    """Ranges and choices of the keys that were set, then the rules between keys that are right for themselves.

    Args:
        where: key -> the place that set it.
        wrong: keys whose value was not taken.
        complete: check the rules between keys.
    """
    mistakes, wrong = [], set(wrong)
    for key, place in where.items():
        if key in RULES and not RULES[key].holds(_value(cfg, key)):
            mistakes.append(f"{place}: {key} is {_value(cfg, key)!r}; it must be {RULES[key].allowed}.")
            wrong.add(key)
    for keys, text in between_keys(cfg) if complete else ():
        if not wrong.intersection(keys):
            places = [where[key] for key in keys if key in where]
            mistakes.append(f"{places[0] if places else 'defaults'}: {text}")
    return mistakes


def _value(cfg: CfgNode, key: str) -> Any:
    node: Any = cfg
    for part in key.split("."):
        node = node[part]
    return node
