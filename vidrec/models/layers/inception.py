"""What the Inception networks consist of: units, branches side by side, and pools, in 2-D or inflated to 3-D."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from vidrec.models.layers.conv import ConvNorm, make_conv

NORM_EPS = 1e-3  # of every BatchNorm of these networks

Unit = Callable[..., ConvNorm]


class Branches(nn.Module):
    """Modules side by side on the same input, their outputs joined along the channels in order."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class AveragePool(nn.Module):
    """A 3x3 (3x3x3) average with stride 1 that counts the zeros around the input, of any size.

    PyTorch's 3-D average refuses an input smaller than its kernel, even one that is padded; there the zeros are added first.
    """

    def __init__(self, dims: int):
        super().__init__()
        self.dims = dims

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.dims == 2:
            return F.avg_pool2d(x, 3, stride=1, padding=1)
        if min(x.shape[2:]) >= 3:
            return F.avg_pool3d(x, 3, stride=1, padding=1)
        return F.avg_pool3d(F.pad(x, (1,) * 6), 3, stride=1)


def make_unit(in_channels: int, out_channels: int, kernel: Sequence[int], *, stride: int = 1, valid: bool = False, dims: int) -> ConvNorm:
    """A convolution with BatchNorm and ReLU. In 3-D its kernel is as long in time as its longest side, and time is always padded.

    Args:
        kernel: (h, w).
        stride: of all axes.
        valid: height and width are not padded.

    Example: kernel (1, 7) in 3-D -> (7, 1, 7), padding (3, 0, 3)
    """
    time = (max(kernel),) if dims == 3 else ()
    padding = (*(size // 2 for size in time), *((0, 0) if valid else (size // 2 for size in kernel)))
    conv = make_conv(in_channels, out_channels, kernel=(*time, *kernel), stride=(stride,) * dims, padding=padding)
    return ConvNorm(conv, norm_eps=NORM_EPS)


def chain(unit: Unit, in_channels: int, *layers: tuple[int, Sequence[int]]) -> list[ConvNorm]:
    """Units in a row, each given as (channels, kernel)."""
    units = []
    for channels, kernel in layers:
        units.append(unit(in_channels, channels, kernel))
        in_channels = channels
    return units
