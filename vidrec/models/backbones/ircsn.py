"""ir-CSN: a 3-D ResNet whose only convolutions over space and time work on one channel each."""

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import ConvNorm, init_like_resnet, make_conv
from vidrec.models.layers.residual import BlockKind, make_stages, plan_resnet


class IRCSN(Backbone):
    """Interaction-reduced channel-separated network: bottlenecks of 1x1x1, depthwise 3x3x3 and 1x1x1.

    Tran et al., Video Classification with Channel-Separated Convolutional Networks, ICCV 2019 (arXiv 1904.02811). The
    depthwise convolution carries the stride; each stage but the first halves time, height and width.

    Args:
        depth: 50, 101 or 152.
        stage_blocks: blocks of each stage, in place of the depth's.
        width: channels of the stem and width of the first stage; doubles from stage to stage.
        nonlocal_blocks: per stage, indices of the blocks that end with a non-local block; () for none anywhere.
        norm_eps: of every BatchNorm.
        drop_path: probability with which the last block is skipped while training; less before it, in a line (stochastic depth).
        out_stages: how many of the last stages are returned.

    Example: depth 152, clips [2, 3, 32, 224, 224] -> [[2, 2048, 4, 7, 7]]
    """

    def __init__(
        self,
        *,
        depth: int = 152,
        stage_blocks: tuple[int, ...] = (),
        width: int = 64,
        nonlocal_blocks: tuple[tuple[int, ...], ...] = (),
        norm_eps: float = 1e-3,
        drop_path: float = 0.0,
        out_stages: int = 1,
    ):
        super().__init__()
        plan = plan_resnet(depth, stage_blocks, kinds={"bottleneck": BlockKind(4, _depthwise_convs)})
        mistakes = Mistakes(BACKBONE)
        mistakes.at_least_1(width=width)
        mistakes.above_0(norm_eps=norm_eps)
        mistakes.rate(drop_path=drop_path)
        mistakes.nonlocal_blocks(plan.stage_blocks, nonlocal_blocks)
        mistakes.out_stages(len(plan.stage_blocks), out_stages)
        mistakes.raise_all()
        self.stem = ConvNorm(make_conv(3, width, kernel=(3, 7, 7), stride=(1, 2, 2)), norm_eps=norm_eps)
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        options = {"nonlocal_blocks": nonlocal_blocks, "norm_eps": norm_eps, "drop_path": drop_path}
        self.stages = make_stages(plan, width, dims=3, temporal_stride=2, **options)
        self.out_channels = plan.out_channels(width)[-out_stages:]
        init_like_resnet(self)

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(self.pool(self.stem(clips)))


def _depthwise_convs(in_channels: int, width: int, *, stride: tuple[int, ...], temporal_kernel: int) -> list[nn.Module]:
    return [
        make_conv(in_channels, width, kernel=(1, 1, 1)),
        make_conv(width, width, kernel=(3, 3, 3), stride=stride, groups=width),
        make_conv(width, 4 * width, kernel=(1, 1, 1)),
    ]
