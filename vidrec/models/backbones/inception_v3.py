"""Inception v3, on single frames and inflated to 3-D."""

from functools import partial

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone, FrameBackbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import init_like_resnet, shortest_input
from vidrec.models.layers.inception import AveragePool, Branches, chain, make_unit

_STAGE_CHANNELS = (288, 768, 2048)
# (kernel, stride, padding) in height and width, from input to output; the modules of stride 1 keep the size.
_HALVINGS = [(3, 2, 0), (3, 1, 0), (3, 1, 1), (3, 2, 0), (1, 1, 0), (3, 1, 0), (3, 2, 0), (3, 2, 0), (3, 2, 0)]


class InceptionV3(FrameBackbone):
    """Inception v3 without auxiliary classifier, applied to every frame; structure of torchvision's inception_v3.

    Szegedy et al., Rethinking the Inception Architecture, CVPR 2016 (arXiv 1512.00567); Wang et al., Temporal Segment
    Networks, ECCV 2016. The reference ends with an 8 x 8 average, which is the head's average for the published 299 pixels.

    Args:
        out_stages: how many of the three last stages are returned.

    Example: clips [2, 3, 7, 299, 299] -> [[2, 2048, 7, 8, 8]]
    """

    parent_2d = "inception_v3"
    min_size = shortest_input(_HALVINGS)

    def __init__(self, *, out_stages: int = 1):
        super().__init__()
        self.stem, self.stages, self.out_channels = _layers(2, out_stages)
        init_like_resnet(self)

    def frame_features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(self.stem(frames))


class I3DInceptionV3(Backbone):
    """InceptionV3 with every kernel inflated to 3-D. Time is halved by the first unit and by the two reducing modules.

    Carreira and Zisserman, Quo Vadis, CVPR 2017 (arXiv 1705.07750).

    Args:
        out_stages: how many of the three last stages are returned.

    Example: clips [2, 3, 32, 299, 299] -> [[2, 2048, 4, 8, 8]]
    """

    parent_2d = "inception_v3"
    min_size = shortest_input(_HALVINGS)

    def __init__(self, *, out_stages: int = 1):
        super().__init__()
        self.stem, self.stages, self.out_channels = _layers(3, out_stages)
        init_like_resnet(self)

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(self.stem(clips))


def _layers(dims: int, out_stages: int) -> tuple[nn.Sequential, nn.ModuleList, tuple[int, ...]]:
    """Stem, stages and the channels of the last stages."""
    mistakes = Mistakes(BACKBONE)
    mistakes.out_stages(len(_STAGE_CHANNELS), out_stages)
    mistakes.raise_all()
    unit = partial(make_unit, dims=dims)
    stem = nn.Sequential(
        unit(3, 32, (3, 3), stride=2, valid=True),
        unit(32, 32, (3, 3), valid=True),
        unit(32, 64, (3, 3)),
        _max_pool(dims, time_stride=1),
        unit(64, 80, (1, 1)),
        unit(80, 192, (3, 3), valid=True),
        _max_pool(dims, time_stride=1),
    )
    stages = nn.ModuleList(
        [
            nn.Sequential(*(_module_a(channels, pooled, dims) for channels, pooled in ((192, 32), (256, 64), (288, 64)))),
            nn.Sequential(_module_b(288, dims), *(_module_c(768, middle, dims) for middle in (128, 160, 160, 192))),
            nn.Sequential(_module_d(768, dims), *(_module_e(channels, dims) for channels in (1280, 2048))),
        ]
    )
    return stem, stages, _STAGE_CHANNELS[-out_stages:]


def _max_pool(dims: int, *, time_stride: int = 2) -> nn.Module:
    """3x3 with stride 2; in 3-D it is 3 wide in time, which alone is padded."""
    return nn.MaxPool2d(3, stride=2) if dims == 2 else nn.MaxPool3d(3, stride=(time_stride, 2, 2), padding=(1, 0, 0))


def _module_a(channels: int, pooled: int, dims: int) -> Branches:
    unit = partial(make_unit, dims=dims)
    return Branches(
        nn.Sequential(unit(channels, 64, (1, 1))),
        nn.Sequential(*chain(unit, channels, (48, (1, 1)), (64, (5, 5)))),
        nn.Sequential(*chain(unit, channels, (64, (1, 1)), (96, (3, 3)), (96, (3, 3)))),
        nn.Sequential(AveragePool(dims), unit(channels, pooled, (1, 1))),
    )


def _module_b(channels: int, dims: int) -> Branches:
    unit = partial(make_unit, dims=dims)
    halving = partial(unit, kernel=(3, 3), stride=2, valid=True)
    return Branches(
        nn.Sequential(halving(channels, 384)),
        nn.Sequential(*chain(unit, channels, (64, (1, 1)), (96, (3, 3))), halving(96, 96)),
        nn.Sequential(_max_pool(dims)),
    )


def _module_c(channels: int, middle: int, dims: int) -> Branches:
    unit = partial(make_unit, dims=dims)
    wide, high = (1, 7), (7, 1)
    return Branches(
        nn.Sequential(unit(channels, 192, (1, 1))),
        nn.Sequential(*chain(unit, channels, (middle, (1, 1)), (middle, wide), (192, high))),
        nn.Sequential(*chain(unit, channels, (middle, (1, 1)), (middle, high), (middle, wide), (middle, high), (192, wide))),
        nn.Sequential(AveragePool(dims), unit(channels, 192, (1, 1))),
    )


def _module_d(channels: int, dims: int) -> Branches:
    unit = partial(make_unit, dims=dims)
    halving = partial(unit, kernel=(3, 3), stride=2, valid=True)
    return Branches(
        nn.Sequential(unit(channels, 192, (1, 1)), halving(192, 320)),
        nn.Sequential(*chain(unit, channels, (192, (1, 1)), (192, (1, 7)), (192, (7, 1))), halving(192, 192)),
        nn.Sequential(_max_pool(dims)),
    )


def _module_e(channels: int, dims: int) -> Branches:
    unit = partial(make_unit, dims=dims)
    return Branches(
        nn.Sequential(unit(channels, 320, (1, 1))),
        nn.Sequential(unit(channels, 384, (1, 1)), Branches(unit(384, 384, (1, 3)), unit(384, 384, (3, 1)))),
        nn.Sequential(*chain(unit, channels, (448, (1, 1)), (384, (3, 3))), Branches(unit(384, 384, (1, 3)), unit(384, 384, (3, 1)))),
        nn.Sequential(AveragePool(dims), unit(channels, 192, (1, 1))),
    )
