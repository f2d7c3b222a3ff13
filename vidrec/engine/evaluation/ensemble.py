"""Several networks of one shape on the same views, as one network whose score is the mean of theirs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrec.engine.averages import ViewAverage


class Ensemble(nn.Module):
    """Networks that see the same clips. Logits [B, K] of each of M, as [B, M, K]."""

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, clips: Tensor) -> Tensor:
        return torch.stack([network(clips) for network in self.networks], dim=1)


class EnsembleAverage(ViewAverage):
    """The average of the views of each network, as its own ViewAverage has it, and then the mean of the networks.

    Args:
        members: one for each network of the Ensemble, alike but for the classifier.
    """

    def __init__(self, members: Sequence[ViewAverage]):
        super().__init__(members[0].average, members[0].classifier, sigmoid=members[0].sigmoid)
        self.members = list(members)

    def outputs(self, model: Ensemble, clips: Tensor) -> Tensor:
        """Views [v, 3, T, H, W] -> logits [v, M, K], or, for feature_mean, features [v, M, D]."""
        pairs = zip(self.members, model.networks, strict=True)
        return torch.stack([member.outputs(network, clips) for member, network in pairs], dim=1)

    def score(self, outputs: Tensor) -> Tensor:
        """All views of one video, [V, M, K] or [V, M, D] -> its score [K] float32."""
        scores = [member.score(outputs[:, place]) for place, member in enumerate(self.members)]
        return torch.stack(scores).double().mean(0).float()
