"""A network run without numbers, for what shapes alone tell."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call


def run_on_meta(model: nn.Module, clips_shape: Sequence[int], *, backward: bool = False) -> dict[str, Tensor]:
    """Runs a network on clips [B, 3, T, H, W] on the meta device, in eval mode: nothing is drawn, kept, or sent to other processes.

    Args:
        backward: the gradient of the sum of what it gives follows.

    Returns:
        Meta tensors by name that stood for the parameters, with a gradient where one reached them.
    """
    tensors = {name: torch.empty_like(tensor, device="meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    for name, parameter in model.named_parameters():
        tensors[name].requires_grad_(backward and parameter.requires_grad)
    with _evaluating(model), torch.set_grad_enabled(backward):
        outputs = functional_call(model, tensors, torch.empty(tuple(clips_shape), device="meta"))
        if backward:
            outputs.sum().backward()
    return {name: tensors[name] for name, _ in model.named_parameters()}


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, and back to each module's own."""
    kept = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in kept:
            module.training = training
