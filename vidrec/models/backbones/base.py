"""What every backbone offers to heads, necks and loaders."""

from abc import ABC, abstractmethod

import torch
from torch import nn


class Backbone(nn.Module, ABC):
    """Clips in, feature maps out.

    Attributes:
        out_channels: channels of each feature map that `forward` returns, in the same order.
        min_frames: the shortest clip, in frames, that leaves at least one time step at the end.
        parent_2d: where ImageNet weights come from: the torchvision network of the same depth and width (`resnet50`);
            '' where the family starts from a 2-D network but none has this size; None where the family is trained
            from scratch.
    """

    out_channels: tuple[int, ...]
    min_frames: int = 1
    parent_2d: str | None = None

    @abstractmethod
    def forward(self, clips: torch.Tensor) -> list[torch.Tensor]:
        """Features of a batch of clips.

        Args:
            clips: [B, 3, T, H, W], normalized.

        Returns:
            [B, C, T', H', W'] each, the coarsest last. Several pathways (SlowFast) are all returned, for a head that
            takes all of them.
        """
