"""A tiny real run: a 2-channel network that learns the brightness of 4 x 4 pixel clips. Also a script, started as processes.

python engine_toy.py FOLDER [KEY=VALUE ...]     (torchrun engine_toy.py FOLDER ... as well)
"""

import hashlib
import os
import resource
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.augment import AugmentPlan, Mixing
from vidrec.data.datasets import ClipBatch, EvalVideo, Failure, SampleKey, pair_rng
from vidrec.data.mixing import BatchAugment
from vidrec.data.views import ViewGrid
from vidrec.engine.bad_videos import BadVideos
from vidrec.engine.checkpoint import Checkpointer, RunState
from vidrec.engine.divergence import Guard
from vidrec.engine.ema import WeightAverage
from vidrec.engine.launch import launch
from vidrec.engine.losses import SoftmaxLoss
from vidrec.engine.metric_lines import METRICS_FILE, PART_KINDS, read_entries
from vidrec.engine.optim import build_optimizer, build_schedule
from vidrec.engine.record import RunRecord
from vidrec.engine.same_run import accumulated_for
from vidrec.engine.stepper import Stepper
from vidrec.engine.stopping import Stop, Stopped, exit_status
from vidrec.engine.tester import Tester
from vidrec.engine.trainer import Trainer
from vidrec.utils import dist
from vidrec.utils.errors import DataError
from vidrec.utils.seed import derive_seed, seed_everything

NUM_CLASSES = 3
MEAN = STD = (0.5, 0.5, 0.5)


@dataclass
class Toy:
    """What a run of the toy does; every field can be given on the command line."""

    folder: str = ""
    processes: int = 1
    epochs: int = 3
    batch: int = 4
    dropout: float = 0.5
    batch_norm: bool = False
    num_train: int = 24
    bad: str = ""  # indices of unreadable videos, as in 3,5
    max_bad_share: float = 1.0
    resume: str = ""
    save_steps: int = 0
    stoppable: bool = False
    max_hours: float = 0.0
    signal_at: str = ""  # rank,epoch,step at which the process sends SIGTERM to itself, before the step; step -1: in the validation
    accumulate: int = 1
    ema: float = 0.0  # decay of the average of the weights; 0: none
    mixup: bool = False
    lr: float = 0.05
    kill_at: str = ""  # epoch,step at which the process ends itself with SIGKILL
    kill_in_save: int = 0  # the number of the save that SIGKILL cuts in half
    poison: str = ""  # rank,first,last: the loss of this rank is NaN at these steps, counted over all epochs
    nan_policy: str = "stop"
    nan_skips: int = 2
    fail: str = ""  # user-all, user-1, bug-1, kill-1, full-disk
    slow: str = ""  # rank,first,last,seconds: reading a batch takes this rank so long at these steps of every epoch
    crash: str = ""  # rank,epoch,step: killed there, once (a file remembers)
    restarts: int = 0
    join_timeout: float = 600.0
    group_timeout: float = 900.0
    straggler_steps: int = 50
    nodes: int = 1
    node_rank: int = 0
    host: str = "127.0.0.1"  # of node 0
    port: int = 0

    @property
    def bad_indices(self) -> list[int]:
        return [int(index) for index in self.bad.split(",") if index]


class ToyNet(nn.Module):
    def __init__(self, dropout: float, batch_norm: bool):
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 2)
        self.norm = nn.BatchNorm3d(2) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2, NUM_CLASSES)

    def forward(self, clips):
        return self.fc(self.dropout(torch.relu(self.norm(self.conv(clips))).mean((2, 3, 4))))


