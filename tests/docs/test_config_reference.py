"""The configuration reference: nothing of the schema is missing in it, nothing is there twice."""

import re
from collections import Counter

import config_reference
import pytest
import schema
from yacs.config import CfgNode

from vidrec.config.defaults import COMPONENT_SECTIONS, get_cfg_defaults


def leaves(node, prefix=""):
    """(dotted key, default) of the schema; a component section counts as one."""
    for key, value in node.items():
        if isinstance(value, CfgNode) and f"{prefix}{key}" not in COMPONENT_SECTIONS:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", dict(value) if isinstance(value, CfgNode) else value


@pytest.fixture(scope="module")
def rows():
    """(key as written, default as written, values, effect) of every row of the tables."""
    lines = config_reference.key_tables().splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("| `")]


def test_every_key_of_the_schema_is_there_once_with_its_default(rows):
    written = Counter((re.match(r"`(\S+)`", key)[1], default) for key, default, _, _ in rows)
    assert written == Counter((key, f"`{default!r}`") for key, default in leaves(get_cfg_defaults()))


def test_every_row_says_values_and_effect(rows):
    assert [row[0] for row in rows if not (row[2] and row[3])] == []


@pytest.mark.parametrize(
    "row",
    [
        "| `CONFIG.TRAIN.LR` | `0.01` | number; above 0 | learning rate for the batch as written; never scaled silently |",
        "| `CONFIG.DATA.AUG.ERASING.FILL` (new) | `'noise'` | text; one of noise, mean | noise or mean |",
        "| `CONFIG.VAL.NUM_CROP` (new) | `1` | integer; at least 1 crop | crops of each of them along the long side; 1 is the center |",
        "| `CONFIG.INFERENCE.EMA` (new) | `False` | True or False | test the average of the weights that a checkpoint holds |",
        "| `CONFIG.INFERENCE.FEAT` | `False` | True or False | the model returns pooled features instead of scores |",
    ],
)
def test_row_joins_default_rule_and_comment(row):
    assert config_reference.key_tables().splitlines().count(row) == 1


def test_key_without_a_comment_is_refused(monkeypatch):
    read = schema._Source.read
    monkeypatch.setattr(schema._Source, "read", lambda self: [key._replace(effect="") for key in read(self)][:2])
    with pytest.raises(ValueError, match=r"DDP_CONFIG\.AUTO_RANK_MATCH: no comment says unit and effect; write it beside the default"):
        schema.read_schema()


def test_every_component_is_there_with_its_arguments():
    lines = config_reference.component_tables().splitlines()
    names = [name for registry, _, _ in config_reference.SECTIONS for name in registry.names()]
    assert [line.removeprefix("#### ") for line in lines if line.startswith("#### ")] == names
    assert "| `ALPHA` | `8` | integer | fast frames per slow frame. |" in lines
    assert "| `WEIGHTS` | `'equal'` | one of equal, sqrt |" in "\n".join(lines)


def test_argument_without_a_text_is_refused():
    class Silent:
        """A backbone.

        Args:
            depth: in layers.
        """

        def __init__(self, *, depth: int = 1, width: int = 2):
            pass

    with pytest.raises(ValueError, match="Silent: width is not in the `Args:` of its docstring"):
        config_reference._component("Silent", Silent, ())
