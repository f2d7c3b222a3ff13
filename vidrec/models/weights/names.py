"""Names of the reference zoo's parameters and ours, one table per layout, read in both directions.

A layout lists (our layer, their layer); `*` stands for a block's index. A layer of ours may have several names there: the
reference registers some layers twice, and its files hold one tensor under both names.
"""

from collections.abc import Iterable, Mapping
from functools import cache

import torch

from vidrec.utils.errors import WeightsError

Pairs = tuple[tuple[str, str], ...]

# A residual block, in the order of its layers.
_BLOCK: Pairs = (
    ("convs.0", "conv1"),
    ("norms.0", "bn1"),
    ("convs.1", "conv2"),
    ("norms.1", "bn2"),
    ("convs.2", "conv3"),
    ("norms.2", "bn3"),
    ("shortcut.conv", "downsample.0"),
    ("shortcut.norm", "downsample.1"),
)
_NONLOCAL: Pairs = (
    ("after.theta", "nonlocal_block.theta"),
    ("after.phi", "nonlocal_block.phi"),
    ("after.g", "nonlocal_block.g"),
    ("after.out", "nonlocal_block.W"),
    ("after.norm", "nonlocal_block.bn"),
    ("after.out", "nonlocal_block.W_bn.0"),
    ("after.norm", "nonlocal_block.W_bn.1"),
)


def _stages(ours: str, theirs: str, block: Pairs = _BLOCK, *, first: int = 0) -> Pairs:
    """The pairs of four stages; `theirs` has {} where the stage's number stands, counted from `first`."""
    return tuple(
        (f"{ours}.{stage}.*.{layer}", f"{theirs.format(stage + first)}.*.{their_layer}")
        for stage in range(4)
        for layer, their_layer in block
    )


LAYOUTS: dict[str, Pairs] = {
    # torchvision's names, also of its ImageNet files
    "resnet_v1b": (
        ("backbone.stem.conv", "conv1"),
        ("backbone.stem.norm", "bn1"),
        *_stages("backbone.stages", "layer{}", first=1),
        ("head.fc", "fc"),
    ),
    "i3d_resnet": (
        ("backbone.stem.conv", "first_stage.0"),
        ("backbone.stem.norm", "first_stage.1"),
        *_stages("backbone.stages", "res_layers.{}", (*_BLOCK, *_NONLOCAL)),
        ("head.fc", "fc"),
        ("head.fc", "head.1"),
    ),
    "slowfast": (
        ("backbone.slow.stem.conv", "slow_conv1"),
        ("backbone.slow.stem.norm", "slow_bn1"),
        *_stages("backbone.slow.stages", "slow_res{}", first=2),
        ("backbone.fast.stem.conv", "fast_conv1"),
        ("backbone.fast.stem.norm", "fast_bn1"),
        *_stages("backbone.fast.stages", "fast_res{}", first=2),
        ("backbone.laterals.0.conv", "lateral_p1.0"),
        ("backbone.laterals.0.norm", "lateral_p1.1"),
        *((f"backbone.laterals.{index}.conv", f"lateral_res{index + 1}.0") for index in (1, 2, 3)),
        *((f"backbone.laterals.{index}.norm", f"lateral_res{index + 1}.1") for index in (1, 2, 3)),
        ("head.fc", "fc"),
    ),
}


def their_names(name: str, layout: str) -> list[str]:
    """All names that a parameter of ours has in a layout, the first registered first; empty where it has none.

    Example: `head.fc.weight` in i3d_resnet -> ['fc.weight', 'head.1.weight']
    """
    return _translate(name, _to_theirs(layout))


def to_reference(state: Mapping[str, torch.Tensor], layout: str) -> dict[str, torch.Tensor]:
    """A state dict of ours under the reference's names, double names included, as its own code loads it strictly."""
    named = {}
    for name, tensor in state.items():
        theirs = their_names(name, layout)
        if not theirs:
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
    table = _to_ours(layout)
    named: dict[str, torch.Tensor] = {}
    unexplained = []
    for name, tensor in state.items():
        ours = next(iter(_translate(name, table)), None)
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
    table = _to_ours(layout)
    return [found[0] for found in (_translate(name, table) for name in names) if found]


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
