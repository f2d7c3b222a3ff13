"""R(2+1)D: a 3-D ResNet whose convolutions are split into one over space and one over time."""

from functools import partial
from typing import Literal

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import ConvNorm, init_like_resnet, make_conv
from vidrec.models.layers.norm import make_norm
from vidrec.models.layers.residual import BlockKind, make_stages, plan_resnet

MiddleFrom = Literal["input", "width"]


class R2Plus1D(Backbone):
    """ResNet of (2+1)D units: 1x3x3, BatchNorm, ReLU, 3x1x1. Each stage but the first halves time, height and width.

    Tran et al., A Closer Look at Spatiotemporal Convolutions, CVPR 2018 (arXiv 1711.11248). The second version of the zoo
    (Ghadiyaram et al., CVPR 2019, arXiv 1905.00561) has middle_from `width` and norm_eps 1e-3.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stage_blocks: blocks of each stage, in place of the depth's.
        block: kind of block, in place of the depth's.
        width: channels of the stem and width of the first stage; doubles from stage to stage.
        stem_middle: channels between the two convolutions of the stem.
        middle_from: what decides the channels between the two convolutions of a unit, so that both together have as many
            parameters as the 3x3x3 convolution from there to the width: the block's `input` channels, or its `width`.
        nonlocal_blocks: per stage, indices of the blocks that end with a non-local block; () for none anywhere.
        norm_eps: of every BatchNorm.
        drop_path: probability with which the last block is skipped while training; less before it, in a line (stochastic depth).
        out_stages: how many of the last stages are returned.

    Example: depth 50, clips [2, 3, 16, 112, 112] -> [[2, 2048, 2, 7, 7]]
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        stage_blocks: tuple[int, ...] = (),
        block: Literal["", "basic", "bottleneck"] = "",
        width: int = 64,
        stem_middle: int = 45,
        middle_from: MiddleFrom = "input",
        nonlocal_blocks: tuple[tuple[int, ...], ...] = (),
        norm_eps: float = 1e-5,
        drop_path: float = 0.0,
        out_stages: int = 1,
    ):
        super().__init__()
        numbers = {"middle_from": middle_from, "norm_eps": norm_eps}
        kinds = {
            "basic": BlockKind(1, partial(_basic_convs, **numbers)),
            "bottleneck": BlockKind(4, partial(_bottleneck_convs, **numbers)),
        }
        plan = plan_resnet(depth, stage_blocks, block, kinds=kinds)
        mistakes = Mistakes(BACKBONE)
        mistakes.at_least_1(width=width, stem_middle=stem_middle)
        mistakes.above_0(norm_eps=norm_eps)
        mistakes.rate(drop_path=drop_path)
        mistakes.nonlocal_blocks(plan.stage_blocks, nonlocal_blocks)
        mistakes.out_stages(len(plan.stage_blocks), out_stages)
        mistakes.raise_all()
        self.stem = nn.Sequential(
            ConvNorm(make_conv(3, stem_middle, kernel=(1, 7, 7), stride=(1, 2, 2)), norm_eps=norm_eps),
            ConvNorm(make_conv(stem_middle, width, kernel=(3, 1, 1)), norm_eps=norm_eps),
        )
        options = {"nonlocal_blocks": nonlocal_blocks, "norm_eps": norm_eps, "drop_path": drop_path}
        self.stages = make_stages(plan, width, dims=3, temporal_stride=2, **options)
        self.out_channels = plan.out_channels(width)[-out_stages:]
        init_like_resnet(self)

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(self.stem(clips))


class Unit2Plus1D(nn.Module):
    """A convolution over space, BatchNorm, ReLU, a convolution over time; the norm after it belongs to the block.

    Args:
        middle: channels between the two.
        stride: (t, h, w): space strides in the first convolution, time in the second.
    """

    def __init__(self, in_channels: int, out_channels: int, *, middle: int, stride: tuple[int, ...], norm_eps: float):
        super().__init__()
        self.spatial = make_conv(in_channels, middle, kernel=(1, 3, 3), stride=(1, *stride[1:]))
        self.norm = make_norm(middle, dims=3, eps=norm_eps)
        self.relu = nn.ReLU(inplace=True)
        self.temporal = make_conv(middle, out_channels, kernel=(3, 1, 1), stride=(stride[0], 1, 1))
        self.out_channels = out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.temporal(self.relu(self.norm(self.spatial(x))))


def middle_channels(in_channels: int, width: int) -> int:
    """Channels with which 1x3x3 and 3x1x1 together have the parameters of 3x3x3 from in_channels to width.

    Example: 256 to 64 -> 177
    """
    return (27 * in_channels * width) // (9 * in_channels + 3 * width)


def _unit(in_channels: int, width: int, *, block_input: int, stride: tuple[int, ...], norm_eps: float, middle_from: MiddleFrom):
    middle = middle_channels(block_input if middle_from == "input" else width, width)
    return Unit2Plus1D(in_channels, width, middle=middle, stride=stride, norm_eps=norm_eps)


def _basic_convs(in_channels: int, width: int, *, stride: tuple[int, ...], temporal_kernel: int, **numbers) -> list[nn.Module]:
    """Two units; the middle of both follows from the channels that enter the block."""
    numbers["block_input"] = in_channels
    return [_unit(in_channels, width, stride=stride, **numbers), _unit(width, width, stride=(1, 1, 1), **numbers)]


def _bottleneck_convs(in_channels: int, width: int, *, stride: tuple[int, ...], temporal_kernel: int, **numbers) -> list[nn.Module]:
    """1x1x1, a unit, 1x1x1; the middle follows from the channels that enter the block, though the unit gets `width` of them."""
    return [
        make_conv(in_channels, width, kernel=(1, 1, 1)),
        _unit(width, width, block_input=in_channels, stride=stride, **numbers),
        make_conv(width, 4 * width, kernel=(1, 1, 1)),
    ]
