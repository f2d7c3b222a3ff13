"""The head of 2-D networks on several frames of a video."""

import torch

from vidrec.models.heads.base import Head


class ConsensusHead(Head):
    """Segment consensus: average over space, dropout per frame, average over the frames, linear layer.

    Wang et al., Temporal Segment Networks, ECCV 2016 (arXiv 1608.00859). Each frame has its own dropout mask, so that the
    averaged vector is less noisy than one dropout after the average would leave it.

    Example: [[2, 2048, 7, 7, 7]] -> pool [2, 2048] -> scores [2, K]
    """

    def pool(self, features: list[torch.Tensor]) -> torch.Tensor:
        per_frame = features[0].mean(dim=(3, 4)).transpose(1, 2)  # [B, C, T, H, W] -> [B, T, C]
        return self.dropout(per_frame).mean(dim=1)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        return self.fc(self.pool(features))
