"""What every backbone offers to heads, necks and loaders."""

from abc import ABC, abstractmethod

import torch
from torch import nn


class Backbone(nn.Module, ABC):
    """Clips in, feature maps out.

    Attributes:
        out_channels: channels of each feature map that `forward` returns, in the same order.
        min_frames, max_frames: the shortest and longest clip, in frames, that it can take; None: no limit.
        min_size, max_size: the smallest and largest height and width, in pixels; None: no limit.
        parent_2d: where ImageNet weights come from: the torchvision network of the same depth and width (`resnet50`);
            '' where the family starts from a 2-D network but none has this size; None where the family is trained
            from scratch.
        last_map: the submodule whose output is the last map over space, for a picture of the evidence, where it is not what
            `forward` returns, since linear layers follow.
    """

    out_channels: tuple[int, ...]
    min_frames: int = 1
    max_frames: int | None = None
    min_size: int = 1
    max_size: int | None = None
    parent_2d: str | None = None
    last_map: str = ""

    @abstractmethod
    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        """Features of a batch of clips.

        Args:
            clips: [B, 3, T, H, W], normalized.

        Returns:
            [B, C, T', H', W'] each, the coarsest last. Several pathways (SlowFast) are all returned, for a head that
            takes all of them.
        """

    def parts(self) -> list[tuple[nn.Module, ...]]:
        """The stem, then each stage: what FROZEN_STAGES counts."""
        return [(self.stem,), *((stage,) for stage in self.stages)]

    def through_stages(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The outputs of the last stages, as many as `out_channels` has entries."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features = [*features, x][-len(self.out_channels) :]
        return features

    def misfit(self, num_frames: int, height: int, width: int) -> str | None:
        """What keeps a clip of this size out, as a complete message; None where it fits."""
        name = type(self).__name__
        if num_frames < self.min_frames:
            return (
                f"The clip has {num_frames} frames; this {name} needs at least {self.min_frames}, because its strides and "
                "pools in time leave nothing of a shorter one. Raise CONFIG.DATA.CLIP_LEN."
            )
        if self.max_frames is not None and num_frames > self.max_frames:
            return (
                f"The clip has {num_frames} frames; this {name} takes {self.min_frames} to {self.max_frames}. Lower CONFIG.DATA.CLIP_LEN."
            )
        if min(height, width) < self.min_size or (self.max_size is not None and max(height, width) > self.max_size):
            allowed = f"{self.min_size} to {self.max_size}" if self.max_size is not None else f"at least {self.min_size}"
            return (
                f"The frames have {height} x {width} pixels; this {name} takes {allowed} on each side. Change "
                "CONFIG.DATA.CROP_SIZE for training, and for a test SHORT_SIDE_SIZE or CONFIG.DATA.VAL_DATASET.CROP_SIZE."
            )
        return None


class FrameBackbone(Backbone):
    """A 2-D network that sees every frame on its own."""

    @abstractmethod
    def frame_features(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """[B*T, 3, H, W] -> [B*T, C, H', W'] each, the coarsest last."""

    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        batch_and_time = (clips.shape[0], clips.shape[2])
        frames = clips.transpose(1, 2).flatten(0, 1)  # [B, 3, T, H, W] -> [B*T, 3, H, W], the frames of a clip together
        features = self.frame_features(frames)
        return [x.unflatten(0, batch_and_time).transpose(1, 2) for x in features]  # [B*T, C, h, w] -> [B, C, T, h, w]