def pixels(label: int, seed: int, frames: int) -> torch.Tensor:
    """[frames, 4, 4, 3] uint8, brighter for higher labels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(60 * label, 60 * label + 100, (frames, 4, 4, 3), generator=generator, dtype=torch.uint8)


class ToyClips(Dataset):
    def __init__(self, toy: Toy):
        self.toy = toy

    def __len__(self):
        return self.toy.num_train

    def __getitem__(self, key: SampleKey) -> tuple:
        step = key.position // (self.toy.batch * dist.world_size())
        first_of_step = key.position % self.toy.batch == 0
        if self.toy.slow and first_of_step:
            culprit, first, last, seconds = map(float, self.toy.slow.split(","))
            if dist.rank() == culprit and first <= step <= last:
                time.sleep(seconds)
        if self.toy.crash == f"{dist.rank()},{key.epoch},{step}" and first_of_step:
            crash_once(Path(self.toy.folder) / "crashed")
        failures = [Failure(f"/videos/{key.index}.mp4", "is empty")] if key.index in self.toy.bad_indices else []
        label = key.index % NUM_CLASSES
        plan = AugmentPlan(pair=Mixing(mixup_alpha=1.0).draw(pair_rng(0, key), 4)) if self.toy.mixup else None
        return pixels(label, derive_seed(key.epoch, key.position), 2), label, key.index, failures, plan


def crash_once(mark: Path) -> None:
    """Kills this process, unless the file is there, which it leaves for the next attempt."""
    try:
        mark.open("x").close()
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class ToySampler(Sampler):
    """Global batch g of `processes` * `batch` positions; a process takes its share of each."""

    def __init__(self, toy: Toy):
        self.toy, self.epoch, self.skipped = toy, 0, 0
        self.whole = toy.num_train // (toy.batch * dist.world_size())

    def __len__(self):
        return self.whole * self.toy.batch

    def set_epoch(self, epoch: int) -> None:
        self.epoch, self.skipped = epoch, 0

    def skip_batches(self, count: int) -> None:
        self.skipped = count

    def steps_of(self, epoch: int) -> int:
        return self.whole

    def __iter__(self):
        order = torch.randperm(self.toy.num_train, generator=torch.Generator().manual_seed(self.epoch)).tolist()
        for batch in range(self.skipped, self.whole):
            first = (batch * dist.world_size() + dist.rank()) * self.toy.batch
            for position in range(first, first + self.toy.batch):
                yield SampleKey(self.epoch, position, order[position])


def collate(samples: list[tuple]) -> ClipBatch:
    clips, labels, indices, failures, plans = zip(*samples, strict=True)
    found = [failure for each in failures for failure in each]
    return ClipBatch(torch.stack(clips), torch.tensor(labels), torch.tensor(indices), found, (), plans if plans[0] else ())


class ToyVideos(Dataset):
    """9 videos of 5 frames, each seen through `num_views` views of 2 frames; `bad` ones cannot be read."""

    def __init__(self, num_views: int = 3, bad: tuple[int, ...] = (), num_videos: int = 9):
        self.num_views, self.bad, self.num_videos = num_views, bad, num_videos

    def __len__(self):
        return self.num_videos

    def __getitem__(self, index: int) -> EvalVideo:
        label, path = index % NUM_CLASSES, f"/videos/{index}.mp4"
        positions = np.array([[view, view + 1] for view in range(self.num_views)], dtype=np.int64)
        grid = ViewGrid(positions, np.tile(np.array([0, 4, 0, 4], dtype=np.int64), (self.num_views, 1)))
        if index in self.bad:
            return EvalVideo(index, label, path, torch.zeros(0, 4, 4, 3, dtype=torch.uint8), grid, Failure(path, "is empty"))
        return EvalVideo(index, label, path, pixels(label, 1000 + index, self.num_views + 1), grid, None)


def video_loader(num_views: int = 3, bad: tuple[int, ...] = (), num_videos: int = 9) -> DataLoader:
    mine = range(dist.rank(), num_videos, dist.world_size())
    return DataLoader(ToyVideos(num_views, bad, num_videos), batch_size=None, sampler=mine, collate_fn=as_it_is)


def as_it_is(video: EvalVideo) -> EvalVideo:
    return video


def toy_config(toy: Toy):
    cfg = get_cfg_defaults()
    cfg.DDP_CONFIG.NPROC_PER_NODE = toy.processes
    cfg.DDP_CONFIG.WORLD_SIZE, cfg.DDP_CONFIG.WORLD_RANK, cfg.DDP_CONFIG.AUTO_RANK_MATCH = toy.nodes, toy.node_rank, False
    cfg.DDP_CONFIG.DIST_URL = f"tcp://{toy.host}:{toy.port}" if toy.port else "tcp://198.51.100.1:10001"
    ddp = cfg.DDP_CONFIG
    ddp.MAX_RESTARTS, ddp.STRAGGLER_STEPS = toy.restarts, toy.straggler_steps
    ddp.JOIN_TIMEOUT, ddp.GROUP_TIMEOUT = toy.join_timeout, toy.group_timeout
    train = cfg.CONFIG.TRAIN
    train.EPOCH_NUM, train.LR, train.LR_POLICY, train.BATCH_SIZE = toy.epochs, toy.lr, "Cosine", toy.batch
    cfg.CONFIG.DATA.CLASS_NAMES = "\n".join(f"{key}={value}" for key, value in vars(toy).items())  # carries the toy to its processes
    return cfg


def toy_of(cfg) -> Toy:
    return parse(cfg.CONFIG.DATA.CLASS_NAMES.split("\n"))


def parse(pairs: list[str]) -> Toy:
    toy = Toy()
    for key, value in (pair.split("=", 1) for pair in pairs):
        kind = type(getattr(toy, key))
        setattr(toy, key, value == "True" if kind is bool else kind(value))
    return toy


def make_trainer(toy: Toy, cfg, stop: Stop | None = None) -> tuple[Trainer, RunState]:
    folder = Path(toy.folder)
    seed_everything(cfg.CONFIG.TRAIN.SEED)
    model = ToyNet(toy.dropout, toy.batch_norm)
    optimizer = build_optimizer(cfg, model)
    sampler = ToySampler(toy)
    loader = DataLoader(ToyClips(toy), batch_size=toy.batch, sampler=sampler, collate_fn=collate)
    clips = toy.batch * toy.accumulate * dist.world_size()
    checkpointer = Checkpointer(folder / "checkpoints", config=cfg.dump(), seed=cfg.CONFIG.TRAIN.SEED, clips_per_step=clips)
    state = checkpointer.restore(toy.resume, model=model, optimizer=optimizer)
    average = WeightAverage(model, decay=toy.ema) if toy.ema else None
    common: dict[str, Any] = {"device": torch.device("cpu"), "mean": MEAN, "std": STD}
    trainer = Trainer(
        stepper=Stepper(
            model=model,
            optimizer=optimizer,
            seed=cfg.CONFIG.TRAIN.SEED,
            batches_per_step=accumulated_for(checkpointer.clips_per_step, batch_size=toy.batch, processes=dist.world_size()),
            loss=poisoned(toy.poison) if toy.poison else SoftmaxLoss(),
            guard=make_guard(toy, cfg),
            augment=BatchAugment(NUM_CLASSES, 1, mixes=True, mean=MEAN, whole=False) if toy.mixup else None,
            average=average,
            **common,
        ),
        schedule=build_schedule(cfg),
        train_loader=loader,
        train_sampler=sampler,
        val_loader=video_loader(1),
        num_val_videos=9,
        tester=Tester(model, views_per_batch=4, share_batches=True, **common),
        num_epochs=toy.epochs,
        val_freq=2,
        save_freq=1,
        save_steps=toy.save_steps,
        extras={"ema": average} if average else {},
        stop=stop or Stop(),
        display_freq=2,
        bad_videos=BadVideos(num_videos=toy.num_train, max_share=toy.max_bad_share),
        checkpointer=checkpointer,
        record=RunRecord(folder, start=state, num_steps=len(loader)),
    )
    return trainer, state


def make_guard(toy: Toy, cfg) -> Guard:
    folder = Path(toy.folder) / "replay"
    return Guard(
        policy=toy.nan_policy,
        max_skips=toy.nan_skips,
        max_loss=1e6,
        folder=folder,
        config=cfg.dump(),
        path_of=lambda index: f"/videos/{index}.mp4",
    )


def poisoned(poison: str):
    """The usual loss, times NaN where the toy says."""
    culprit, first, last = map(int, poison.split(","))
    usual, count = SoftmaxLoss(), iter(range(10_000))

    def loss(logits, labels):
        at = next(count)
        return usual(logits, labels) * (float("nan") if dist.rank() == culprit and first <= at <= last else 1.0)

    return loss


def recorded(folder: Path) -> list[dict[str, Any]]:
    """What the run recorded, without what depends on the clock and without the lines that tell of its parts."""
    varying = {"clips_per_s", "data_share", "eta_s", "time", "resident_mb"}
    entries = [entry for entry in read_entries(folder / METRICS_FILE) if entry["kind"] not in PART_KINDS]
    return [{key: value for key, value in entry.items() if key not in varying} for entry in entries]


def digest(model: nn.Module) -> str:
    """sha256 of all weights and buffers, by name."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


