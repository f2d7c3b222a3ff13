"""In which numbers and in which order in memory a network computes."""

from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import nn
from torch.amp import GradScaler

PrecisionName = Literal["fp32", "bf16", "fp16"]
MemoryFormat = Literal["contiguous", "channels_last_3d"]

_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: PrecisionName, device: torch.device) -> AbstractContextManager:
    """Where a forward pass runs: convolutions and products in 16 bits, what needs the range (norms, sums, losses) in float32.

    The weights stay float32, and so do their gradients. fp32 changes nothing.
    """
    return torch.autocast(device.type, dtype=_HALVES.get(precision), enabled=precision in _HALVES)


def make_scaler(precision: PrecisionName, device: torch.device) -> GradScaler:
    """The loss scaling that fp16 needs, whose small gradients would be 0; with another precision it does nothing.

    A step whose gradients overflow is left out and the scale halved; the first steps of a run may be such.
    """
    return GradScaler(device.type, enabled=precision == "fp16")


def as_torch_format(memory_format: MemoryFormat) -> torch.memory_format:
    """The format of a batch of clips [B, 3, T, H, W]."""
    return torch.channels_last_3d if memory_format == "channels_last_3d" else torch.contiguous_format


def lay_out(model: nn.Module, memory_format: MemoryFormat) -> None:
    """Brings the weights of convolutions into a format, in place; those of 2-D ones get channels_last.

    Names, shapes and values stay, so that weights files do not know of it.
    """
    if memory_format == "contiguous":
        return
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.dim() in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.dim()])
