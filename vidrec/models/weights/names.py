"""Names of a file's parameters and ours, by the tables of layouts.py, in both directions."""

import re
from collections.abc import Iterable, Mapping
from functools import cache

import torch

from vidrec.models.weights.layouts import LAYOUTS
from vidrec.utils.errors import WeightsError

# MXNet's names of what a norm of ours has. It has no counter of batches.
_MXNET_LEAVES = {"weight": "gamma", "bias": "beta"}
_OUR_LEAVES = {theirs: ours for ours, theirs in _MXNET_LEAVES.items()}
_NORM = re.compile(r"(.*\.)?(norm|norms\.\d+)")
COUNTER = "num_batches_tracked"


def their_names(name: str, layout: str) -> list[str]:
    """All names that a parameter of ours has in a layout, the first registered first; empty where it has none.

    Example: `head.fc.weight` in i3d_resnet -> ['fc.weight', 'head.1.weight']
    """
    if is_mxnet(layout):
        layer, _, leaf = name.rpartition(".")
        if leaf == COUNTER:
            return []
        name = f"{layer}.{_MXNET_LEAVES.get(leaf, leaf)}" if _NORM.fullmatch(layer) else name
    return _translate(name, _to_theirs(layout))


def is_mxnet(layout: str) -> bool:
    """Whether a layout is that of MXNet's `.params` files."""
    return layout.startswith("mxnet/")


def to_reference(state: Mapping[str, torch.Tensor], layout: str) -> dict[str, torch.Tensor]:
    """A state dict of ours under the reference's names, double names included, as its own code loads it strictly.

    Raises:
        WeightsError: for a name that the layout does not have.
    """
    named = {}
    for name, tensor in state.items():
        theirs = their_names(name, layout)
        if not theirs and not (is_mxnet(layout) and name.endswith(COUNTER)):
            raise WeightsError(
                f"{name} has no name in the layout {layout}; that layout names {_kinds(layout)}. Choose the network's own layout."
            )
        named |= dict.fromkeys(theirs, tensor)
    return named


def from_reference(state: Mapping[str, torch.Tensor], layout: str) -> tuple[dict[str, torch.Tensor], list[str]]:
    """(state dict under our names, names that the layout does not explain).

    Raises:
        WeightsError: when two names of one tensor hold different values.
    """
    named: dict[str, torch.Tensor] = {}
    unexplained = []
    for name, tensor in state.items():
        ours = _our_name(name, layout)
        if ours is None:
            unexplained.append(name)
        elif ours in named and not torch.equal(named[ours], tensor):
            raise WeightsError(
                f"{name} differs from the other name of the same tensor in the file; both must be equal. Take the published file."
            )
        else:
            named[ours] = tensor
    return named, unexplained


def our_names(names: Iterable[str], layout: str) -> list[str]:
    """Our names of those parameters of the reference that a layout explains.

    Example: [`layer1.2.bn3.bias`, `x.y`] in resnet_v1b -> ['backbone.stages.0.2.norms.2.bias']
    """
    return [ours for ours in (_our_name(name, layout) for name in names) if ours]


def _our_name(name: str, layout: str) -> str | None:
    if is_mxnet(layout):
        layer, _, leaf = name.rpartition(".")
        name = f"{layer}.{_OUR_LEAVES.get(leaf, leaf)}"
    return next(iter(_translate(name, _to_ours(layout))), None)


@cache
def _to_theirs(layout: str) -> dict[str, list[str]]:
    return _table(LAYOUTS[layout])


@cache
def _to_ours(layout: str) -> dict[str, list[str]]:
    return _table((theirs, ours) for ours, theirs in LAYOUTS[layout])


def _table(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for source, target in pairs:
        table.setdefault(source, []).append(target)
    return table


def _translate(name: str, table: Mapping[str, list[str]]) -> list[str]:
    """The targets of a parameter's layer, with its block index and leaf put back."""
    layer, _, leaf = name.rpartition(".")
    if layer in table:
        return [f"{target}.{leaf}" for target in table[layer]]
    parts = layer.split(".")
    for index, part in enumerate(parts):
        pattern = ".".join([*parts[:index], "*", *parts[index + 1 :]])
        if part.isdigit() and pattern in table:
            return [f"{target.replace('*', part)}.{leaf}" for target in table[pattern]]
    return []


def _kinds(layout: str) -> str:
    return ", ".join(sorted({ours.split(".")[1] for ours, _ in LAYOUTS[layout]}))
