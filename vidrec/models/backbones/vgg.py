"""VGG-16 on single frames."""

import torch
from torch import nn

from vidrec.models.backbones.base import FrameBackbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import init_like_resnet, make_conv

_STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels of the convolutions, over the width


class VGG16(FrameBackbone):
    """Thirteen 3x3 convolutions and two linear layers per frame, no BatchNorm; the features of the frames are the head's to average.

    Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015 (arXiv 1409.1556); Wang et al., Temporal Segment
    Networks, ECCV 2016. Frames of another size than 224 are averaged to the 7 x 7 map that the linear layers take, as
    torchvision's network does; the reference's takes 224 to 255 pixels, for which that changes nothing.

    Args:
        width: channels of the first convolution.
        hidden: features of the two linear layers.
        dropout: share of the first linear layer's output that is zeroed while training; the head's dropout follows the second.

    Example: clips [2, 3, 3, 224, 224] -> [[2, 4096, 3, 1, 1]]
    """

    min_size = 32
    last_map = "stages.4.5"  # after the ReLU of the last convolution, 14 x 14

    def __init__(self, *, width: int = 64, hidden: int = 4096, dropout: float = 0.5):
        super().__init__()
        mistakes = Mistakes(BACKBONE)
        mistakes.at_least_1(width=width, hidden=hidden)
        mistakes.share(dropout=dropout)
        mistakes.raise_all()
        self.parent_2d = "vgg16" if (width, hidden) == (64, 4096) else ""
        self.stages, channels = nn.ModuleList(), 3
        for factors in _STAGES:
            layers: list[nn.Module] = []
            for factor in factors:
                layers += [make_conv(channels, factor * width, kernel=(3, 3), bias=True), nn.ReLU(inplace=True)]
                channels = factor * width
            self.stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.fc6 = nn.Linear(channels * 7 * 7, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.relu, self.dropout = nn.ReLU(inplace=True), nn.Dropout(dropout)
        self.out_channels = (hidden,)
        init_like_resnet(self, with_bias=True)
        for linear in (self.fc6, self.fc7):
            nn.init.normal_(linear.weight, std=0.01)
            nn.init.zeros_(linear.bias)

    def parts(self) -> list[tuple[nn.Module, ...]]:
        return [*((stage,) for stage in self.stages), (self.fc6, self.fc7)]

    def frame_features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        x = self.pool(self.through_stages(frames)[-1]).flatten(1)  # [B*T, C, 7, 7] -> [B*T, 49 * C]
        x = self.dropout(self.relu(self.fc6(x)))
        return [self.relu(self.fc7(x))[:, :, None, None]]
