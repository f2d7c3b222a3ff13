"""Where the first value that is not finite appears: weights, clips, on the way forward, on the way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn, optim


@dataclass
class FaultFinder:
    """Watches the modules of a network during one pass; each list is in order of what happened.

    Attributes:
        forward: modules whose output was not finite although what entered them was.
        backward: modules at whose output a gradient arrived that was not finite.
    """

    forward: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Hooks on every module, taken off at the end."""
        handles = [module.register_forward_hook(self._hook(name or "the network")) for name, module in model.named_modules()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str):
        def look(module: nn.Module, inputs: tuple, output: Any) -> None:
            found = list(_tensors(output))
            if not all(map(_finite, found)) and all(map(_finite, _tensors(inputs))):
                self.forward.append(f"{name} ({type(module).__name__})")
            for tensor in found:
                if tensor.requires_grad:
                    tensor.register_hook(arrive)

        def arrive(gradient: Tensor) -> None:
            if not _finite(gradient) and name not in self.backward:
                self.backward.append(name)

        return look


class GroupNorm(NamedTuple):
    """The gradient of one parameter group of the optimizer. `wrong`: names of parameters whose gradient is not finite."""

    lr: float
    num_parameters: int
    norm: float
    wrong: list[str]


def group_norms(model: nn.Module, optimizer: optim.Optimizer) -> list[GroupNorm]:
    """One row per parameter group, over the gradients that are there."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rows = []
    for group in optimizer.param_groups:
        found = [parameter for parameter in group["params"] if parameter.grad is not None]
        wrong = [names[id(parameter)] for parameter in found if not _finite(parameter.grad)]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in found]).item() if found else 0.0
        rows.append(GroupNorm(float(group["lr"]), sum(parameter.numel() for parameter in found), norm, wrong))
    return rows


def wrong_weights(model: nn.Module) -> list[str]:
    """Names of the parameters and buffers that hold a value that is not finite."""
    return [name for name, tensor in model.state_dict().items() if not _finite(tensor)]


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
