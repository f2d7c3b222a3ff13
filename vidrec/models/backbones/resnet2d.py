"""ResNet on single frames, the backbone of Temporal Segment Networks."""

from typing import Literal

import torch
from torch import nn

from vidrec.models.backbones.base import FrameBackbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import ConvNorm, init_like_resnet, make_conv
from vidrec.models.layers.residual import make_stages, plan_resnet


class ResNet2D(FrameBackbone):
    """A 2-D ResNet v1b (stride in the 3x3 convolution), applied to every frame; numerically torchvision's.

    He et al., Deep Residual Learning, CVPR 2016 (arXiv 1512.03385).

    Args:
        depth: 18, 34, 50, 101 or 152.
        stage_blocks: blocks of each stage, in place of the depth's.
        block: kind of block, in place of the depth's.
        width: channels of the stem and width of the first stage; doubles from stage to stage.
        drop_path: probability with which a frame skips the last block while training; less before it, in a line (stochastic depth).
        out_stages: how many of the last stages are returned.

    Example: depth 50, clips [2, 3, 7, 224, 224] -> [[2, 2048, 7, 7, 7]]
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        stage_blocks: tuple[int, ...] = (),
        block: Literal["", "basic", "bottleneck"] = "",
        width: int = 64,
        drop_path: float = 0.0,
        out_stages: int = 1,
    ):
        super().__init__()
        plan = plan_resnet(depth, stage_blocks, block)
        mistakes = Mistakes(BACKBONE)
        mistakes.at_least_1(width=width)
        mistakes.rate(drop_path=drop_path)
        mistakes.out_stages(len(plan.stage_blocks), out_stages)
        mistakes.raise_all()
        self.parent_2d = f"resnet{plan.depth}" if plan.depth and width == 64 else ""
        self.stem = ConvNorm(make_conv(3, width, kernel=(7, 7), stride=(2, 2)))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = make_stages(plan, width, dims=2, drop_path=drop_path)
        self.out_channels = plan.out_channels(width)[-out_stages:]
        init_like_resnet(self)

    def frame_features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(self.pool(self.stem(frames)))
