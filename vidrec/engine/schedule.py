"""The learning rate at every point of a run, as a pure function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Policy = Literal["Step", "Cosine", "Linear", "Poly", "Constant"]


@dataclass(frozen=True)
class Schedule:
    """Learning rate per epoch or per step: an optional linear warm-up, then a policy.

    Attributes:
        base_lr: the rate where the policy starts.
        num_epochs: epochs of the whole run, warm-up included.
        policy: Step multiplies by `factor` at each of the milestones; Cosine is half a cosine, Linear a line and Poly the power `power`
            of what is left of the run, from `base_lr` down to `end_lr`, which they reach when the run ends; Constant stays.
        milestones: Step: epochs from which on the rate is multiplied once more by `factor`, counted from the start of the run.
        end_lr: of Cosine, Linear and Poly.
        per_step: the rate moves with every step; otherwise an epoch has one.
        warmup_epochs: 0 for none. The policy takes over at epoch `warmup_epochs`.
        warmup_start_lr: rate of the first epoch or step. With 0.0 the ramp starts one of them earlier, so that the first learns something.
        warmup_to_lr: rate that the ramp arrives at, where the policy takes over with its own; None: with the same.
        scales: a factor for each epoch on top of all that, for batches that grow and shrink; empty for none.
    """

    base_lr: float
    num_epochs: int
    policy: Policy = "Step"
    milestones: Sequence[int] = ()
    factor: float = 0.1
    end_lr: float = 0.0
    power: float = 2.0
    per_step: bool = False
    warmup_epochs: int = 0
    warmup_start_lr: float = 0.0
    warmup_to_lr: float | None = None
    scales: Sequence[float] = ()

    def lr(self, epoch: int, step: int = 0, num_steps: int = 1) -> float:
        """Learning rate of a step, all counted from 0; it depends on nothing else, so that a run may go on from anywhere.

        Cosine is SGDR's without restarts (Loshchilov and Hutter, ICLR 2017), over the epochs after the warm-up. Unlike the
        reference, the first epoch is never at 0 and the rate of the warm-up's end is not used twice.

        Args:
            num_steps: steps of this epoch; others may have more or fewer.

        Example: base 0.1, 6 epochs, Cosine, 2 of warm-up from 0.02 -> 0.02, 0.06, 0.1, 0.0854, 0.05, 0.0146
        """
        time, unit = (epoch + step / num_steps, 1 / num_steps) if self.per_step else (epoch, 1)
        return self._unscaled_lr(time, unit) * (self.scales[epoch] if self.scales else 1)

    def _unscaled_lr(self, time: float, unit: float) -> float:
        """The rate at a time in epochs; rates change every `unit` of them."""
        if time >= self.warmup_epochs:
            return self._policy_lr(time)
        peak = self._policy_lr(self.warmup_epochs) if self.warmup_to_lr is None else self.warmup_to_lr
        if self.warmup_start_lr == 0.0:
            return peak * (time + unit) / (self.warmup_epochs + unit)
        return self.warmup_start_lr + (peak - self.warmup_start_lr) * time / self.warmup_epochs

    def _policy_lr(self, time: float) -> float:
        if self.policy == "Constant":
            return self.base_lr
        if self.policy == "Step":
            return self.base_lr * self.factor ** sum(time >= milestone for milestone in self.milestones)
        done = (time - self.warmup_epochs) / max(self.num_epochs - self.warmup_epochs, 1)
        if self.policy == "Cosine":
            return self.end_lr + (self.base_lr - self.end_lr) * 0.5 * (1.0 + math.cos(math.pi * done))
        return self.end_lr + (self.base_lr - self.end_lr) * (1.0 - done) ** (self.power if self.policy == "Poly" else 1)


@dataclass(frozen=True)
class BatchScale:
    """The linear scaling rule (Goyal et al., arXiv 1706.02677): k times the batch, k times the rate.

    Attributes:
        reference: clips of the step that the configured rate is meant for; 0: the rate is used as it is.
    """

    per_process: int
    accumulated: int
    processes: int
    reference: int = 0

    @property
    def clips(self) -> int:
        """Clips of a step, over all processes."""
        return self.per_process * self.accumulated * self.processes

    @property
    def factor(self) -> float:
        return self.clips / self.reference if self.reference else 1.0

    def text(self, lr: float) -> str:
        """What becomes of a rate. Example: 8 per process x 2 accumulated x 16 processes = 256: LR 0.01 -> 0.08"""
        batch = f"{self.per_process} per process x {self.accumulated} accumulated x {self.processes} processes = {self.clips}"
        return f"{batch}: LR {lr:g} -> {lr * self.factor:g}" if self.reference else f"{batch}: LR {lr:g} as it is (LR_SCALE_BATCH 0)"
