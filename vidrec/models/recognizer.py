"""Backbone, neck and head as one network."""

import torch
from torch import nn

from vidrec.models.backbones.base import Backbone
from vidrec.models.heads.base import Head
from vidrec.utils.errors import UserError


class Recognizer(nn.Module):
    """Clips to scores.

    Args:
        neck: from the backbone's features to the head's; None: they are the same.
        features_only: `forward` returns the pooled vector that the classifier would see, instead of scores.
        held_norms: names of BatchNorm layers that stay in eval mode while the rest trains (BN_EVAL, PARTIAL_BN).
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        neck: nn.Module | None = None,
        *,
        features_only: bool = False,
        held_norms: tuple[str, ...] = (),
    ):
        super().__init__()
        self.backbone = backbone
        self.neck = nn.Identity() if neck is None else neck
        self.head = head
        self.features_only = features_only
        self.held_norms = held_norms

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Scores or features of a batch of clips.

        Args:
            clips: [B, 3, T, H, W], normalized.

        Returns:
            [B, K] scores before any softmax, or [B, D] features when `features_only`.

        Raises:
            UserError: for a clip with fewer frames than the network's strides in time need.
        """
        if clips.shape[2] < self.backbone.min_frames:
            raise UserError(too_short(clips.shape[2], self.backbone))
        features = self.neck(self.backbone(clips))
        return self.head.pool(features) if self.features_only else self.head(features)

    def train(self, mode: bool = True) -> "Recognizer":
        super().train(mode)
        for name in self.held_norms:
            self.get_submodule(name).eval()
        return self


def too_short(num_frames: int, backbone: Backbone) -> str:
    """The message for a clip that the network's strides and pools in time would leave without a step."""
    return (
        f"The clip has {num_frames} frames; this {type(backbone).__name__} needs at least {backbone.min_frames}, because its strides and "
        "pools in time leave nothing of a shorter one. Raise CONFIG.DATA.CLIP_LEN, or choose smaller strides in CONFIG.MODEL.BACKBONE."
    )
