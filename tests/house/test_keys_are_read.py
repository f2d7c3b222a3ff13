"""A key that no code reads is a promise that nobody keeps."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from house_source import attribute_chain, python_files, syntax_tree
from test_config_reading import may_read
from yacs.config import CfgNode

from vidrec.config import defaults
from vidrec.config.defaults import COMPONENT_SECTIONS, get_cfg_defaults

# Checked or ignored on purpose, and said so beside their defaults; everything else must be read.
NOT_READ = {
    "CONFIG.DATA.MULTIGRID": "stands in every YAML of the reference zoo; True is refused",
    "CONFIG.DATA.NUM_CROP": "another value than 1 is refused",
    "CONFIG.TRAIN.WARMUP_END_LR": "ignored, as in the reference: the ramp ends at LR, or at WARMUP_TO_LR",
} | dict.fromkeys(defaults.DERIVED_KEYS, "the devices and processes present decide")


def leaves(node, prefix="") -> list[str]:
    """Dotted leaf keys; a component section counts as one."""
    keys = []
    for key, value in node.items():
        is_node = isinstance(value, CfgNode) and f"{prefix}{key}" not in COMPONENT_SECTIONS
        keys += leaves(value, f"{prefix}{key}.") if is_node else [f"{prefix}{key}"]
    return keys


def chains_read(tree: ast.Module) -> set[tuple[str, ...]]:
    """Attribute chains in upper case that are read, with local names such as `train` or an alias replaced by their section.

    Example: `data = cfg.CONFIG.DATA; data.CLIP_LEN` -> `("DATA",)`, `("DATA", "CLIP_LEN")` and more
    """
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            targets, values = node.targets[0], node.value
            both = isinstance(targets, ast.Tuple) and isinstance(values, ast.Tuple)
            for target, value in zip(targets.elts, values.elts, strict=False) if both else [(targets, values)]:
                chain = attribute_chain(value)
                if isinstance(target, ast.Name) and len(chain) > 1 and chain[-1].isupper():
                    aliases[target.id] = chain[-1]
    found = set()
    for node in ast.walk(tree):
        is_read = isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Load)
        chain = attribute_chain(node) if is_read else []
        if chain:
            found.add((aliases.get(chain[0], chain[0].upper()), *chain[1:]))
    return found


def unread_keys(keys: list[str], chains: set[tuple[str, ...]]) -> list[str]:
    """Keys that no chain ends with. A last part that two sections share must be read together with its section."""
    counts = Counter(key.split(".")[-1] for key in keys)
    last, with_section = {chain[-1] for chain in chains}, {chain[-2:] for chain in chains}
    unread = []
    for key in keys:
        *_, section, name = key.split(".")
        if not ((section, name) in with_section or (counts[name] == 1 and name in last)):
            unread.append(key)
    return unread


def reading_files() -> list[Path]:
    """The files whose reading counts: checking a value in `vidrec/config` is no use of it, but protocols.py says what a test does."""
    used = [path for path in python_files("vidrec") if may_read(path) and not path.as_posix().startswith("vidrec/config/")]
    return [*used, Path("vidrec/config/protocols.py")]


def test_every_key_is_read():
    chains = set().union(*(chains_read(syntax_tree(path)) for path in reading_files()))
    unread = [key for key in unread_keys(leaves(get_cfg_defaults()), chains) if key not in NOT_READ]
    assert not unread, "keys that no code reads:\n" + "\n".join(unread)


def test_list_of_unread_keys_is_true():
    keys = leaves(get_cfg_defaults())
    assert set(NOT_READ) <= set(keys), "no longer keys: remove them from NOT_READ"


@pytest.mark.parametrize(
    ("source", "unread"),
    [
        ("cfg.CONFIG.TRAIN.BATCH_SIZE", ["VAL.BATCH_SIZE", "TRAIN.LR"]),
        ("train, val = cfg.CONFIG.TRAIN, cfg.CONFIG.VAL\nf(train.BATCH_SIZE, val.BATCH_SIZE)", ["TRAIN.LR"]),
        ("t = cfg.CONFIG.TRAIN\nt['LR'] + t.BATCH_SIZE", ["VAL.BATCH_SIZE"]),
        ("def f(val): return val.BATCH_SIZE, section.LR", ["TRAIN.BATCH_SIZE"]),
        ("cfg.CONFIG.TRAIN.LR = 1", ["TRAIN.BATCH_SIZE", "VAL.BATCH_SIZE", "TRAIN.LR"]),
    ],
)
def test_reading_is_told_from_writing_and_from_other_sections(source, unread):
    assert unread_keys(["TRAIN.BATCH_SIZE", "VAL.BATCH_SIZE", "TRAIN.LR"], chains_read(ast.parse(source))) == unread
