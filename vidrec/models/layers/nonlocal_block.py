"""The non-local block: every position of a clip looks at every other one."""

import torch
import torch.nn.functional as F
from torch import nn

from vidrec.models.layers.conv import make_conv
from vidrec.models.layers.norm import make_norm


class NonLocal(nn.Module):
    """x + BN(out(attention over all T * H * W positions)), embedded Gaussian, scaled as in a Transformer.

    Wang et al., Non-local Neural Networks, CVPR 2018 (arXiv 1711.07971). The BatchNorm starts with weight and bias 0, so
    that a fresh block changes nothing.

    Args:
        channels: of input and output; the embedding has half of them.
    """

    def __init__(self, channels: int, *, norm_eps: float = 1e-5):
        super().__init__()
        embedding = channels // 2
        self.theta = make_conv(channels, embedding, kernel=(1, 1, 1), bias=True)
        self.phi = make_conv(channels, embedding, kernel=(1, 1, 1), bias=True)
        self.g = make_conv(channels, embedding, kernel=(1, 1, 1), bias=True)
        self.out = make_conv(embedding, channels, kernel=(1, 1, 1), bias=True)
        self.norm = make_norm(channels, dims=3, eps=norm_eps)
        nn.init.normal_(self.g.weight, std=0.01)
        nn.init.zeros_(self.g.bias)
        nn.init.zeros_(self.norm.weight)
        nn.init.zeros_(self.norm.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (_positions(conv(x)) for conv in (self.theta, self.phi, self.g))
        seen = F.scaled_dot_product_attention(query, key, value)  # [B, 1, T*H*W, E]; softmax over the key's positions
        seen = seen.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:])  # -> [B, E, T, H, W]
        return self.norm(self.out(seen)) + x


def _positions(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(2).transpose(1, 2).unsqueeze(1)  # [B, E, T, H, W] -> [B, 1, T*H*W, E]
