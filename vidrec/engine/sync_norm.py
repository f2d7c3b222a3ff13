"""BatchNorm over the clips of all processes."""

import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.nn import functional

from vidrec.models.layers.norm import batch_norms
from vidrec.utils.dist import world_size
from vidrec.utils.errors import ConfigError


class HostSyncBatchNorm(nn.BatchNorm3d):
    """What torch's SyncBatchNorm is on CUDA, on a CPU, for any number of axes; DDP takes no subclass of that one there."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
            )
        axes, shape = [axis for axis in range(input.dim()) if axis != 1], (1, -1, *(1,) * (input.dim() - 2))
        x = input.float()
        count = _all_sum(x.new_tensor([input.numel() / input.shape[1]]))
        mean = _all_sum(x.sum(axes)) / count
        centered = x - mean.view(shape)
        variance = _all_sum(centered.square().sum(axes)) / count
        self._track(mean.detach(), (variance * count / (count - 1)).detach())
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centered * scale.view(shape) + self.bias.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class _AllSum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, since every process's loss depends on every share of it."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _AllSum.apply(gradient)


_all_sum = _AllSum.apply


def sync_norms(network: nn.Module) -> int:
    """Replaces every BatchNorm, in place and with the same parameters, by one over all processes. Returns how many; none with one process.

    Ioffe and Szegedy, ICML 2015, over a batch that is spread out: with n processes a step is that of one process with n times the clips.

    Raises:
        ConfigError: the network has no BatchNorm.
    """
    layers = batch_norms(network)
    if not layers:
        raise ConfigError(["CONFIG.MODEL.SYNC_BN is True; this network has no BatchNorm for it to act on. Set it False."])
    if world_size() == 1:
        return 0
    for name, norm in layers.items():
        kind = nn.SyncBatchNorm if norm.weight.device.type == "cuda" else HostSyncBatchNorm
        synced = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum)
        synced.weight, synced.bias = norm.weight, norm.bias
        synced.running_mean, synced.running_var, synced.num_batches_tracked = norm.running_mean, norm.running_var, norm.num_batches_tracked
        synced.train(norm.training)
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, synced)
    return len(layers)
