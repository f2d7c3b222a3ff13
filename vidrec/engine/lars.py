"""LARS, which torch does not have."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, optim


class LARS(optim.Optimizer):
    """SGD with momentum in which every tensor moves in proportion to its own norm.

    You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks, 2017 (arXiv 1708.03888), algorithm 1. With gradient g,
    local = trust * |w| / (|g| + decay * |w|), v <- momentum * v + lr * local * (g + decay * w), w <- w - v.
    `local` is 1 where |w| or |g| is 0, and in groups with `adapt` False.

    Args:
        trust: the coefficient eta of the paper.

    Example: w [3, 4], g [0, 5], lr 1, momentum 0, no decay, trust 0.1 -> local 0.1, w [3, 3.5]
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
        adapt: bool = True,
    ):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "adapt": adapt}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One update of every parameter that has a gradient; the gradients stay as they are."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        change = parameter.grad.add(parameter, alpha=group["weight_decay"])
        if group["adapt"]:
            change.mul_(local_rate(parameter, parameter.grad, weight_decay=group["weight_decay"], trust=group["trust"]))
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        parameter.sub_(state["momentum_buffer"].mul_(group["momentum"]).add_(change, alpha=group["lr"]))


def local_rate(weights: Tensor, gradient: Tensor, *, weight_decay: float, trust: float) -> Tensor:
    """[] the factor on a tensor's update, found without waiting for the device; 1 where a norm is 0."""
    size, slope = torch.linalg.vector_norm(weights), torch.linalg.vector_norm(gradient)
    return torch.where((size > 0) & (slope > 0), trust * size / (slope + weight_decay * size), 1.0)
