"""Inception v1 (GoogLeNet with BatchNorm), on single frames and inflated to 3-D."""

from functools import partial

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone, FrameBackbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import init_like_resnet, shortest_input
from vidrec.models.layers.inception import Branches, chain, make_unit

# Channels per module: of the 1x1, of the first 3x3 and the 1x1 before it, of the second, and of the 1x1 after the pool.
_MODULES = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
_STAGES = (("3a", "3b"), ("4a", "4b", "4c", "4d", "4e"), ("5a", "5b"))


class InceptionV1(FrameBackbone):
    """GoogLeNet with BatchNorm, applied to every frame. Its second 3x3 branch stands where the paper has 5x5.

    Szegedy et al., Going Deeper with Convolutions, CVPR 2015 (arXiv 1409.4842); Wang et al., Temporal Segment Networks,
    ECCV 2016. The reference ends with a 7 x 7 average, which is the head's average for the published 224 pixels.

    Args:
        out_stages: how many of the three last stages are returned.

    Example: clips [2, 3, 7, 224, 224] -> [[2, 1024, 7, 7, 7]]
    """

    parent_2d = "googlenet"
    min_size = 31

    def __init__(self, *, out_stages: int = 1):
        super().__init__()
        pools = [nn.MaxPool2d(3, stride=2, ceil_mode=True) for _ in range(3)]
        self.stem, self.stages, self.out_channels = _layers(2, [*pools, nn.MaxPool2d(2)], out_stages)
        init_like_resnet(self)

    def frame_features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(self.stem(frames))


class I3DInceptionV1(Backbone):
    """InceptionV1 with every kernel inflated to 3-D, and padded max pools.

    Carreira and Zisserman, Quo Vadis, CVPR 2017 (arXiv 1705.07750), of which it differs in padding. Time is divided by 8.

    Args:
        out_stages: how many of the three last stages are returned.

    Example: clips [2, 3, 32, 224, 224] -> [[2, 1024, 4, 7, 7]]
    """

    parent_2d = "googlenet"
    min_frames = shortest_input([(7, 2, 3), (3, 2, 1), (2, 2, 0)])
    min_size = shortest_input([(7, 2, 3), *[(3, 2, 1)] * 3, (2, 2, 0)])

    def __init__(self, *, out_stages: int = 1):
        super().__init__()
        flat = [nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)) for _ in range(2)]
        pools = [*flat, nn.MaxPool3d(3, stride=2, padding=1), nn.MaxPool3d(2)]
        self.stem, self.stages, self.out_channels = _layers(3, pools, out_stages)
        init_like_resnet(self)

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return self.through_stages(self.stem(clips))


def _layers(dims: int, pools: list[nn.Module], out_stages: int) -> tuple[nn.Sequential, nn.ModuleList, tuple[int, ...]]:
    """Stem, stages and the channels of the last stages; two pools belong to the stem, the others begin the later stages."""
    mistakes = Mistakes(BACKBONE)
    mistakes.out_stages(len(_STAGES), out_stages)
    mistakes.raise_all()
    unit = partial(make_unit, dims=dims)
    stem = nn.Sequential(unit(3, 64, (7, 7), stride=2), pools[0], *chain(unit, 64, (64, (1, 1)), (192, (3, 3))), pools[1])
    stages, channels, out_channels = nn.ModuleList(), 192, []
    for modules, pool in zip(_STAGES, (None, *pools[2:]), strict=True):
        layers = [] if pool is None else [pool]
        for name in modules:
            layers.append(_module(channels, name, dims))
            channels = sum((_MODULES[name][0], _MODULES[name][1][1], _MODULES[name][2][1], _MODULES[name][3]))
        stages.append(nn.Sequential(*layers))
        out_channels.append(channels)
    return stem, stages, tuple(out_channels[-out_stages:])


def _module(in_channels: int, name: str, dims: int) -> Branches:
    unit = partial(make_unit, dims=dims)
    single, first, second, pooled = _MODULES[name]
    pool = (nn.MaxPool2d if dims == 2 else nn.MaxPool3d)(3, stride=1, padding=1)
    return Branches(
        nn.Sequential(unit(in_channels, single, (1, 1))),
        *(nn.Sequential(*chain(unit, in_channels, (before, (1, 1)), (after, (3, 3)))) for before, after in (first, second)),
        nn.Sequential(pool, unit(in_channels, pooled, (1, 1))),
    )
