"""Convolutions of 2 or 3 dimensions: the length of the kernel decides."""

from collections.abc import Iterable

import torch
from torch import nn

from vidrec.models.layers.norm import make_norm


def make_conv(
    in_channels: int,
    out_channels: int,
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    padding: tuple[int, ...] | None = None,
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv2d | nn.Conv3d:
    """A convolution, padded by half its kernel unless told, so that stride 1 keeps the size.

    Args:
        kernel: odd sizes, (t, h, w) or (h, w); 3 sizes give a Conv3d, 2 a Conv2d.
        stride, padding: as many numbers as the kernel has; None: 1 everywhere, and half the kernel.
    """
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[len(kernel)]
    padding = tuple(size // 2 for size in kernel) if padding is None else padding
    stride = stride or (1,) * len(kernel)
    return kind(in_channels, out_channels, kernel, stride=stride, padding=padding, groups=groups, bias=bias)


class ConvNorm(nn.Module):
    """A convolution, its BatchNorm and, where asked, a ReLU: stems, shortcuts, lateral connections.

    Args:
        conv: the convolution; its `out_channels` and dimensions decide the norm.
        relu: whether a ReLU follows.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, *, relu: bool = True, norm_eps: float = 1e-5):
        super().__init__()
        self.conv = conv
        self.norm = make_norm(conv.out_channels, dims=len(conv.kernel_size), eps=norm_eps)
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.norm(self.conv(x)))


def init_like_resnet(network: nn.Module, *, with_bias: bool = False) -> None:
    """Kaiming normal weights (fan out) in every convolution that a norm follows, as torchvision starts its 2-D ResNets.

    A convolution with a bias, as those of non-local blocks, keeps PyTorch's default or what its block gave it.
    He et al., Delving Deep into Rectifiers, ICCV 2015.

    Args:
        with_bias: for a network without norms: convolutions with a bias start so too, with bias 0.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and (with_bias or module.bias is None):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def shortest_input(steps: Iterable[tuple[int, int, int]]) -> int:
    """The shortest length that leaves at least one step after all of the layers.

    Args:
        steps: (kernel, stride, padding) along one axis, in order from input to output.

    Example: kernel 5 stride 2 padding 2, then kernel 1 stride 2, then kernel 2 stride 2 -> 5
    """
    length = 1
    for kernel, stride, padding in reversed(list(steps)):
        length = max(1, (length - 1) * stride + kernel - 2 * padding)
    return length
