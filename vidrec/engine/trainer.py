"""The training loop, to be read from top to bottom."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NoReturn, Protocol

import torch.distributed as distributed
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from vidrec.data.datasets import ClipBatch
from vidrec.engine.bad_videos import BadVideos
from vidrec.engine.best import BestWatch
from vidrec.engine.checkpoint import Checkpointer, RunState, Stateful, hand_out
from vidrec.engine.heartbeat import BATCH, REST, beat
from vidrec.engine.log import logger
from vidrec.engine.memory import memory_use
from vidrec.engine.metrics import Accuracies, Averages, TrainMeter, measure
from vidrec.engine.out_of_memory import naming_batch
from vidrec.engine.param_groups import set_lr
from vidrec.engine.precise_bn import renew_statistics
from vidrec.engine.progress import StepReport, TrainDisplay, WaitClock
from vidrec.engine.record import RunRecord
from vidrec.engine.schedule import Schedule
from vidrec.engine.stepper import Stepper
from vidrec.engine.stopping import Agreement, Interruptible, Stop, Stopped, Wishes
from vidrec.engine.tester import Tester, VideoScores
from vidrec.utils.dist import run_on_main, world_size


class TrainSampler(Protocol):
    """The order of an epoch, sharded over the processes; `steps_of` counts batches."""

    def set_epoch(self, epoch: int) -> None: ...

    def skip_batches(self, count: int) -> None: ...

    def steps_of(self, epoch: int) -> int: ...


@dataclass(kw_only=True)
class Trainer:
    """Trains, validates and saves one run.

    Attributes:
        stepper: forward, backward and update of a step; holds network and optimizer.
        train_loader: ClipBatch items; as many on every process.
        val_loader: EvalVideo items, every video on exactly one process; may be None with `val_freq` 0.
        num_val_videos: length of the validation list, over all processes.
        tester: scores the validation videos with the same network, or with the average of its weights.
        average_tester: scores them with the average as well; None: one of the two is enough.
        measure: what their scores are worth.
        best: by which of the numbers that `measure` finds a checkpoint is the best, and when training ends for want of a better one.
        precise_batches: batches of the epoch by which BatchNorm's statistics are renewed before a validation and at the end; 0: they stay.
        val_freq, save_freq: epochs; 0 is never, otherwise the last epoch is always included.
        save_steps: steps of the run between checkpoints within epochs; 0: none.
        stop: whether this process is asked to stop.
        extras: what has a state for checkpoints beside network, optimizer, sums of the epoch and bad videos.
        display_freq: steps between displays; reading the numbers waits for the device.
        clip_freq: epochs between pictures of the clips of an epoch's first batch, from the first epoch on; 0 is never.
    """

    stepper: Stepper
    schedule: Schedule
    train_loader: DataLoader
    train_sampler: TrainSampler
    val_loader: DataLoader | None
    num_val_videos: int
    tester: Tester
    num_epochs: int
    val_freq: int
    save_freq: int
    display_freq: int
    bad_videos: BadVideos
    checkpointer: Checkpointer
    record: RunRecord
    measure: Callable[[VideoScores], Accuracies] = measure
    best: BestWatch = field(default_factory=BestWatch)
    average_tester: Tester | None = None
    precise_batches: int = 0
    save_steps: int = 0
    stop: Stop = field(default_factory=Stop)
    extras: Mapping[str, Stateful] = field(default_factory=dict)
    clip_freq: int = 0
    meter: TrainMeter = field(init=False)
    _agreement: Agreement = field(default_factory=Agreement, init=False)
    _pace: list[float] = field(default_factory=lambda: [0.0, 0.0], init=False)  # seconds, steps

    def __post_init__(self) -> None:
        self.meter = TrainMeter(self.stepper.device)

    def run(self, state: RunState) -> RunState:
        """Trains from `state` to the last epoch, or as long as validations get better, and returns the final state.

        The weights are then equal on all processes.

        Raises:
            UserError: the loss has gone wrong (see `engine.divergence`), too many videos cannot be read, or a checkpoint cannot be written.
            Stopped: a process was asked to stop; the run is saved and can go on from there.
        """
        hand_out(state, self._parts())
        for epoch in range(state.epoch, self.num_epochs):
            if self.best.exhausted(state.best):
                logger.info("training ends: validations in a row without a better %s: %d", self.best.text, self.best.stale)
                break
            trained = self._train(epoch, state)
            state, paths = RunState(epoch + 1, 0, trained.best), []
            if is_due(epoch + 1, self.val_freq, self.num_epochs):
                measured = self.validate(epoch)
                if measured is None:
                    self._stop(trained)  # the validation comes first when the run goes on
                found = measured.numbers()[self.best.metric]
                if self.best.improved(found, state.best):
                    state.best = found
                    paths.append(self.checkpointer.best_path)
            if is_due(epoch + 1, self.save_freq, self.num_epochs) or self.best.exhausted(state.best):
                paths.append(self.checkpointer.path(state))
            self._save(paths, state)
        self.checkpointer.finish()
        self._agreement.settled()
        return state

    def _train(self, epoch: int, state: RunState) -> RunState:
        """Takes the steps of an epoch from `state` on and returns where the run then stands."""
        num_steps = self._begin_epoch(epoch, state.step)
        clock = WaitClock(self.train_loader)
        display = TrainDisplay(epoch, num_epochs=self.num_epochs, num_steps=num_steps)
        for step, batches in enumerate(in_steps(clock, self.stepper.batches_per_step), start=state.step):
            for batch in batches:
                self.bad_videos.add(batch.failures)
            lr = self.schedule.lr(epoch, step, num_steps)
            set_lr(self.stepper.optimizer, lr)
            if step == 0 and self.clip_freq and epoch % self.clip_freq == 0 and self.record.shows_clips:
                self.record.clips(epoch, step, *self.stepper.shown_clips(batches[0]))
            with naming_batch(batches, precision=self.stepper.options.precision, device=self.stepper.device):
                outcome = self.stepper.step(batches, epoch=epoch, step=step)
            state = RunState(epoch, step + 1, state.best)
            display.advance()
            if outcome is not None:  # else its numbers went wrong, and the weights are as before
                self.meter.update(*outcome)
            if self.meter.filled and is_due(step + 1, self.display_freq, num_steps):
                report = self._report(epoch, step, lr, averages=self.meter.read(), clock=clock)
                display.show(report)
                self.record.step(report)
            agreed = self._agreement.on(Wishes(self.stop.asked, self.checkpointer.due(), self.checkpointer.failed))
            if agreed.failed:
                self.checkpointer.finish()
            if agreed.stop:
                self._stop(state)
            if agreed.save or (self.save_steps and (self._steps_before(epoch) + step + 1) % self.save_steps == 0):
                self._save([self.checkpointer.path(state)], state)
        display.close()
        self._end_epoch(epoch, self.schedule.lr(epoch, num_steps - 1, num_steps))
        return state

    def steps_of(self, epoch: int) -> int:
        """Updates of the weights in an epoch; batches that do not fill the last one are dropped."""
        return self.train_sampler.steps_of(epoch) // self.stepper.batches_per_step

    def _steps_before(self, epoch: int) -> int:
        return sum(map(self.steps_of, range(epoch)))

    def validate(self, epoch: int) -> Accuracies | None:
        """Exact accuracies over the whole validation list, the same on every process; None where one of them is asked to stop."""
        videos, count = Interruptible(self.val_loader, self.stop), self.num_val_videos
        try:
            result = self.tester.run(videos, num_videos=count, title="validation")
            measured = run_on_main(self.measure, result)
            if self.average_tester is not None:
                averaged = self.average_tester.run(videos, num_videos=count, title="validation of the average")
                measured = replace(measured, average=run_on_main(self.measure, averaged))
        except Stopped:
            return None
        self.record.validation(epoch, result, measured, best_by=self.best.metric)
        place = f"epoch {epoch + 1}/{self.num_epochs} validation"
        logger.info("%s %s (%d videos, %d unreadable)", place, measured.text(), measured.num_videos, measured.num_failed)
        if measured.average is not None:
            logger.info("%s of the average of the weights %s", place, measured.average.text())
        return measured

    def _begin_epoch(self, epoch: int, first_step: int) -> int:
        """Sets the order of an epoch and the place in it, and returns how many steps it has."""
        if first_step == 0:
            self.meter.reset()
        self.train_sampler.set_epoch(epoch)
        self.train_sampler.skip_batches(first_step * self.stepper.batches_per_step)
        self.stepper.begin_epoch(epoch)
        beat(BATCH, epoch=epoch, step=first_step)
        return self.steps_of(epoch)

    def _end_epoch(self, epoch: int, lr: float) -> None:
        """Makes the processes equal again and records the averages of the epoch over all of them."""
        beat(REST, epoch=epoch, step=self.steps_of(epoch))
        if self.precise_batches and (is_due(epoch + 1, self.val_freq, self.num_epochs) or epoch + 1 == self.num_epochs):
            self._renew_statistics(epoch)
        for network in self._networks():
            share_buffers(network)
        self.bad_videos.share()
        numbers = asdict(self.meter.total())
        self.record.epoch(epoch, lr=lr, **numbers)
        logger.info("epoch %d/%d training loss %.4f top1 %.4f", epoch + 1, self.num_epochs, numbers["loss"], numbers["top1"])

    def _networks(self) -> list[nn.Module]:
        """The network, and the one with the average of its weights where there is one."""
        average = self.stepper.average
        return [self.stepper.model] if average is None else [self.stepper.model, average.model]

    def _renew_statistics(self, epoch: int) -> None:
        """BatchNorm's statistics of the weights as they are now, by the first batches of the epoch."""
        num_batches = min(self.precise_batches, self.train_sampler.steps_of(epoch))
        for network in self._networks():
            self.train_sampler.set_epoch(epoch)
            for module, trained in zip(network.modules(), self.stepper.model.modules(), strict=True):
                module.training = trained.training
            renew_statistics(network, self.stepper.clips(self.train_loader, epoch), num_batches=num_batches)

    def _report(self, epoch: int, step: int, lr: float, *, averages: Averages, clock: WaitClock) -> StepReport:
        wait = clock.read()
        self._pace[0] += wait.seconds
        self._pace[1] += wait.items
        steps_left = sum(map(self.steps_of, range(epoch, self.num_epochs))) - step - 1
        return StepReport(
            epoch=epoch,
            step=step,
            epochs_done=epoch + (step + 1) / self.steps_of(epoch),
            loss=averages.loss,
            top1=averages.top1,
            top5=averages.top5,
            lr=lr,
            clips_per_s=averages.clips * world_size() / wait.seconds,
            data_share=wait.waited / wait.seconds,
            eta_s=steps_left * self._pace[0] / self._pace[1],
            grad_norm=None if self.stepper.grad_norm is None else self.stepper.grad_norm.item(),
            lrs=group_rates(self.stepper.optimizer),
            **memory_use(self.stepper.device)._asdict(),
        )

    def _stop(self, state: RunState) -> NoReturn:
        """Saves and raises Stopped."""
        path = self.checkpointer.path(state)
        self._save([path], state)
        self.checkpointer.finish()
        raise Stopped(f"after step {state.step} of epoch {state.epoch + 1} ({self.stop.reason or 'as another process was asked'}): {path}")

    def _parts(self) -> dict[str, Stateful]:
        return {"stepper": self.stepper, "meter": self.meter, "bad_videos": self.bad_videos, "best": self.best, **self.extras}

    def _save(self, paths: list[Path], state: RunState) -> None:
        if paths:
            self.checkpointer.save(paths, state, model=self.stepper.model, optimizer=self.stepper.optimizer, extras=self._parts())


def is_due(done: int, every: int, total: int) -> bool:
    """Whether something happens after `done` of `total` rounds: every `every` rounds and after the last; never with 0.

    Example: every 3 of 7 -> after 3, 6 and 7.
    """
    return every > 0 and (done % every == 0 or done == total)


def in_steps(batches: Iterable[ClipBatch], per_step: int) -> Iterator[list[ClipBatch]]:
    """The batches, so many at a time; what does not fill a step is left out. Example: 5 batches, 2 per step -> 2 steps"""
    iterator = iter(batches)
    while len(group := list(islice(iterator, per_step))) == per_step:
        yield group


def group_rates(optimizer: Optimizer) -> dict[str, float] | None:
    """Learning rates of the parameter groups by name, or by number where they have none; None where there is one group."""
    groups = optimizer.param_groups
    return {group.get("name", str(number)): group["lr"] for number, group in enumerate(groups)} if len(groups) > 1 else None


def share_buffers(model: nn.Module) -> None:
    """Gives every process the main one's buffers: each has updated BatchNorm's statistics in the last step by its own clips."""
    if world_size() > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, src=0)
