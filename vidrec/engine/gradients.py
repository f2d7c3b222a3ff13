"""Gradients that are too large: clipped between the backward pass and the update."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class GradientClip:
    """Bounds the gradients of a step; 0 bounds nothing.

    Attributes:
        max_norm: all gradients together are scaled down to this norm where theirs is larger (Pascanu et al., ICML 2013).
        max_value: every number is cut to [-max_value, max_value].
    """

    max_norm: float = 0.0
    max_value: float = 0.0

    def apply(self, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Clips in place and returns [] the norm of all gradients before that, without waiting for the device.

        Example: max_norm 1, gradients [3] and [4] -> returns 5, gradients [0.6] and [0.8]
        """
        trained = [parameter for parameter in parameters if parameter.grad is not None]
        norm = nn.utils.get_total_norm([parameter.grad for parameter in trained])
        if self.max_norm:
            nn.utils.clip_grads_with_norm_(trained, self.max_norm, norm)
        if self.max_value:
            nn.utils.clip_grad_value_(trained, self.max_value)
        return norm
