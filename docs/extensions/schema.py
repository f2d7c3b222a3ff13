"""Reads the config schema out of its source: every key with default, comment, and the values that the rules allow."""

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import Any, NamedTuple

from vidrec.config import data_defaults, defaults, training_defaults
from vidrec.config.check import TWO_TYPES
from vidrec.config.defaults import COMPONENT_SECTIONS, get_cfg_defaults
from vidrec.config.rules import RULES

MODULES = (defaults, training_defaults, data_defaults)


class Key(NamedTuple):
    """A key of the schema, or a section of it."""

    name: str  # dotted
    default: Any  # None of a section
    effect: str  # the comment beside or above it
    is_new: bool  # an addition to the reference zoo's schema
    allowed: str  # the rule's words, "" where there is no rule
    is_section: bool

    @property
    def type(self) -> str:
        names = {bool: "True or False", int: "integer", float: "number", str: "text", list: "list", dict: "component"}
        return TWO_TYPES.get(self.name, names[type(self.default)])


def read_schema() -> list[Key]:
    """All sections and keys in the order of the source. Raises ValueError for a key without a comment."""
    keys = _Source().read()
    silent = [key.name for key in keys if not key.effect and not key.is_section]
    if silent:
        raise ValueError(f"{', '.join(silent)}: no comment says unit and effect; write it beside the default in vidrec/config.")
    return keys


class _Source:
    """The functions and comments of the schema's modules, walked from `get_cfg_defaults` on."""

    def __init__(self):
        self.cfg = get_cfg_defaults()
        self.keys: list[Key] = []
        self.functions: dict[str, ast.FunctionDef] = {}
        self.comments: dict[tuple[str, int], tuple[str, bool]] = {}  # (file, line) -> text, alone on its line
        self.files: dict[str, str] = {}  # function -> file
        for module in MODULES:
            self._read_module(Path(module.__file__))

    def _read_module(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                self.functions[node.name], self.files[node.name] = node, str(path)
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                alone = not token.line[: token.start[1]].strip()
                self.comments[str(path), token.start[0]] = (token.string.lstrip("# ").strip(), alone)

    def read(self) -> list[Key]:
        self._walk("get_cfg_defaults", "cfg", "")
        return self.keys

    def _walk(self, function: str, variable: str, section: str) -> None:
        """Goes through a function in which `variable` stands for a section, and through those that it hands the section to."""
        for node in self.functions[function].body:
            call = getattr(node, "value", None)
            called = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
            if isinstance(node, ast.Expr) and called in self.functions:
                self._walk(called, self.functions[called].args.args[0].arg, section)
            elif isinstance(node, ast.Assign):
                comment = self._comment(self.files[function], node)
                for name in (f"{section}.{name}".lstrip(".") for name in _assigned(node.targets[0], variable)):
                    is_literal = called == "Node" and bool(call.args) and name not in COMPONENT_SECTIONS
                    self._add(name, comment[: 5 * comment.startswith("(new)")] if is_literal else comment, called)
                    if is_literal:  # Node({...}): the comment says `KEY: effect` of each
                        for key in self._value(name):
                            self._add(f"{name}.{key}", _share_of(comment, key))

    def _add(self, name: str, comment: str, called: str = "") -> None:
        value = self._value(name)
        is_section = hasattr(value, "items") and name not in COMPONENT_SECTIONS
        rule = RULES.get(name)
        is_new = comment.startswith("(new)") or any(key.is_new and name.startswith(f"{key.name}.") for key in self.keys)
        effect = comment.removeprefix("(new)").strip()
        self.keys.append(Key(name, None if is_section else _plain(value), effect, is_new, rule.allowed if rule else "", is_section))
        if called in self.functions:
            self._walk(called, _made_section(self.functions[called]), name)

    def _value(self, name: str) -> Any:
        value = self.cfg
        for part in name.split("."):
            value = value[part]
        return value

    def _comment(self, file: str, node: ast.Assign) -> str:
        """The comment at the end of an assignment, else the lines of comment above it."""
        beside = self.comments.get((file, node.end_lineno), ("", True))
        if not beside[1]:
            return beside[0]
        lines, line = [], node.lineno - 1
        while self.comments.get((file, line), ("", False))[1]:
            lines.insert(0, self.comments[file, line][0])
            line -= 1
        return " ".join(lines)


def _assigned(target: ast.expr, variable: str) -> list[str]:
    """Dotted names below `variable` that an assignment sets. Example: `val.A, val.B = ...` -> ["A", "B"]"""
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    names = [ast.unparse(part).partition(".") for part in targets]
    return [name for owner, _, name in names if owner == variable and name]


def _made_section(function: ast.FunctionDef) -> str:
    """The local variable that a function returns."""
    return next(node.value.id for node in function.body if isinstance(node, ast.Return))


def _share_of(comment: str, key: str) -> str:
    """What a section's comment says about one of its keys, `KEY: effect` up to the next semicolon; "" where it does not.

    Example: `AREA: share of the frame; ASPECT: width over height`, ASPECT -> `width over height`
    """
    match = re.search(rf"\b{key}: ([^;]*)", comment)
    return match[1].strip() if match else ""


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "items") else value
