"""The head of C3D."""

import math

import torch
from torch import nn

from vidrec.models.heads.base import Head, make_classifier
from vidrec.models.layers.checks import HEAD, Mistakes
from vidrec.utils.errors import UserError


class C3DHead(Head):
    """Two hidden linear layers on the whole feature map, ReLU and dropout after each, then the classifier.

    Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, ICCV 2015 (arXiv 1412.0767). The features of
    a clip are what leaves the first of them (fc6).

    Args:
        map_size: (t, h, w) of the feature map; the layers fit no other.
        hidden: features of the two layers.
        init_std: of the normal weights of all three layers, with bias 0; 0 keeps PyTorch's default start.

    Example: [[2, 512, 1, 4, 4]] -> pool [2, 4096] -> scores [2, K]
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        num_classes: int,
        *,
        map_size: tuple[int, ...] = (1, 4, 4),
        hidden: int = 4096,
        dropout: float = 0.5,
        init_std: float = 0.001,
    ):
        super().__init__(in_channels, num_classes, dropout=dropout, init_std=init_std)
        mistakes = Mistakes(HEAD)
        mistakes.at_least_1(hidden=hidden)
        mistakes.strides(map_size=map_size)
        mistakes.raise_all()
        self.map_size = tuple(map_size)
        self.fc6 = make_classifier(in_channels[0] * math.prod(map_size), hidden, init_std)
        self.fc7 = make_classifier(hidden, hidden, init_std)
        self.fc = make_classifier(hidden, num_classes, init_std)
        self.relu = nn.ReLU(inplace=True)

    def pool(self, features: list[torch.Tensor]) -> torch.Tensor:
        found = tuple(features[0].shape[2:])
        if found != self.map_size:
            raise UserError(
                f"The feature map has {' x '.join(map(str, found))} (t x h x w) points; this C3DHead takes "
                f"{' x '.join(map(str, self.map_size))}. Change the clip's length or crop, or set CONFIG.MODEL.HEAD.MAP_SIZE {list(found)}."
            )
        return self.dropout(self.relu(self.fc6(features[0].flatten(1))))

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        return self.fc(self.dropout(self.relu(self.fc7(self.pool(features)))))
