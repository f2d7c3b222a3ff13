"""One step of training: the batches of a step through the network and back, and one update of the weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel

from vidrec.data.datasets import ClipBatch
from vidrec.data.mixing import BatchAugment
from vidrec.data.transforms import normalize_clips
from vidrec.engine.divergence import Guard
from vidrec.engine.losses import Loss, SoftmaxLoss
from vidrec.utils.dist import rank, world_size
from vidrec.utils.seed import derive_seed

SHOWN_CLIPS = 4  # of a batch, in a picture


class StepOutcome(NamedTuple):
    """What a step gave, still on the device: the loss [], mean over the clips of this process, logits [B, K] and labels [B] or [B, K]."""

    loss: Tensor
    logits: Tensor
    labels: Tensor


@dataclass(kw_only=True)
class Stepper:
    """Takes the steps of a run.

    Attributes:
        model: the plain network, on `device`, in whose parameters `optimizer` holds.
        seed: of dropout and the like, which depend on (seed, epoch, step, batch of the step, rank) only.
        mean, std: RGB, of values in [0, 1].
        batches_per_step: batches whose gradients are accumulated, at least 1.
        augment: clips, labels and the plans of a batch on the device -> clips and labels [B], or shares [B, K] of mixed clips; None: as is.
        guard: asked before every update of the weights; None: every update happens.
        rank: of the process, in the seeds.
        network: the model as it is called: wrapped where there are several processes.
    """

    model: nn.Module
    optimizer: optim.Optimizer
    device: torch.device
    seed: int
    mean: Sequence[float]
    std: Sequence[float]
    loss: Loss = field(default_factory=SoftmaxLoss)
    batches_per_step: int = 1
    augment: BatchAugment | None = None
    guard: Guard | None = None
    rank: int = field(default_factory=rank)
    network: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.network = wrap(self.model)

    def step(self, batches: Sequence[ClipBatch], *, epoch: int, step: int) -> StepOutcome | None:
        """Updates the weights by the mean gradient of the batches of a step, over all processes. None where the guard left it out."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.guard is not None:
            self.guard.remember(self.model)
        outcomes = []
        for place, batch in enumerate(batches):
            torch.manual_seed(derive_seed(self.seed, epoch, step * self.batches_per_step + place, self.rank))  # data has its own generators
            clips, labels = self._inputs(batch)
            logits = self.network(clips)
            loss = self.loss(logits, labels) / len(batches)
            loss.backward()
            outcomes.append(StepOutcome(loss.detach(), logits.detach(), labels))
        total = torch.stack([outcome.loss for outcome in outcomes]).sum()
        if self.guard is not None and not self.guard.allows(self.model, total, batches, epoch=epoch, step=step):
            return None
        self.optimizer.step()
        return StepOutcome(
            total,
            torch.cat([outcome.logits for outcome in outcomes]),
            torch.cat([outcome.labels for outcome in outcomes]),
        )

    def shown_clips(self, batch: ClipBatch, most: int = SHOWN_CLIPS) -> tuple[Tensor, Tensor]:
        """The first clips [b, T, S, S, 3] uint8 of a batch as the network sees them before they are normalized, and their labels."""
        clips, labels = self._augmented(batch)
        return clips[:most].cpu(), labels[:most].cpu()

    def _inputs(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Clips [B, 3, T, S, S] float32 and their labels, on the device."""
        clips, labels = self._augmented(batch)
        return normalize_clips(clips, self.mean, self.std), labels

    def _augmented(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Clips [B, T, S, S, 3] uint8 and their labels, on the device."""
        clips = batch.clips.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        return (clips, labels) if self.augment is None else self.augment(clips, labels, batch.plans)


def wrap(model: nn.Module) -> nn.Module:
    """The network to train: it averages gradients over the processes where there are several.

    All processes start from the main one's weights, and its BatchNorm statistics are handed out before every step.
    """
    if world_size() == 1:
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None, gradient_as_bucket_view=True)
