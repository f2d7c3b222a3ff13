"""TPN: the last two stages of a ResNet, resampled in time and joined by two flows."""

import math

import torch
from torch import nn

from vidrec.models.layers.checks import NECK, Mistakes
from vidrec.models.layers.conv import ConvNorm, make_conv
from vidrec.utils.errors import ConfigError, UserError


class TPN(nn.Module):
    """Temporal pyramid of two levels, the finer stage 0 and the coarser stage 1.

    Yang et al., Temporal Pyramid Network for Action Recognition, CVPR 2020 (arXiv 2004.03548). Each level is brought to one
    size in space (level 0 by a strided convolution) and to its own rate in time; a top-down flow adds level 1 to level 0, a
    bottom-up flow adds level 0 to level 1, and both are joined. Two things differ from the paper, since the published weights
    were trained so: the bottom-up flow starts from the levels as the top-down flow left them, and there is no auxiliary loss.

    Args:
        in_channels: of the two stages; the coarser one must have twice as many.
        temporal_pools: time steps that one step of each level stands for. Where the levels then differ, the coarser must have 1.
        down_pool: time steps that the bottom-up flow pools into one.
        fusion_pools: time steps of each level that are pooled into one before the levels are joined.
        width: channels of a level inside; a multiple of `groups`.
        groups: of the grouped convolutions.

    Example: [[2, 1024, 8, 14, 14], [2, 2048, 8, 7, 7]] with temporal_pools (8, 8) -> [[2, 2048, 1, 7, 7]]
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        *,
        temporal_pools: tuple[int, ...] = (8, 8),
        down_pool: int = 1,
        fusion_pools: tuple[int, ...] = (1, 1),
        width: int = 1024,
        groups: int = 32,
    ):
        super().__init__()
        _check_stages(in_channels)
        mistakes = Mistakes(NECK)
        mistakes.at_least_1(down_pool=down_pool, width=width, groups=groups)
        mistakes.two_levels(temporal_pools=temporal_pools, fusion_pools=fusion_pools)
        fine, coarse = in_channels
        divides = groups < 1 or (width % groups == 0 and coarse % groups == 0)
        mistakes.unless(divides, f"GROUPS is {groups}; it must divide WIDTH ({width}) and the last stage's channels ({coarse}). Give 32.")
        mistakes.raise_all()
        self.spatial = ConvNorm(make_conv(fine, coarse, kernel=(1, 3, 3), stride=(1, 2, 2)))
        self.temporal = nn.ModuleList(make_conv(coarse, width, kernel=(3, 1, 1), groups=groups) for _ in range(2))
        self.temporal_pools = nn.ModuleList(_time_pool(factor) for factor in temporal_pools)
        self._factors = (*temporal_pools, down_pool, *fusion_pools)
        self.down = make_conv(width, width, kernel=(3, 1, 1))
        self.down_pool = _time_pool(down_pool)
        self.top_down, self.bottom_up = (LevelFusion(width, pools=fusion_pools, groups=groups) for _ in range(2))
        self.fuse = ConvNorm(make_conv(4 * width, 2 * width, kernel=(1, 1, 1)))
        self.out_channels = (2 * width,)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """[B, C, T, H, W] and [B, 2C, T, H/2, W/2] -> one map of 2 * width channels.

        Raises:
            UserError: the clip's length leaves the two levels with numbers of steps that cannot be added.
        """
        mistake = self._steps_mistake(*(x.shape[2] for x in features))
        if mistake:
            raise UserError(mistake)
        levels = [self.spatial(features[0]), features[1]]
        fine, coarse = (pool(conv(x)) for x, conv, pool in zip(levels, self.temporal, self.temporal_pools, strict=True))
        fine = fine + coarse  # one coarse step is added to every fine one
        top_down = self.top_down(fine, coarse)
        bottom_up = self.bottom_up(fine, coarse + self.down_pool(self.down(fine)))
        return [self.fuse(torch.cat((top_down, bottom_up), dim=1))]

    def _steps_mistake(self, fine_steps: int, coarse_steps: int) -> str | None:
        """Why stages of so many time steps cannot be joined with these pools; None where they can."""
        first, second, down, *fusion = self._factors
        fine, coarse = math.ceil(fine_steps / first), math.ceil(coarse_steps / second)
        lowered = math.ceil(fine / down)
        joined = [(math.ceil(fine / fusion[0]), math.ceil(steps / fusion[1])) for steps in (coarse, max(coarse, lowered))]
        if coarse in (1, fine) and (coarse == lowered or 1 in (coarse, lowered)) and all(a == b for a, b in joined):
            return None
        return (
            f"CONFIG.MODEL.NECK.TEMPORAL_POOLS is {[first, second]}, DOWN_POOL {down} and FUSION_POOLS {fusion}; they leave {fine_steps} "
            f"and {coarse_steps} time steps as levels of {fine} and {coarse}, {lowered} going up, and {joined[0]} and {joined[1]} to be "
            "joined. The second level must have as many as the first, or 1, and the pairs must be equal. Set CONFIG.DATA.CLIP_LEN so "
            f"that at most {second} steps are left, or other pools."
        )


class LevelFusion(nn.Module):
    """Both levels, each pooled in time, 1x1x1 per level, joined, 1x1x1 over both: two maps of `width` channels -> one of 2 * width.

    Args:
        pools: time steps of each level that become one.
    """

    def __init__(self, width: int, *, pools: tuple[int, ...], groups: int):
        super().__init__()
        self.pools = nn.ModuleList(_time_pool(factor) for factor in pools)
        self.levels = nn.ModuleList(ConvNorm(make_conv(width, width, kernel=(1, 1, 1), groups=groups)) for _ in pools)
        self.fuse = ConvNorm(make_conv(2 * width, 2 * width, kernel=(1, 1, 1)))

    def forward(self, *levels: torch.Tensor) -> torch.Tensor:
        maps = [conv(pool(x)) for x, pool, conv in zip(levels, self.pools, self.levels, strict=True)]
        return self.fuse(torch.cat(maps, dim=1))


def _time_pool(factor: int) -> nn.Module:
    """A max pool over `factor` steps that also takes the incomplete ones at the end; Identity for 1."""
    return nn.MaxPool3d((factor, 1, 1), ceil_mode=True) if factor > 1 else nn.Identity()


def _check_stages(in_channels: tuple[int, ...]) -> None:
    if len(in_channels) != 2 or in_channels[1] != 2 * in_channels[0]:
        got = " and ".join(map(str, in_channels)) or "no"
        raise ConfigError(
            [
                f"CONFIG.MODEL.NECK.TYPE is TPN, which got feature maps of {got} channels; it takes the last two stages of a ResNet, the "
                "second with twice the channels. Set CONFIG.MODEL.BACKBONE.OUT_STAGES 2 on a backbone of one pathway that has it."
            ]
        )
