"""P3D: a ResNet whose 3x3x3 convolutions are replaced by one over space and one over time, arranged in three ways in turn."""

from typing import Literal

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import ConvNorm, init_like_resnet, make_conv, shortest_input
from vidrec.models.layers.nonlocal_block import NonLocal
from vidrec.models.layers.residual import BlockKind, bottleneck_convs, drop_path_rates, make_drop_path, make_shortcut, plan_resnet

Arrangement = Literal["A", "B", "C"]


class P3D(Backbone):
    """Pseudo-3D ResNet of bottlenecks; the last stage is 2-D and sees one time step at a time.

    Qiu et al., Learning Spatio-Temporal Representation with Pseudo-3D Residual Networks, ICCV 2017 (arXiv 1711.10305). Blocks
    take the arrangements A, B, C in turn, counted through the whole network. The stem's pool and a pool after each stage but
    the last halve time, so that 16 frames leave one step. The first convolution of a block carries its stride. The reference
    mixes frames and channels for other clips than 16 frames; here a longer clip leaves more steps, for the head to average.

    Args:
        depth: 50, 101 or 152.
        stage_blocks: blocks of each stage, in place of the depth's.
        width: channels of the stem and width of the first stage; doubles from stage to stage.
        nonlocal_blocks: per stage, indices of the blocks that end with a non-local block; () for none anywhere. The last stage, which
            sees one time step at a time, takes none.
        drop_path: probability with which the last block is skipped while training; less before it, in a line (stochastic depth).

    Example: depth 50, clips [2, 3, 16, 224, 224] -> [[2, 2048, 1, 7, 7]]; clips must have at least 16 frames.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        stage_blocks: tuple[int, ...] = (),
        width: int = 64,
        nonlocal_blocks: tuple[tuple[int, ...], ...] = (),
        drop_path: float = 0.0,
    ):
        super().__init__()
        plan = plan_resnet(depth, stage_blocks, kinds={"bottleneck": BlockKind(4, bottleneck_convs)})
        mistakes = Mistakes(BACKBONE)
        mistakes.at_least_1(width=width)
        mistakes.nonlocal_blocks(plan.stage_blocks, nonlocal_blocks)
        mistakes.rate(drop_path=drop_path)
        flat = not nonlocal_blocks or not nonlocal_blocks[-1]
        mistakes.unless(flat, f"NONLOCAL_BLOCKS names {list(nonlocal_blocks[-1:])} in the last stage; it is 2-D. Give [] for it.")
        mistakes.raise_all()
        self.stem = ConvNorm(make_conv(3, width, kernel=(1, 7, 7), stride=(1, 2, 2)))
        self.pool = nn.MaxPool3d((2, 3, 3), stride=2, padding=(0, 1, 1))
        self.temporal_pool = nn.MaxPool3d((2, 1, 1))
        self.stages = nn.ModuleList()
        rates = drop_path_rates(plan.stage_blocks, drop_path)
        first = 0  # number of a stage's first block, counted through the network
        for index, count in enumerate(plan.stage_blocks):
            kinds = [None if index == len(plan.stage_blocks) - 1 else "ABC"[(first + place) % 3] for place in range(count)]
            in_channels = width if index == 0 else 2 * (width << index)
            after = nonlocal_blocks[index] if nonlocal_blocks else ()
            options = {"kinds": kinds, "nonlocal_blocks": after, "drop_paths": rates[index]}
            self.stages.append(_make_stage(in_channels, width << index, step=1 if index == 0 else 2, **options))
            first += count
        self.out_channels = plan.out_channels(width)[-1:]
        self.min_frames = shortest_input([(2, 2, 0)] * len(plan.stage_blocks))
        init_like_resnet(self)

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        x = self.pool(self.stem(clips))
        for stage in self.stages[:-1]:
            x = self.temporal_pool(stage(x))
        batch_and_time = (x.shape[0], x.shape[2])
        x = self.stages[-1](x.transpose(1, 2).flatten(0, 1))  # [B, C, T, H, W] -> [B*T, C, H, W]
        return [x.unflatten(0, batch_and_time).transpose(1, 2)]


def _make_stage(
    in_channels: int,
    width: int,
    *,
    step: int,
    kinds: "list[Arrangement | None]",
    nonlocal_blocks: tuple[int, ...],
    drop_paths: list[float],
) -> nn.Sequential:
    """Blocks of these arrangements in a row, the first with the stride `step`."""
    layers: list[nn.Module] = []
    for place, kind in enumerate(kinds):
        options = {"step": 1 if place else step, "arrangement": kind, "drop_path": drop_paths[place]}
        block = P3DBlock(4 * width if place else in_channels, width, **options)
        layers.append(nn.Sequential(block, NonLocal(4 * width)) if place in nonlocal_blocks else block)
    return nn.Sequential(*layers)


class P3DBlock(nn.Module):
    """1x1x1 to the width, the convolutions over space (S) and time (T), each with norm and ReLU, 1x1x1 to 4 times the width.

    Args:
        step: stride in height and width, of the first convolution.
        arrangement: A: T(S(x)); B: S(x) + T(x); C: S(x) + T(S(x)); None: S(x) in 2-D.
        drop_path: see make_drop_path.
    """

    def __init__(self, in_channels: int, width: int, *, step: int, arrangement: Arrangement | None, drop_path: float = 0.0):
        super().__init__()
        time = () if arrangement is None else (1,)
        ones, stride = (*time, 1, 1), (*time, step, step)
        self.reduce = ConvNorm(make_conv(in_channels, width, kernel=ones, stride=stride))
        self.spatial = ConvNorm(make_conv(width, width, kernel=(*time, 3, 3)))
        self.temporal = ConvNorm(make_conv(width, width, kernel=(3, 1, 1))) if arrangement else nn.Identity()
        self.expand = ConvNorm(make_conv(width, 4 * width, kernel=ones), relu=False)
        self.shortcut = make_shortcut(in_channels, 4 * width, stride=stride)
        self.drop_path = make_drop_path(drop_path)
        self.relu = nn.ReLU(inplace=True)
        self.arrangement = arrangement

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.drop_path(self.expand(self._middle(self.reduce(x)))) + self.shortcut(x))

    def _middle(self, x: torch.Tensor) -> torch.Tensor:
        spatial = self.spatial(x)
        if self.arrangement == "B":
            return spatial + self.temporal(x)
        if self.arrangement == "C":
            return spatial + self.temporal(spatial)
        return self.temporal(spatial)
