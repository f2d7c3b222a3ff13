"""Convolutions whose bf16 weight gradient is wrong on a CPU, found before they train and then run in float32.

oneDNN (seen with torch 2.14 and 2.15, oneDNN 3.12) gives garbage or NaN as the weight gradient of a bf16 Conv3d one of whose kernel
sizes is greater than the clip is long on that axis: kernel 3 and 2 frames, as in the last stage of R(2+1)D with 16 frames. Its
forward pass, its input gradient, float32 and Conv2d are right. Some of the layers found here would be right too (1 frame with the
usual padding); which ones is not documented, and such layers are small.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vidrec.engine.on_meta import run_on_meta


class ShortConv3d(nn.Conv3d):
    """A Conv3d on the CPU that computes in float32 under autocast and returns the dtype that it was given."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def short_convs(model: nn.Module, clips_shape: Sequence[int]) -> list[str]:
    """Names of the Conv3d layers that get a feature map shorter than their kernel from clips [B, 3, T, H, W].

    The network runs once on the meta device, without numbers: no weight, statistic or random state changes.

    Example: kernel (3, 1, 1) with 2 frames is short; kernel (1, 3, 3) with 2 frames of 7 x 7 is not.
    """
    found: list[str] = []
    with _watching(model, found):
        run_on_meta(model, clips_shape)
    return found


def protect(model: nn.Module, names: Sequence[str]) -> list[str]:
    """Makes layers ShortConv3d, in place, and returns those that were not yet. Names in weights files stay."""
    plain = [name for name in names if not isinstance(model.get_submodule(name), ShortConv3d)]
    for name in plain:
        model.get_submodule(name).__class__ = ShortConv3d
    return plain


@contextmanager
def _watching(model: nn.Module, found: list[str]) -> Iterator[None]:
    """Notes short layers; the hooks of others, which may want numbers, rest meanwhile."""
    kept = [(module, module._forward_pre_hooks, module._forward_hooks) for module in model.modules()]
    for name, module in model.named_modules():
        module._forward_pre_hooks, module._forward_hooks = OrderedDict(), OrderedDict()
        if isinstance(module, nn.Conv3d):
            module.register_forward_pre_hook(lambda conv, given, name=name: _note(found, name, conv, given[0]))
    try:
        yield
    finally:
        for module, pre_hooks, hooks in kept:
            module._forward_pre_hooks, module._forward_hooks = pre_hooks, hooks


def _note(found: list[str], name: str, conv: nn.Conv3d, x: Tensor) -> None:
    spans = [dilation * (kernel - 1) + 1 for dilation, kernel in zip(conv.dilation, conv.kernel_size, strict=True)]
    if any(size < span for size, span in zip(x.shape[2:], spans, strict=True)) and name not in found:
        found.append(name)
