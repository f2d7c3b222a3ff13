"""SlowFast: two ResNet pathways at two frame rates."""

from typing import Any, Literal

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone
from vidrec.models.layers.checks import BACKBONE, Mistakes
from vidrec.models.layers.conv import ConvNorm, make_conv
from vidrec.models.layers.residual import ResNetPlan, make_stages, plan_resnet


class SlowFast(Backbone):
    """A slow pathway with every alpha-th frame and full width, a fast one with all frames and 1/beta of the width.

    Feichtenhofer et al., SlowFast Networks, ICCV 2019 (arXiv 1812.03982). Before every stage the fast features flow into
    the slow pathway through a strided convolution along time. The input is one tensor of the fast frames; the slow ones
    are one of each alpha of them. Any number of frames works.

    Both pathways are returned, [slow, fast]: `SlowFastHead` takes the two together. Fresh weights keep PyTorch's default start, as
    those of the published networks did.

    Args:
        depth: 18, 34, 50, 101 or 152, of both pathways.
        stage_blocks: blocks of each stage, in place of the depth's.
        block: kind of block, in place of the depth's.
        width: channels of the slow stem and width of the first slow stage; doubles from stage to stage.
        alpha: fast frames per slow frame.
        slow_start: which one of each alpha frames the slow pathway takes, from 0. The networks of the torch section of the reference
            zoo take the first, those of its mxnet section the last, alpha - 1; an incomplete group at the end gives its last frame.
        beta: slow width over fast width; must divide `width`.
        fusion_kernel: of the lateral convolutions, in fast frames; odd.
        fusion_ratio: channels of a lateral connection over those of the fast features.
        slow_temporal_kernels: per stage, the kernel in time of each block's first convolution, repeated to the stage's end.
        fast_temporal_kernels: the same, of the fast pathway.
        nonlocal_blocks: per stage, indices of the slow pathway's blocks that end with a non-local block; () for none anywhere.
        drop_path: probability with which the last block of each pathway is skipped while training; less before it, in a line.

    Example: depth 50, clips [2, 3, 32, 224, 224] -> [[2, 2048, 4, 7, 7], [2, 256, 32, 7, 7]]
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        stage_blocks: tuple[int, ...] = (),
        block: Literal["", "basic", "bottleneck"] = "",
        width: int = 64,
        alpha: int = 8,
        slow_start: int = 0,
        beta: int = 8,
        fusion_kernel: int = 5,
        fusion_ratio: int = 2,
        slow_temporal_kernels: tuple[tuple[int, ...], ...] = ((1,), (1,), (3,), (3,)),
        fast_temporal_kernels: tuple[tuple[int, ...], ...] = ((3,), (3,), (3,), (3,)),
        nonlocal_blocks: tuple[tuple[int, ...], ...] = (),
        drop_path: float = 0.0,
    ):
        super().__init__()
        plan = plan_resnet(depth, stage_blocks, block)
        mistakes, stages = Mistakes(BACKBONE), len(plan.stage_blocks)
        mistakes.at_least_1(width=width, alpha=alpha, beta=beta, fusion_ratio=fusion_ratio)
        whole = beta < 1 or width % beta == 0
        mistakes.unless(whole, f"BETA is {beta}; it must divide WIDTH ({width}). Give the fast pathway a whole number of channels.")
        start_is_there = alpha < 1 or 0 <= slow_start < alpha
        mistakes.unless(start_is_there, f"SLOW_START is {slow_start}; it must be 0 to ALPHA - 1 ({alpha - 1}). Give 0 for the first frame.")
        mistakes.odd(fusion_kernel=fusion_kernel)  # so that slow and lateral steps meet
        mistakes.temporal_kernels(stages, slow_temporal_kernels=slow_temporal_kernels, fast_temporal_kernels=fast_temporal_kernels)
        mistakes.nonlocal_blocks(plan.stage_blocks, nonlocal_blocks)
        mistakes.rate(drop_path=drop_path)
        mistakes.raise_all()
        fast_width = width // beta
        fused = tuple(fusion_ratio * channels for channels in (fast_width, *plan.out_channels(fast_width)[:-1]))
        slow = {"temporal_kernels": slow_temporal_kernels, "extra_channels": fused, "nonlocal_blocks": nonlocal_blocks}
        self.slow = Pathway(plan, width, stem_temporal_kernel=1, drop_path=drop_path, **slow)
        self.fast = Pathway(plan, fast_width, stem_temporal_kernel=5, drop_path=drop_path, temporal_kernels=fast_temporal_kernels)
        lateral = {"kernel": (fusion_kernel, 1, 1), "stride": (alpha, 1, 1)}
        self.laterals = nn.ModuleList(ConvNorm(make_conv(out // fusion_ratio, out, **lateral)) for out in fused)
        self.alpha, self.slow_start = alpha, slow_start
        self.out_channels = (self.slow.out_channels, self.fast.out_channels)

    def parts(self) -> list[tuple[nn.Module, ...]]:
        stages = zip(self.laterals, self.slow.stages, self.fast.stages, strict=True)
        return [(self.slow.stem, self.fast.stem), *stages]

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        return self.join(self.slow_frames(clips), clips)

    def slow_frames(self, clips: torch.Tensor) -> torch.Tensor:
        """The frames of the slow pathway. Example: 10 frames, alpha 4 -> 0, 4, 8; with slow_start 3 -> 3, 7, 9."""
        if not self.slow_start:
            return clips[:, :, :: self.alpha]
        last = clips.shape[2] - 1
        chosen = [min(start + self.slow_start, last) for start in range(0, clips.shape[2], self.alpha)]
        return clips[:, :, chosen]

    def join(self, slow: torch.Tensor, fast: torch.Tensor) -> list[torch.Tensor]:
        """[slow, fast] features of the frames [B, 3, ceil(T / alpha), H, W] and [B, 3, T, H, W] of the two pathways."""
        fast, slow = self.fast.enter(fast), self.slow.enter(slow)
        for lateral, slow_stage, fast_stage in zip(self.laterals, self.slow.stages, self.fast.stages, strict=True):
            slow = slow_stage(torch.cat((slow, lateral(fast)), dim=1))
            fast = fast_stage(fast)
        return [slow, fast]


class Pathway(nn.Module):
    """The stem and stages of one pathway; time keeps its length throughout.

    Args:
        extra_channels: channels that another pathway adds before each stage; () for none.
        options: of make_stages: nonlocal_blocks, drop_path.
    """

    def __init__(
        self,
        plan: ResNetPlan,
        width: int,
        *,
        stem_temporal_kernel: int,
        temporal_kernels: tuple[tuple[int, ...], ...],
        extra_channels: tuple[int, ...] = (),
        **options: Any,
    ):
        super().__init__()
        self.stem = ConvNorm(make_conv(3, width, kernel=(stem_temporal_kernel, 7, 7), stride=(1, 2, 2)))
        self.pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.stages = make_stages(plan, width, dims=3, extra_channels=extra_channels, temporal_kernels=temporal_kernels, **options)
        self.out_channels = plan.out_channels(width)[-1]

    def enter(self, frames: torch.Tensor) -> torch.Tensor:
        """What enters the first stage: [B, 3, T, H, W] -> [B, width, T, H/4, W/4]."""
        return self.pool(self.stem(frames))
