"""An average of the weights over the steps of training, which is often better than the last of them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class WeightAverage:
    """Exponential moving average of weights and buffers: average <- decay * average + (1 - decay) * weights, after every update.

    Polyak and Juditsky, SIAM J. Control and Optimization 1992. The first update takes the weights as they are. Buffers of whole numbers
    are copied. Every process keeps its own, which are equal but for buffers: those of the main one count, as in the network itself.

    Args:
        model: the plain network, whose average is kept on the same device.
        decay: in [0, 1); the average looks back about 1 / (1 - decay) steps.
        warmup: the n-th update, from 0, decays by (1 + n) / (10 + n) at most, so that the beginning is soon forgotten.
    """

    def __init__(self, model: nn.Module, *, decay: float, warmup: bool = True):
        self.decay, self.warmup, self.num_updates = decay, warmup, 0
        self._average = AveragedModel(model, multi_avg_fn=self._mix, use_buffers=True)
        self._average.requires_grad_(False)

    @property
    def model(self) -> nn.Module:
        """The network with the averaged weights."""
        return self._average.module

    def current_decay(self) -> float:
        """Decay of the next update. Example: decay 0.99 -> 0.1, 0.1818, 0.25, ..., 0.99 from the 890th on"""
        return min(self.decay, (1 + self.num_updates) / (10 + self.num_updates)) if self.warmup else self.decay

    def update(self, model: nn.Module) -> None:
        """Takes in the weights of a step."""
        self._average.update_parameters(model)
        self.num_updates += 1

    def _mix(self, averages: list[Tensor], current: list[Tensor], _: Tensor) -> None:
        if averages[0].is_floating_point():
            get_ema_multi_avg_fn(self.current_decay())(averages, current, _)
        else:
            torch._foreach_copy_(averages, current)

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.num_updates = state["num_updates"]
        self._average.n_averaged.fill_(self.num_updates)
