"""A 2-D ResNet inflated to 3-D, with or without non-local blocks."""

from typing import Literal

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import ConvNorm, init_like_resnet, make_conv, shortest_input
from vidrec.models.layers.nonlocal_block import NonLocal
from vidrec.models.layers.residual import make_stages, plan_resnet


class I3DResNet(Backbone):
    """ResNet v1b over frames; some of its convolutions also look along time, and its first layers subsample time.

    Carreira and Zisserman, Quo Vadis, CVPR 2017 (arXiv 1705.07750); Wang et al., Non-local Neural Networks, CVPR 2018
    (arXiv 1711.07971). The defaults are the published I3D networks, of which every variant is a difference of numbers:
    the slow pathway alone has stem_temporal_kernel 1, strides (1, 2, 2), no temporal pool and temporal_kernels
    ((1,), (1,), (3,), (3,)).

    Args:
        depth: 18, 34, 50, 101 or 152.
        stage_blocks: blocks of each stage, in place of the depth's.
        block: kind of block, in place of the depth's.
        width: channels of the stem and width of the first stage; doubles from stage to stage.
        stem_temporal_kernel: in frames.
        stem_stride: (t, h, w) of the stem's convolution.
        pool_stride: (t, h, w) of the max pool after it, whose kernel is (1, 3, 3): in time it keeps every t-th step. (): no pool.
        temporal_kernels: per stage, the kernel in time of each block's first convolution, repeated to the stage's end
            ((3, 1) stands for 3, 1, 3, 1, ...).
        temporal_pools: per stage, the factor of the max pool over time that follows it.
        nonlocal_blocks: per stage, indices of the blocks that end with a non-local block; () for none anywhere.
        nonlocal_momentum: of their BatchNorm, the share of the newest batch. The networks of the torch section of the reference zoo
            were trained with 0.9, those of its mxnet section with 0.1.
        drop_path: probability with which the last block is skipped while training; less before it, in a line (stochastic depth).
        out_stages: how many of the last stages are returned.

    Example: depth 50, clips [2, 3, 32, 224, 224] -> [[2, 2048, 4, 7, 7]]; clips must have at least 5 frames.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        stage_blocks: tuple[int, ...] = (),
        block: Literal["", "basic", "bottleneck"] = "",
        width: int = 64,
        stem_temporal_kernel: int = 5,
        stem_stride: tuple[int, ...] = (2, 2, 2),
        pool_stride: tuple[int, ...] = (2, 2, 2),
        temporal_kernels: tuple[tuple[int, ...], ...] = ((3,), (3, 1), (3, 1), (1, 3)),
        temporal_pools: tuple[int, ...] = (2, 1, 1, 1),
        nonlocal_blocks: tuple[tuple[int, ...], ...] = (),
        nonlocal_momentum: float = 0.9,
        drop_path: float = 0.0,
        out_stages: int = 1,
    ):
        super().__init__()
        plan = plan_resnet(depth, stage_blocks, block)
        mistakes, stages = Mistakes(BACKBONE), len(plan.stage_blocks)
        mistakes.at_least_1(width=width)
        mistakes.odd(stem_temporal_kernel=stem_temporal_kernel)
        mistakes.strides(stem_stride=stem_stride, pool_stride=pool_stride or (1, 1, 1))
        mistakes.temporal_kernels(stages, temporal_kernels=temporal_kernels)
        mistakes.temporal_pools(stages, temporal_pools)
        mistakes.nonlocal_blocks(plan.stage_blocks, nonlocal_blocks)
        mistakes.share(nonlocal_momentum=nonlocal_momentum)
        mistakes.rate(drop_path=drop_path)
        mistakes.out_stages(stages, out_stages)
        mistakes.raise_all()
        self.parent_2d = f"resnet{plan.depth}" if plan.depth and width == 64 else ""
        self.stem = ConvNorm(make_conv(3, width, kernel=(stem_temporal_kernel, 7, 7), stride=stem_stride))
        self.pool = nn.MaxPool3d((1, 3, 3), stride=pool_stride, padding=(0, 1, 1)) if pool_stride else nn.Identity()
        self.stages = make_stages(plan, width, temporal_kernels=temporal_kernels, nonlocal_blocks=nonlocal_blocks, drop_path=drop_path)
        self.temporal_pools = nn.ModuleList(make_temporal_pool(factor) for factor in temporal_pools)
        self.out_channels = plan.out_channels(width)[-out_stages:]
        pools = [(1, stride, 0) for stride in pool_stride[:1]] + [(factor, factor, 0) for factor in temporal_pools]
        self.min_frames = shortest_input([(stem_temporal_kernel, stem_stride[0], stem_temporal_kernel // 2), *pools])
        init_like_resnet(self)
        self._set_nonlocal_momentum(nonlocal_momentum)

    def _set_nonlocal_momentum(self, momentum: float) -> None:
        for module in self.modules():
            if isinstance(module, NonLocal):
                module.norm.momentum = momentum

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        x = self.pool(self.stem(clips))
        features = []
        for stage, temporal_pool in zip(self.stages, self.temporal_pools, strict=True):
            x = temporal_pool(stage(x))
            features = [*features, x][-len(self.out_channels) :]
        return features


def make_temporal_pool(factor: int) -> nn.Module:
    """A max pool over `factor` time steps; Identity for 1."""
    return nn.MaxPool3d((factor, 1, 1)) if factor > 1 else nn.Identity()
