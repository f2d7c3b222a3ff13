"""BatchNorm statistics of the weights as they are, instead of a running average over weights that were still moving."""

from collections.abc import Iterable
from itertools import islice

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from vidrec.utils.dist import world_size


def renew_statistics(network: nn.Module, clips: Iterable[Tensor], *, num_batches: int) -> None:
    """Sets the running statistics to those of the first batches of training clips, pooled over all processes; weights stay.

    Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021 (arXiv 2105.07576). Layers that use their running statistics in training keep
    them. With a BatchNorm over all processes each of its batches is already everyone's.

    Args:
        network: in training mode.
        clips: batches [B, 3, T, H, W] of this process, normalized; the same number on every process, at least `num_batches`.
    """
    from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats  # its import warns of torch.jit

    buffers = {norm: (norm.running_mean, norm.running_var) for norm in get_bn_modules(network)}
    steps = [(norm.num_batches_tracked, norm.num_batches_tracked.clone()) for norm in buffers]
    update_bn_stats(network, islice(clips, num_batches), num_batches)
    for counted, trained in steps:
        counted.copy_(trained)  # so that doing this twice changes nothing
    for norm, (mean, variance) in buffers.items():
        found = _pooled(norm.running_mean, norm.running_var)
        norm.running_mean, norm.running_var = mean.copy_(found[0]), variance.copy_(found[1])  # DDP hands out the tensors that it has seen


def _pooled(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the processes' means; mean of their variances and of the squares by which their means differ."""
    if world_size() == 1:
        return mean, variance
    moments = torch.stack([mean, variance + mean.square()])
    distributed.all_reduce(moments)
    mean, square = moments / world_size()
    return mean, square - mean.square()