def main(cfg) -> None:
    torch.set_num_threads(1)
    toy = toy_of(cfg)
    fail_as_asked(toy.fail)
    install_kills(toy)
    (Path(toy.folder).parent / "started").write_text(str(os.getpid()))
    trainer = train(toy, cfg)
    tester = Tester(trainer.stepper.model, device=torch.device("cpu"), mean=MEAN, std=STD, views_per_batch=2)
    result = tester.run(video_loader(3, bad=(4,)), num_videos=9)
    everyone = dist.all_gather_objects(digest(trainer.stepper.model))
    if result is not None:
        torch.save({"weights": trainer.stepper.model.state_dict(), "digests": everyone}, Path(toy.folder) / "final.pth")
        np.savez(Path(toy.folder) / "scores.npz", scores=result.scores, labels=result.labels)


def train(toy: Toy, cfg) -> Trainer:
    """A whole run, as the command has it."""
    stop = Stop(max_hours=toy.max_hours)
    with stop.listening() if toy.stoppable else nullcontext():
        trainer, state = make_trainer(toy, cfg, stop)
        if toy.signal_at:
            send_signal(trainer, *map(int, toy.signal_at.split(",")))
        try:
            trainer.run(state)
        except Stopped:
            raise SystemExit(exit_status()) from None
    return trainer


