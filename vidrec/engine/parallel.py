"""One network in several processes: how gradients are averaged over them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from vidrec.engine.on_meta import run_on_meta
from vidrec.utils.dist import world_size


@dataclass(frozen=True, kw_only=True)
class ParallelOptions:
    """Of DistributedDataParallel.

    Attributes:
        bucket_view: gradients live in the buffers that are sent, which saves a copy of them all.
        static_graph: every step uses the same parameters in the same order, so that this is found out once.
        find_unused: look for parameters without a gradient in every step; slow, and needed only where there are some.
        compression: bf16 sends gradients with 16 bits; '' sends them as they are.
    """

    bucket_view: bool = True
    static_graph: bool = False
    find_unused: bool = False
    compression: Literal["", "bf16"] = ""


def wrap(model: nn.Module, options: ParallelOptions) -> nn.Module:
    """The network to train: it averages gradients over the processes where there are several.

    All processes start from the main one's weights, and its BatchNorm statistics are handed out before every step.
    """
    if world_size() == 1:
        return model
    device = next(model.parameters()).device
    network = DistributedDataParallel(
        model,
        device_ids=[device.index] if device.type == "cuda" else None,
        gradient_as_bucket_view=options.bucket_view,
        static_graph=options.static_graph,
        find_unused_parameters=options.find_unused,
    )
    if options.compression == "bf16":
        network.register_comm_hook(None, bf16_compress_hook)
    return network


def keeping_gradients(network: nn.Module, keep: bool) -> AbstractContextManager:
    """Where gradients of a batch are only added up here, and not sent, since more batches of the step follow."""
    return network.no_sync() if keep and isinstance(network, DistributedDataParallel) else nullcontext()


def unused_parameters(model: nn.Module, clips_shape: Sequence[int]) -> list[str]:
    """Names of the parameters that are to be trained but that no gradient reaches; found on the meta device, without numbers."""
    tensors = run_on_meta(model, clips_shape, backward=True)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad and tensors[name].grad is None]
