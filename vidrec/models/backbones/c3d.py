"""C3D: eight 3x3x3 convolutions."""

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import init_like_resnet, make_conv


class C3D(Backbone):
    """Convolutions with a bias and a ReLU each, no BatchNorm, max pools between them; for `C3DHead`.

    Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, ICCV 2015 (arXiv 1412.0767).

    The three linear layers of the network are the head's; they see the whole last map, 1 x 4 x 4, so that a clip must have
    16 to 31 frames of 96 to 127 pixels. The published clip is 16 x 112 x 112.

    Args:
        width: channels of the first convolution.

    Example: clips [2, 3, 16, 112, 112] -> [[2, 512, 1, 4, 4]]
    """

    min_frames, max_frames = 16, 31
    min_size, max_size = 96, 127
    last_map = "stages.4.3"  # after the ReLU of the last convolution, 2 x 7 x 7

    def __init__(self, *, width: int = 64):
        super().__init__()
        mistakes = Mistakes(BACKBONE)
        mistakes.at_least_1(width=width)
        mistakes.raise_all()
        widths = ((width,), (2 * width,), (4 * width,) * 2, (8 * width,) * 2, (8 * width,) * 2)
        pools = [nn.MaxPool3d((1, 2, 2)), *(nn.MaxPool3d(2) for _ in range(3)), nn.MaxPool3d(2, padding=(0, 1, 1))]
        self.stages, channels = nn.ModuleList(), 3
        for stage_widths, pool in zip(widths, pools, strict=True):
            layers: list[nn.Module] = []
            for out_channels in stage_widths:
                layers += [make_conv(channels, out_channels, kernel=(3, 3, 3), bias=True), nn.ReLU(inplace=True)]
                channels = out_channels
            self.stages.append(nn.Sequential(*layers, pool))
        self.out_channels = (channels,)
        init_like_resnet(self, with_bias=True)

    def parts(self) -> list[tuple[nn.Module, ...]]:
        return [(stage,) for stage in self.stages]

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(clips)
