"""BatchNorm, and what the config's BatchNorm switches do to a network that is already built."""

from collections.abc import Sequence

import torch
from torch import nn

from vidrec.utils.errors import ConfigError

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def make_norm(channels: int, *, dims: int, eps: float = 1e-5, momentum: float = 0.1) -> nn.BatchNorm2d | nn.BatchNorm3d:
    """A BatchNorm for `dims` axes after the channels; momentum is the share of the new value."""
    kind = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims]
    return kind(channels, eps=eps, momentum=momentum)


class Affine(nn.Module):
    """A fixed scale and bias per channel; stands where a BatchNorm stood, with its statistics folded in, and is not trained.

    Args:
        eps: of the BatchNorm that it replaces; needed to fold the statistics of a weights file.
    """

    def __init__(self, channels: int, *, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *(1,) * (x.dim() - 2))  # [C] -> [C, 1, ...]
        return torch.addcmul(self.bias.view(shape), x, self.weight.view(shape))


def fold_statistics(
    weight: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, *, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(scale, bias) with which x * scale + bias is what the BatchNorm gives in eval mode.

    Example: weight 2, bias 1, mean 3, var 4, eps 0 -> scale 1, bias -2
    """
    scale = weight / torch.sqrt(var + eps)
    return scale, bias - mean * scale


def batch_norms(network: nn.Module) -> dict[str, nn.Module]:
    """The BatchNorm layers of a network by name, in the order in which they were built (the stem's first)."""
    return {name: module for name, module in network.named_modules() if isinstance(module, _BATCH_NORMS)}


def apply_norm_switches(
    network: nn.Module, *, bn_eval: bool = False, partial_bn: bool = False, bn_frozen: bool = False, use_affine: bool = False
) -> tuple[str, ...]:
    """Freezes or replaces the BatchNorm layers of a built network.

    Args:
        bn_eval: running statistics are used, and not updated, while training.
        partial_bn: every layer but the first uses its running statistics and keeps its scale and bias
            (Wang et al., Temporal Segment Networks, ECCV 2016).
        bn_frozen: scale and bias of every layer are not trained; the statistics still move.
        use_affine: every layer becomes an Affine; the other switches then have nothing to act on.

    Returns:
        Names of the layers that must stay in eval mode while the rest of the network trains.

    Raises:
        ConfigError: a switch is on and the network has no BatchNorm.
    """
    switches = {"BN_EVAL": bn_eval, "PARTIAL_BN": partial_bn, "BN_FROZEN": bn_frozen, "USE_AFFINE": use_affine}
    if any(switches.values()) and not batch_norms(network):
        wanted = [f"CONFIG.MODEL.{name} is True; this network has no BatchNorm for it to act on. Set it False." for name in switches]
        raise ConfigError([message for message, on in zip(wanted, switches.values(), strict=True) if on])
    if use_affine:
        _replace_by_affine(network)
        return ()
    layers = batch_norms(network)
    later = list(layers)[1:]
    frozen = list(layers) if bn_frozen else later if partial_bn else []
    for name in frozen:
        layers[name].requires_grad_(False)
    return tuple(layers if bn_eval else later if partial_bn else ())


def freeze_stages(parts: Sequence[Sequence[nn.Module]], network: nn.Module, *, frozen_stages: int) -> tuple[str, ...]:
    """Stops the training of a backbone's first parts.

    Args:
        parts: the stem, then each stage.
        frozen_stages: -1: none; 0: the stem; n: the stem and the first n stages.

    Returns:
        Names, in the network, of their BatchNorm layers, which must stay in eval mode while the rest trains.

    Raises:
        ConfigError: there are not so many stages.
    """
    if not -1 <= frozen_stages < len(parts):
        what = f"CONFIG.MODEL.FROZEN_STAGES is {frozen_stages}; this network has {len(parts)} parts, its stem or first stage among them."
        raise ConfigError([f"{what} Give -1 for none, 0 for the first part, up to {len(parts) - 1}."])
    frozen = [module for part in parts[: frozen_stages + 1] for module in part]
    for module in frozen:
        module.requires_grad_(False)
    inside = {id(norm) for module in frozen for norm in module.modules()}
    return tuple(name for name, norm in batch_norms(network).items() if id(norm) in inside)


def _replace_by_affine(network: nn.Module) -> None:
    for name, norm in batch_norms(network).items():
        affine = Affine(norm.num_features, eps=norm.eps).to(norm.weight.device)
        with torch.no_grad():
            scale, bias = fold_statistics(norm.weight, norm.bias, norm.running_mean, norm.running_var, eps=norm.eps)
            affine.weight.copy_(scale)
            affine.bias.copy_(bias)
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, affine)
