"""What every head shares: the classifier, its dropout, and the check that it fits the features."""

import math

import torch
from torch import nn

from vidrec.models.layers.checks import HEAD, Mistakes
from vidrec.utils.errors import ConfigError


class Head(nn.Module):
    """Pools features to one vector per clip and classifies it.

    Args:
        in_channels: of each feature map, as the backbone or neck returns them.
        num_classes: length of the scores.
        dropout: share of the vector that is zeroed while training.
        init_std: of the classifier's normal weights, with bias 0; 0 keeps PyTorch's default start.
    """

    # How many feature maps the head takes, in words for the message; a subclass sets both.
    num_features = 1
    fits = "one feature map"

    def __init__(self, in_channels: tuple[int, ...], num_classes: int, *, dropout: float = 0.5, init_std: float = 0.01):
        super().__init__()
        if len(in_channels) != self.num_features:
            got = f"{'a feature map' if len(in_channels) == 1 else 'feature maps'} of {' and '.join(map(str, in_channels))} channels"
            got = got if in_channels else "no feature map"
            raise ConfigError([f"{type(self).__name__} got {got}; it takes {self.fits}. {_remedy(in_channels)}"])
        mistakes, channels = Mistakes(HEAD), list(in_channels)
        mistakes.unless(min(channels) >= 1, f"IN_CHANNELS is {channels}; each must be at least 1. Leave it out: the backbone decides.")
        mistakes.unless(num_classes >= 1, f"NUM_CLASSES is {num_classes}; it must be at least 1. Set CONFIG.DATA.NUM_CLASSES.")
        mistakes.unless(0 <= dropout <= 1, f"DROPOUT is {dropout}; it must lie in [0, 1]. Give 0.5, or 0 for none.")
        mistakes.unless(0 <= init_std < math.inf, f"INIT_STD is {init_std}; it must be 0 or more. Give 0.01, or 0 for PyTorch's start.")
        mistakes.raise_all()
        self.dropout = nn.Dropout(dropout)
        self.fc = make_classifier(sum(in_channels), num_classes, init_std)

    def pool(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Features [B, C, T, H, W] each -> [B, D], the vector that is classified."""
        return torch.cat([feature.mean(dim=(2, 3, 4)) for feature in features], dim=1)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Features [B, C, T, H, W] each -> scores [B, K], before any softmax."""
        return self.fc(self.dropout(self.pool(features)))


def make_classifier(in_features: int, out_features: int, init_std: float) -> nn.Linear:
    """A linear layer with normal weights of a standard deviation and bias 0; 0 keeps PyTorch's default start."""
    linear = nn.Linear(in_features, out_features)
    if init_std:
        nn.init.normal_(linear.weight, std=init_std)
        nn.init.zeros_(linear.bias)
    return linear


def _remedy(in_channels: tuple[int, ...]) -> str:
    if len(in_channels) == 1:
        return "Use CONFIG.MODEL.HEAD.TYPE PoolHead or ConsensusHead here."
    if len(in_channels) == 2 and in_channels[0] > in_channels[1]:  # a fast pathway is the narrower one
        return "Use CONFIG.MODEL.HEAD.TYPE SlowFastHead for the two pathways of SlowFast."
    return "Set CONFIG.MODEL.BACKBONE.OUT_STAGES 1 or put a neck between them."
