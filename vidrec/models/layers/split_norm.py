"""BatchNorm over parts of a batch that have a fixed number of clips, however many clips the batch has.

Multigrid training (Wu et al., CVPR 2020, arXiv 1912.00998) grows the batch where clips are small; BatchNorm's noise, and with it what the
network learns, would change with that. Over parts of fixed size it stays.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm


class _Split:
    """Before a class of BatchNorm: in training it normalizes each part of the batch by the part's own mean and variance.

    The running statistics move towards those of the whole batch, as without parts: the mean of the parts' means, and the mean of their
    variances plus the variance of their means. So an evaluation does not depend on the number of parts.

    Attributes:
        num_parts: of equal size, in the order of the batch; set before each forward pass.
    """

    num_parts = 1

    def forward(self, x: Tensor) -> Tensor:
        """Example: parts [0, 2] and [4, 8] of one channel -> [-1, 1] and [-1, 1]; towards mean 3.5 and unbiased variance 35 / 3"""
        if not self.training or self.num_parts == 1:
            return super().forward(x)
        self._check_input_dim(x)
        kind = torch.promote_types(x.dtype, torch.float32)  # statistics are never kept in 16 bits
        means, variances = x.new_zeros((2, self.num_parts, self.num_features), dtype=kind)
        parts = x.chunk(self.num_parts)
        # With momentum 1 the "running" statistics that batch_norm writes are those of the part: its mean and its unbiased variance.
        outputs = [
            batch_norm(part, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
            for part, mean, variance in zip(parts, means, variances, strict=True)
        ]
        if self.track_running_stats:
            self._move(means, variances, x.numel() // (self.num_parts * self.num_features))
        return torch.cat(outputs)

    @torch.no_grad()
    def _move(self, means: Tensor, variances: Tensor, values: int) -> None:
        """Moves the running statistics by [P, C] unbiased ones of P parts with so many values in each channel."""
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        total = len(means) * values
        variance = (variances.mean(0) * (values - 1) / values + means.var(0, correction=0)) * total / (total - 1)
        self.running_mean.lerp_(means.mean(0).to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class SplitBatchNorm1d(_Split, nn.BatchNorm1d):
    """Of [B, C] or [B, C, L]."""


class SplitBatchNorm2d(_Split, nn.BatchNorm2d):
    """Of [B, C, H, W]."""


class SplitBatchNorm3d(_Split, nn.BatchNorm3d):
    """Of [B, C, T, H, W]."""


_SPLIT = {nn.BatchNorm1d: SplitBatchNorm1d, nn.BatchNorm2d: SplitBatchNorm2d, nn.BatchNorm3d: SplitBatchNorm3d}


def split_norms(network: nn.Module, clips: int) -> int:
    """Lets every BatchNorm of a network take its statistics over parts of so many clips, in place; names and weights stay.

    Layers in eval mode (BN_EVAL, frozen stages) go on using their running statistics. A layer that sees several frames of each clip in
    its first axis, those of one clip beside each other, gets all of them in one part.

    Returns:
        How many layers there are.
    """
    norms = [module for module in network.modules() if type(module) in _SPLIT]
    for norm in norms:
        norm.__class__ = _SPLIT[type(norm)]
    network.register_forward_pre_hook(_SetParts(clips))
    return len(norms)


class _SetParts:
    """Before each forward pass of a network: tells its layers in how many parts the batch comes."""

    def __init__(self, clips: int):
        self.clips = clips

    def __call__(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not network.training:
            return
        clips = len(inputs[0])
        if clips % self.clips:
            raise ValueError(
                f"The batch has {clips} clips; for BatchNorm over parts of {self.clips} it must have a multiple of them."
                " Change CONFIG.TRAIN.BATCH_SIZE or CONFIG.TRAIN.BN_SUB_BATCH."
            )
        for module in network.modules():
            if isinstance(module, _Split):
                module.num_parts = clips // self.clips
