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
        held_norms: names of BatchNorm layers that stay in eval mode while the rest trains (BN_EVAL, PARTIAL_BN, FROZEN_STAGES).
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
            UserError: for a clip with fewer frames, or frames of another size, than the network can take.
        """
        if clips.dim() != 5 or clips.shape[1] != 3:
            raise UserError(f"Clips have the shape {list(clips.shape)}; it must be [B, 3, T, H, W]. For one clip add the first axis.")
        misfit = self.backbone.misfit(*clips.shape[2:])
        if misfit:
            raise UserError(misfit)
        features = self.neck(self.backbone(clips))
        return self.head.pool(features) if self.features_only else self.head(features)

    def train(self, mode: bool = True) -> "Recognizer":
        super().train(mode)
        for name in self.held_norms:
            self.get_submodule(name).eval()
        return self
