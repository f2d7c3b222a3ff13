"""Stages that keep only their input for the backward pass and compute the rest once more there (activation checkpointing).

Chen et al., Training Deep Nets with Sublinear Memory Cost (arXiv 1604.06174).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from vidrec.utils.errors import ConfigError


class Recomputed:
    """Before another class of module: its forward pass is computed again in the backward pass, with the same random numbers.

    Gradients are the same to the last bit, and BatchNorm's statistics see a batch once.
    """

    def forward(self, *inputs: Any) -> Any:
        forward = super().forward
        if not torch.is_grad_enabled() or not self.training:
            return forward(*inputs)
        if torch.compiler.is_compiling():  # the compiler computes operators again, not modules: statistics are none of them
            return checkpoint(forward, *inputs, use_reentrant=False)
        return checkpoint(partial(_forward_once, self, forward, []), *inputs, use_reentrant=False)


def recompute_parts(parts: Sequence[Sequence[nn.Module]], chosen: Sequence[int]) -> None:
    """Makes some parts of a backbone `Recomputed`, in place; the names of their weights stay.

    Args:
        parts: the stem, then each stage.
        chosen: numbers of parts; 0 is the stem.

    Raises:
        ConfigError: there are not so many parts.
    """
    odd = [number for number in chosen if not 0 <= number < len(parts)]
    if odd:
        what = f"CONFIG.TRAIN.CHECKPOINT_STAGES names {odd[0]}; this network has {len(parts)} parts, its stem or first stage among them."
        raise ConfigError([f"{what} Give numbers from 0, the first part, to {len(parts) - 1}."])
    for module in (module for number in set(chosen) for module in parts[number]):
        kind = type(module)
        module.__class__ = type(f"Recomputed{kind.__name__}", (Recomputed, kind), {})


def _forward_once(module: nn.Module, forward: Any, calls: list[None], *inputs: Any) -> Any:
    """The forward pass; every call but the first works on copies of the statistics, which are dropped."""
    calls.append(None)
    if len(calls) == 1:
        return forward(*inputs)
    with _statistics_kept(module):
        return forward(*inputs)


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm)]
    kept = [dict(norm._buffers) for norm in norms]
    for norm in norms:
        norm._buffers.update({name: None if buffer is None else buffer.clone() for name, buffer in norm._buffers.items()})
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            norm._buffers.update(buffers)
