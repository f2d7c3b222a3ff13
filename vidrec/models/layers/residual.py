"""Residual blocks and stages, of 2 or 3 dimensions. A family differs from another in numbers and in the block's convolutions.

He et al., Deep Residual Learning, CVPR 2016 (arXiv 1512.03385). The bottleneck strides in its middle convolution ("v1b").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torchvision.ops import StochasticDepth

from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import ConvNorm, make_conv
from vidrec.models.layers.nonlocal_block import NonLocal
from vidrec.models.layers.norm import make_norm


@dataclass(frozen=True)
class BlockKind:
    """What a block consists of.

    Args:
        expansion: output channels of a block over its width.
        make_convs: (in_channels, width, stride=, temporal_kernel=) -> the block's convolutions in order, without norms.
            Each has `out_channels`; a module of several convolutions may stand for one.
    """

    expansion: int
    make_convs: Callable[..., list[nn.Module]]


class ResidualBlock(nn.Module):
    """Convolutions in a row, each with its norm, added to a shortcut: conv norm relu ... conv norm + shortcut, relu, after.

    Args:
        convs: each with `out_channels`.
        shortcut: what the input goes through on its way to the sum; Identity where nothing changes size.
        dims: 2 or 3, of the norms.
        drop_path: probability with which the shortcut stands alone, see make_drop_path.
        after: what follows the last ReLU (a non-local block), or Identity.
    """

    def __init__(
        self,
        convs: Sequence[nn.Module],
        *,
        shortcut: nn.Module,
        dims: int,
        norm_eps: float = 1e-5,
        drop_path: float = 0.0,
        after: nn.Module | None = None,
    ):
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(make_norm(conv.out_channels, dims=dims, eps=norm_eps) for conv in convs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = shortcut
        self.drop_path = make_drop_path(drop_path)
        self.after = nn.Identity() if after is None else after

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x
        last = len(self.convs) - 1
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            out = norm(conv(out))
            if index < last:
                out = self.relu(out)
        return self.after(self.relu(self.drop_path(out) + self.shortcut(x)))


def make_drop_path(rate: float) -> nn.Module:
    """Stochastic depth: while training, zeroes all of a clip with this probability and scales the others by 1 / (1 - rate).

    Huang et al., Deep Networks with Stochastic Depth, ECCV 2016 (arXiv 1603.09382). A 2-D network drops single frames. Identity for 0.
    """
    return StochasticDepth(rate, mode="row") if rate else nn.Identity()


def drop_path_rates(stage_blocks: Sequence[int], drop_path: float) -> list[list[float]]:
    """The rate of every block of every stage: it grows in a line over the depth, from nothing before the first block to `drop_path`.

    Example: stages of 1 and 3 blocks, 0.2 -> [[0.05], [0.1, 0.15, 0.2]]
    """
    total, numbers = sum(stage_blocks), iter(range(1, sum(stage_blocks) + 1))
    return [[drop_path * next(numbers) / total for _ in range(blocks)] for blocks in stage_blocks]


def basic_convs(in_channels: int, width: int, *, stride: tuple[int, ...], temporal_kernel: int = 1) -> list[nn.Module]:
    """Two 3x3 convolutions; the first one strides and, in 3-D, has the temporal kernel."""
    dims = len(stride)
    return [
        make_conv(in_channels, width, kernel=_kernel(dims, temporal_kernel, 3), stride=stride),
        make_conv(width, width, kernel=_kernel(dims, 1, 3)),
    ]


def bottleneck_convs(in_channels: int, width: int, *, stride: tuple[int, ...], temporal_kernel: int = 1) -> list[nn.Module]:
    """1x1, 3x3, 1x1 to 4 times the width; the 3x3 one strides, and in 3-D the first one has the temporal kernel."""
    dims = len(stride)
    return [
        make_conv(in_channels, width, kernel=_kernel(dims, temporal_kernel, 1)),
        make_conv(width, width, kernel=_kernel(dims, 1, 3), stride=stride),
        make_conv(width, 4 * width, kernel=_kernel(dims, 1, 1)),
    ]


BLOCK_KINDS = {"basic": BlockKind(1, basic_convs), "bottleneck": BlockKind(4, bottleneck_convs)}

MAX_BLOCKS = 1000  # of a stage; He et al. trained 1202 layers in all
_DEPTHS: dict[int, tuple[Literal["basic", "bottleneck"], tuple[int, ...]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


@dataclass(frozen=True)
class ResNetPlan:
    """Blocks per stage and kind of block; `depth` is the standard depth with this plan, or None."""

    kind: BlockKind
    stage_blocks: tuple[int, ...]
    depth: int | None

    def out_channels(self, width: int) -> tuple[int, ...]:
        """Output channels of each stage, when the first one has this width; the width doubles from stage to stage."""
        return tuple(self.kind.expansion * (width << index) for index in range(len(self.stage_blocks)))


def plan_resnet(
    depth: int, stage_blocks: tuple[int, ...] = (), block: str = "", *, kinds: Mapping[str, BlockKind] = BLOCK_KINDS
) -> ResNetPlan:
    """What a depth means, or what stands in its place.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stage_blocks: blocks of each stage; () takes the depth's.
        block: `basic` or `bottleneck`; '' takes the depth's.
        kinds: what these are in the family. A family that has one of them only takes the depths of that one.

    Raises:
        ConfigError: for another depth, or a stage without blocks.
    """
    mistakes, depths = Mistakes(BACKBONE), [number for number, (name, _) in _DEPTHS.items() if (block or name) in kinds]
    known, free = ", ".join(map(str, depths)), bool(stage_blocks) and (bool(block) or len(kinds) == 1)
    remedy = "Give STAGE_BLOCKS" + ("" if len(kinds) == 1 else " and BLOCK")
    mistakes.unless(free or depth in depths, f"DEPTH is {depth}; it must be one of {known}. {remedy} for a network of another depth.")
    what = f"STAGE_BLOCKS is {list(stage_blocks)}; every stage must have 1 to {MAX_BLOCKS} blocks."
    good = not stage_blocks or (min(stage_blocks) >= 1 and max(stage_blocks) <= MAX_BLOCKS)
    mistakes.unless(good, f"{what} Leave out the stages that have none.")
    mistakes.raise_all()
    name = block or (_DEPTHS[depth][0] if depth in depths else next(iter(kinds)))
    blocks = tuple(stage_blocks) or _DEPTHS[depth][1]
    standard = {plan: number for number, plan in _DEPTHS.items()}
    return ResNetPlan(kinds[name], blocks, standard.get((name, blocks)))


def make_stages(
    plan: ResNetPlan,
    width: int,
    *,
    dims: int = 3,
    extra_channels: Sequence[int] = (),
    temporal_kernels: tuple[tuple[int, ...], ...] = (),
    temporal_stride: int = 1,
    nonlocal_blocks: tuple[tuple[int, ...], ...] = (),
    norm_eps: float = 1e-5,
    drop_path: float = 0.0,
) -> nn.ModuleList:
    """All stages of a ResNet; each but the first halves height and width.

    Args:
        width: channels that enter the first stage, and its width.
        dims: 2 or 3.
        extra_channels: per stage, channels that another pathway adds to the stage's input; () for none.
        temporal_kernels: per stage, see make_stage; () for 1 everywhere.
        temporal_stride: of each stage but the first, in frames.
        nonlocal_blocks: per stage, see make_stage; () for none.
        drop_path: rate of the last block, see drop_path_rates.
    """
    count, stages, channels = len(plan.stage_blocks), nn.ModuleList(), width
    per_stage = zip(
        plan.stage_blocks,
        extra_channels or (0,) * count,
        temporal_kernels or ((1,),) * count,
        nonlocal_blocks or ((),) * count,
        drop_path_rates(plan.stage_blocks, drop_path),
        strict=True,
    )
    for index, (blocks, extra, kernels, after, rates) in enumerate(per_stage):
        options = {"temporal_kernels": kernels, "nonlocal_blocks": after, "drop_paths": rates, "norm_eps": norm_eps}
        stride = (temporal_stride, 2, 2)[-dims:] if index else (1,) * dims
        stages.append(make_stage(channels + extra, width << index, kind=plan.kind, blocks=blocks, stride=stride, **options))
        channels = plan.out_channels(width)[index]
    return stages


def make_stage(
    in_channels: int,
    width: int,
    *,
    kind: BlockKind,
    blocks: int,
    stride: tuple[int, ...],
    temporal_kernels: tuple[int, ...] = (1,),
    nonlocal_blocks: tuple[int, ...] = (),
    norm_eps: float = 1e-5,
    drop_paths: Sequence[float] = (),
) -> nn.Sequential:
    """Residual blocks in a row; the first one strides, and projects its shortcut where stride or channels change.

    Args:
        width: of the blocks; the stage gives `kind.expansion * width` channels.
        stride: of the first block; 3 numbers (t, h, w) build a 3-D stage, 2 numbers a 2-D one.
        temporal_kernels: in frames, one per block, repeated to the stage's end: (3, 1) gives 3, 1, 3, 1, ... 3-D only.
        nonlocal_blocks: indices of the blocks that end with a non-local block. 3-D only.
        drop_paths: the rate of each block, see make_drop_path; () for none.
    """
    out_channels = kind.expansion * width
    stage = []
    for index in range(blocks):
        block_stride = stride if index == 0 else (1,) * len(stride)
        channels = in_channels if index == 0 else out_channels
        convs = kind.make_convs(channels, width, stride=block_stride, temporal_kernel=temporal_kernels[index % len(temporal_kernels)])
        shortcut = make_shortcut(channels, out_channels, stride=block_stride, norm_eps=norm_eps)
        after = NonLocal(out_channels, norm_eps=norm_eps) if index in nonlocal_blocks else None
        rate = drop_paths[index] if drop_paths else 0.0
        stage.append(ResidualBlock(convs, shortcut=shortcut, dims=len(stride), norm_eps=norm_eps, drop_path=rate, after=after))
    return nn.Sequential(*stage)


def make_shortcut(in_channels: int, out_channels: int, *, stride: tuple[int, ...], norm_eps: float = 1e-5) -> nn.Module:
    """Identity, or a strided 1x1 convolution and its norm where stride or channels change."""
    if in_channels == out_channels and max(stride) == 1:
        return nn.Identity()
    conv = make_conv(in_channels, out_channels, kernel=(1,) * len(stride), stride=stride)
    return ConvNorm(conv, relu=False, norm_eps=norm_eps)


def _kernel(dims: int, temporal: int, spatial: int) -> tuple[int, ...]:
    return (spatial, spatial) if dims == 2 else (temporal, spatial, spatial)