def send_signal(trainer: Trainer, rank: int, epoch: int, step: int) -> None:
    """Lets the process `rank` send SIGTERM to itself there."""
    if dist.rank() != rank:
        return
    take, score = trainer.stepper.step, trainer.tester.run
    now = [0]

    def terminate():
        os.kill(os.getpid(), signal.SIGTERM)
        while not trainer.stop.asked:  # it comes in through a thread
            time.sleep(0.001)

    def step_or_die(batches, *, epoch: int, step: int):
        now[0] = epoch
        if (epoch, step) == place:
            terminate()
        return take(batches, epoch=epoch, step=step)

    def score_or_die(loader, **more):
        if place == (now[0], -1):
            terminate()
        return score(loader, **more)

    place = (epoch, step)
    trainer.stepper.step, trainer.tester.run = step_or_die, score_or_die


def fail_as_asked(fail: str) -> None:
    """Ends a rank badly while the others wait for it in a collective."""
    if fail == "user-all" or (fail == "user-1" and dist.rank() == 1):
        raise DataError("The list is empty; it must name a video.")
    if fail == "bug-1" and dist.rank() == 1:
        raise ZeroDivisionError("the bug of rank 1")
    if fail == "full-disk" and dist.is_main():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # writing beyond 2000 bytes fails, as on a full disk
    if fail == "kill-1" and dist.rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if fail:
        dist.barrier()


def install_kills(toy: Toy) -> None:
    """Arranges that this process is killed where the toy says."""
    if toy.kill_at:
        epoch, step = map(int, toy.kill_at.split(","))
        draw, victim = ToyClips.__getitem__, (epoch, step * toy.batch)

        def deadly(self, key):
            if (key.epoch, key.position) == victim:
                while epoch and not (Path(toy.folder) / f"checkpoints/epoch_{epoch:04d}.pth.json").exists():
                    time.sleep(0.001)  # it is written in the background
                os.kill(os.getpid(), signal.SIGKILL)
            return draw(self, key)

        ToyClips.__getitem__ = deadly
    if toy.kill_in_save:
        save, count = torch.save, iter(range(1, 1000))

        def half(content, file):
            save(content, file)
            if next(count) == toy.kill_in_save:
                file.flush()
                file.file.truncate(file.bytes // 2)
                time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)

        torch.save = half


if __name__ == "__main__":
    arguments = parse([f"folder={sys.argv[1]}", *sys.argv[2:]])
    launch(main, toy_config(arguments))
