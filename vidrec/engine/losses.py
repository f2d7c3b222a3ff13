"""What training minimizes."""

from typing import Protocol

from torch import Tensor
from torch.nn.functional import cross_entropy


class Loss(Protocol):
    """Logits [B, K] and labels, [B] int64 or shares [B, K] float32 -> the mean over the clips, []."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor: ...


class SoftmaxLoss:
    """Cross entropy of the softmax to the labels, or to the shares of mixed clips."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels)
