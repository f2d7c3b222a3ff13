"""The training loop, to be read from top to bottom."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as distributed
from torch import nn, optim
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from vidrec.data.mixing import BatchAugment
from vidrec.data.transforms import normalize_clips
from vidrec.engine.bad_videos import BadVideos
from vidrec.engine.checkpoint import Checkpointer, RunState
from vidrec.engine.log import logger
from vidrec.engine.metrics import Accuracies, Averages, TrainMeter, accuracies
from vidrec.engine.progress import StepReport, TrainDisplay, WaitClock
from vidrec.engine.record import RunRecord
from vidrec.engine.schedule import Schedule
from vidrec.engine.tester import Tester, VideoScores
from vidrec.utils.dist import rank, run_on_main, world_size
from vidrec.utils.errors import UserError
from vidrec.utils.seed import derive_seed


class TrainSampler(Protocol):
    """The order of an epoch, sharded over the processes."""

    def set_epoch(self, epoch: int) -> None: ...

    def steps_of(self, epoch: int) -> int: ...


@dataclass(kw_only=True)
class Trainer:
    """Trains, validates and saves one run.

    Attributes:
        model: the plain network, on `device`, in whose parameters `optimizer` holds.
        train_loader: ClipBatch items; as many on every process.
        val_loader: EvalVideo items, every video on exactly one process; may be None with `val_freq` 0.
        num_val_videos: length of the validation list, over all processes.
        augment: clips, labels and the plans of a batch on the device -> clips and labels [B], or shares [B, K] of mixed clips; None: as is.
        tester: scores the validation videos with the same model.
        seed: of dropout and the like, which depend on (seed, epoch, step, rank) only.
        mean, std: RGB, of values in [0, 1].
        val_freq, save_freq: epochs; 0 is never, otherwise the last epoch is always included.
        display_freq: steps between displays; reading the numbers waits for the device.
    """

    model: nn.Module
    optimizer: optim.Optimizer
    schedule: Schedule
    train_loader: DataLoader
    train_sampler: TrainSampler
    val_loader: DataLoader | None
    num_val_videos: int
    tester: Tester
    device: torch.device
    seed: int
    num_epochs: int
    mean: Sequence[float]
    std: Sequence[float]
    val_freq: int
    save_freq: int
    display_freq: int
    bad_videos: BadVideos
    checkpointer: Checkpointer
    record: RunRecord
    augment: BatchAugment | None = None
    _pace: list[float] = field(default_factory=lambda: [0.0, 0.0], init=False)  # seconds, steps

    def run(self, state: RunState) -> RunState:
        """Trains from `state` to the last epoch and returns the final state; the weights are then equal on all processes.

        Raises:
            UserError: the loss is not finite, too many videos cannot be read, or a checkpoint cannot be written.
        """
        network = wrap(self.model)
        for epoch in range(state.epoch, self.num_epochs):
            lr, num_steps = self._begin_epoch(epoch), self.train_sampler.steps_of(epoch)
            meter, clock = TrainMeter(self.device), WaitClock(self.train_loader)
            display = TrainDisplay(epoch, num_epochs=self.num_epochs, num_steps=num_steps)
            for step, batch in enumerate(clock):
                torch.manual_seed(derive_seed(self.seed, epoch, step, rank()))  # of dropout; data has its own generators
                self.bad_videos.add(batch.failures)
                clips = batch.clips.to(self.device, non_blocking=True)  # [B, T, H, W, 3] uint8
                labels = batch.labels.to(self.device, non_blocking=True)
                if self.augment is not None:
                    clips, labels = self.augment(clips, labels, batch.plans)
                logits = network(normalize_clips(clips, self.mean, self.std))
                loss = cross_entropy(logits, labels)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                meter.update(loss, logits, labels)
                display.advance()
                if is_due(step + 1, self.display_freq, num_steps):
                    report = self._report(epoch, step, lr, averages=meter.read(), clock=clock)
                    display.show(report)
                    self.record.step(report)
            display.close()
            self._end_epoch(epoch, lr, meter)
            state = RunState(epoch + 1, 0, state.best)
            if is_due(epoch + 1, self.val_freq, self.num_epochs):
                measured = self.validate(epoch)
                if state.best is None or measured.top1 > state.best:
                    state.best = measured.top1
                    self._save(self.checkpointer.best_path, state)
            if is_due(epoch + 1, self.save_freq, self.num_epochs):
                self._save(self.checkpointer.epoch_path(epoch + 1), state)
        return state

    def validate(self, epoch: int) -> Accuracies:
        """Exact accuracies over the whole validation list, the same on every process."""
        result = self.tester.run(self.val_loader, num_videos=self.num_val_videos, title="validation")
        measured = run_on_main(_measure, result)
        self.record.validation(epoch, top1=measured.top1, top5=measured.top5, mean_class=measured.mean_class, failed=measured.num_failed)
        logger.info(
            "epoch %d/%d validation top1 %.4f top%d %.4f mean class %.4f (%d videos, %d unreadable)",
            *(epoch + 1, self.num_epochs, measured.top1, measured.k, measured.top5),
            *(measured.mean_class, measured.num_videos, measured.num_failed),
        )
        return measured

    def _begin_epoch(self, epoch: int) -> float:
        """Sets order and learning rate of an epoch and returns the latter."""
        lr = self.schedule.lr(epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.train_sampler.set_epoch(epoch)
        self.model.train()
        return lr

    def _end_epoch(self, epoch: int, lr: float, meter: TrainMeter) -> None:
        """Makes the processes equal again and records the averages of the epoch over all of them."""
        share_buffers(self.model)
        self.bad_videos.share()
        numbers = asdict(meter.total())
        self.record.epoch(epoch, lr=lr, **numbers)
        logger.info("epoch %d/%d training loss %.4f top1 %.4f", epoch + 1, self.num_epochs, numbers["loss"], numbers["top1"])

    def _report(self, epoch: int, step: int, lr: float, *, averages: Averages, clock: WaitClock) -> StepReport:
        if not math.isfinite(averages.loss):
            raise UserError(
                f"The loss is {averages.loss} in epoch {epoch + 1}, at or just before step {step + 1}; it must be finite. "
                f"Lower CONFIG.TRAIN.LR (now {lr:g}) or warm up, and go on from the last checkpoint with CONFIG.TRAIN.RESUME auto."
            )
        wait = clock.read()
        self._pace[0] += wait.seconds
        self._pace[1] += wait.items
        steps_left = sum(map(self.train_sampler.steps_of, range(epoch, self.num_epochs))) - step - 1
        return StepReport(
            epoch=epoch,
            step=step,
            loss=averages.loss,
            top1=averages.top1,
            top5=averages.top5,
            lr=lr,
            clips_per_s=averages.clips * world_size() / wait.seconds,
            data_share=wait.waited / wait.seconds,
            eta_s=steps_left * self._pace[0] / self._pace[1],
        )

    def _save(self, path: Path, state: RunState) -> None:
        self.checkpointer.save(path, state, model=self.model, optimizer=self.optimizer)


def is_due(done: int, every: int, total: int) -> bool:
    """Whether something happens after `done` of `total` rounds: every `every` rounds and after the last; never with 0.

    Example: every 3 of 7 -> after 3, 6 and 7.
    """
    return every > 0 and (done % every == 0 or done == total)


def wrap(model: nn.Module) -> nn.Module:
    """The network to train: it averages gradients over the processes where there are several.

    All processes start from the main one's weights, and its BatchNorm statistics are handed out before every step.
    """
    if world_size() == 1:
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None, gradient_as_bucket_view=True)


def share_buffers(model: nn.Module) -> None:
    """Gives every process the main one's buffers: each has updated BatchNorm's statistics in the last step by its own clips."""
    if world_size() > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, src=0)


def _measure(result: VideoScores) -> Accuracies:
    return accuracies(result.scores, result.labels, result.failed)
