"""One step of training: the batches of a step through the network and back, and one update of the weights."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn, optim
from torch.amp import GradScaler

from vidrec.data.datasets import ClipBatch
from vidrec.data.mixing import BatchAugment
from vidrec.data.transforms import normalize_clips
from vidrec.engine.compiled import compiled
from vidrec.engine.device import naming_operators
from vidrec.engine.divergence import Guard
from vidrec.engine.ema import WeightAverage
from vidrec.engine.gradients import GradientClip
from vidrec.engine.head_warmup import HeadWarmup
from vidrec.engine.heartbeat import BACKWARD, BATCH, FORWARD, UPDATE, beat
from vidrec.engine.log import logger
from vidrec.engine.losses import Loss, SoftmaxLoss
from vidrec.engine.parallel import ParallelOptions, keeping_gradients, wrap
from vidrec.engine.precision import MemoryFormat, PrecisionName, as_torch_format, autocast, lay_out, make_scaler
from vidrec.engine.short_convs import protect, short_convs
from vidrec.utils.dist import rank
from vidrec.utils.seed import derive_seed

SHOWN_CLIPS = 4  # of a batch, in a picture


class StepOutcome(NamedTuple):
    """What a step gave, still on the device: the loss [], mean over the clips of this process, logits [B, K] and labels [B] or [B, K]."""

    loss: Tensor
    logits: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """How a step is computed; what it computes stays the same but for rounding.

    Attributes:
        precision: of the forward and backward pass; weights and their update are always float32.
        memory_format: of clips and weights.
        compile: backend of torch.compile; '': none.
        parallel: of several processes.
    """

    precision: PrecisionName = "fp32"
    memory_format: MemoryFormat = "contiguous"
    compile: str = ""
    parallel: ParallelOptions = field(default_factory=ParallelOptions)


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
        clip: of the gradients.
        average: takes in the weights after every update; None: there is none.
        head_warmup: what trains in an epoch; None: everything.
        network: the model wrapped where there are several processes.
        scaler: of the loss, with fp16.
        grad_norm: [] of all gradients of the newest update, before they were clipped; None before the first.
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
    options: StepOptions = field(default_factory=StepOptions)
    clip: GradientClip = field(default_factory=GradientClip)
    average: WeightAverage | None = None
    head_warmup: HeadWarmup | None = None
    network: nn.Module = field(init=False)
    scaler: GradScaler = field(init=False)
    grad_norm: Tensor | None = field(default=None, init=False)
    _call: Callable[[Tensor], Tensor] = field(init=False)
    _seen_shapes: set[torch.Size] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        lay_out(self.model, self.options.memory_format)
        self.scaler = make_scaler(self.options.precision, self.device)
        self._wrap()

    def _wrap(self) -> None:
        self.network = wrap(self.model, self.options.parallel)
        self._call = compiled(self.network, self.options.compile)

    def begin_epoch(self, epoch: int) -> None:
        """Puts the network in training mode, with what trains in this epoch."""
        if self.head_warmup is not None and self.head_warmup.begin_epoch(epoch):
            self._wrap()  # DDP waits for the gradients of what trains now, and of nothing else
        self.model.train()

    def step(self, batches: Sequence[ClipBatch], *, epoch: int, step: int) -> StepOutcome | None:
        """Updates the weights by the mean gradient of the batches of a step, over all processes. None where the guard left it out.

        Raises:
            UserError: an operator of the network has no deterministic form, and only such are allowed.
        """
        self.optimizer.zero_grad(set_to_none=True)
        if self.guard is not None:
            self.guard.remember(self.model)
        outcomes = []
        for place, batch in enumerate(batches):
            beat(FORWARD, epoch=epoch, step=step)
            torch.manual_seed(derive_seed(self.seed, epoch, step * self.batches_per_step + place, self.rank))  # data has its own generators
            with keeping_gradients(self.network, place + 1 < len(batches)), naming_operators():
                clips, labels = self.inputs(batch)
                logits, loss = self.forward(clips, labels)
                loss = loss / len(batches)
                beat(BACKWARD, epoch=epoch, step=step)
                self.backward(loss)
            outcomes.append(StepOutcome(loss.detach(), logits.detach(), labels))
        beat(UPDATE, epoch=epoch, step=step)
        total = torch.stack([outcome.loss for outcome in outcomes]).sum()
        updated = self.update(total, batches, epoch=epoch, step=step)
        beat(BATCH, epoch=epoch, step=step + 1)
        if not updated:
            return None
        return StepOutcome(
            total,
            torch.cat([outcome.logits for outcome in outcomes]),
            torch.cat([outcome.labels for outcome in outcomes]),
        )

    def shown_clips(self, batch: ClipBatch, most: int = SHOWN_CLIPS) -> tuple[Tensor, Tensor]:
        """The first clips [b, T, S, S, 3] uint8 of a batch as the network sees them before they are normalized, and their labels."""
        clips, labels = self._augmented(batch)
        return clips[:most].cpu(), labels[:most].cpu()

    def clips(self, batches: Iterable[ClipBatch], epoch: int) -> Iterator[Tensor]:
        """The clips [B, 3, T, S, S] of batches as the network takes them in training, for passes that update nothing."""
        for place, batch in enumerate(batches):
            torch.manual_seed(derive_seed(self.seed, epoch, place, self.rank))
            yield self.inputs(batch)[0]

    def inputs(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Clips [B, 3, T, S, S] float32 and their labels, on the device."""
        clips, labels = self._augmented(batch)
        return normalize_clips(clips, self.mean, self.std, memory_format=as_torch_format(self.options.memory_format)), labels

    def forward(self, clips: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, K] float32 and the loss []."""
        self._protect(clips.shape)
        with autocast(self.options.precision, self.device):
            logits = self._call(clips)
        logits = logits.float()
        return logits, self.loss(logits, labels)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradient of a loss, times the scaler's scale, to that of the weights."""
        self.scaler.scale(loss).backward()

    def update(self, loss: Tensor, batches: Sequence[ClipBatch], *, epoch: int, step: int) -> bool:
        """Brings the gradients of a step, averaged over the processes, into the weights, unless the guard forbids it; then False."""
        self.scaler.unscale_(self.optimizer)
        scaled = self.scaler.is_enabled()  # then the scaler leaves out what has overflown, and finds its scale by that
        if self.guard is not None and not self.guard.allows(self.model, loss, batches, epoch=epoch, step=step, gradients=not scaled):
            self.scaler.update()
            return False
        self.grad_norm = self.clip.apply(self.model.parameters())
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None and self.scaler.get_scale() >= scale:  # a lower scale: the gradients overflew, the weights stayed
            self.average.update(self.model)
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold beside weights and optimizer, in plain values."""
        return {"scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave, with the same precision."""
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])

    def _augmented(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Clips [B, T, S, S, 3] uint8 and their labels, on the device."""
        clips = batch.clips.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        return (clips, labels) if self.augment is None else self.augment(clips, labels, batch.plans)

    def _protect(self, shape: torch.Size) -> None:
        """Keeps the convolutions out of bf16 whose gradient would be wrong there, for clips of a shape not seen before."""
        if self.options.precision != "bf16" or self.device.type != "cpu" or shape in self._seen_shapes:
            return
        self._seen_shapes.add(shape)
        found = protect(self.model, short_convs(self.model, shape))
        if found:
            logger.info(
                "%d convolutions run in fp32, since on a CPU the bf16 weight gradient of one that is longer than its input is wrong: %s",
                len(found),
                ", ".join(found),
            )
