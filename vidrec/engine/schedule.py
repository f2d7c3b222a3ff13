"""The learning rate of every epoch, as a pure function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """Learning rate per epoch: an optional linear warm-up, then steps or half a cosine.

    Attributes:
        base_lr: the learning rate where the warm-up ends and the policy starts.
        num_epochs: epochs of the whole run, warm-up included.
        milestones: Step: epochs from which on the rate is multiplied once more by `factor`, counted from the start of the run.
        warmup_epochs: 0 for none. The policy takes over at epoch `warmup_epochs`, with the value that the ramp arrives at.
        warmup_start_lr: rate of epoch 0. With 0.0 the ramp starts one epoch earlier, so that epoch 0 learns something.
        scales: a factor for each epoch on top of all that, for batches that grow and shrink; empty for none.
    """

    base_lr: float
    num_epochs: int
    policy: Literal["Step", "Cosine"] = "Step"
    milestones: Sequence[int] = ()
    factor: float = 0.1
    warmup_epochs: int = 0
    warmup_start_lr: float = 0.0
    scales: Sequence[float] = ()

    def lr(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0.

        Cosine is SGDR's without restarts (Loshchilov and Hutter, ICLR 2017), over the epochs after the warm-up. Unlike the
        reference, the first epoch is never at 0 and the rate of the warm-up's end is not used twice.

        Example: base 0.1, 6 epochs, Cosine, 2 of warm-up from 0.02 -> 0.02, 0.06, 0.1, 0.0854, 0.05, 0.0146
        """
        return self._unscaled_lr(epoch) * (self.scales[epoch] if self.scales else 1)

    def _unscaled_lr(self, epoch: int) -> float:
        if epoch >= self.warmup_epochs:
            return self._policy_lr(epoch)
        peak = self._policy_lr(self.warmup_epochs)
        if self.warmup_start_lr == 0.0:
            return peak * (epoch + 1) / (self.warmup_epochs + 1)
        return self.warmup_start_lr + (peak - self.warmup_start_lr) * epoch / self.warmup_epochs

    def _policy_lr(self, epoch: int) -> float:
        if self.policy == "Step":
            return self.base_lr * self.factor ** sum(epoch >= milestone for milestone in self.milestones)
        done = (epoch - self.warmup_epochs) / max(self.num_epochs - self.warmup_epochs, 1)
        return self.base_lr * 0.5 * (1.0 + math.cos(math.pi * done))
