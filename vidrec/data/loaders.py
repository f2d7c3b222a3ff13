"""Loader processes: how many, how they start, and how a mistake that a user can mend comes out of them."""

import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from vidrec.data.datasets import ClipSample, collate_clips
from vidrec.data.mixing import BatchAugment
from vidrec.data.samplers import TrainSampler
from vidrec.data.stop_signals import outlive
from vidrec.data.watch import Board, join
from vidrec.utils.cores import usable_cores
from vidrec.utils.errors import DataError, UserError


class LoaderDied(DataError):
    """A loader process ended before its time.

    Attributes:
        path: what it was reading; '' between two videos.
        reason: how it ended.
    """

    def __init__(self, message: str, path: str = "", reason: str = ""):
        super().__init__(message)
        self.path, self.reason = path, reason


class VideoLoader(DataLoader):
    """A DataLoader that raises a worker's UserError as it is, and LoaderDied with the file for a worker that died."""

    board: Board  # what each worker is reading

    def __iter__(self) -> Iterator[Any]:
        iterator = super().__iter__()
        while True:
            try:
                batch = next(iterator)
            except StopIteration:
                return
            except (RuntimeError, OSError, EOFError) as error:  # the last two: a batch on its way from a worker that died
                dead = _find_dead(getattr(iterator, "_workers", ()), seconds=0.0 if isinstance(error, RuntimeError) else 5.0)
                if dead is None:
                    raise
                number, worker = dead
                path = self.board.read(number)
                message = _death_text(worker.exitcode, path, self.board.limit)
                raise LoaderDied(message, path, _how_it_ended(worker.exitcode, self.board.limit)) from error
            if isinstance(batch, UserError):
                raise batch
            yield batch

    def check_worker_number_rationality(self) -> None:
        """Says nothing: worker_count keeps to the cores unless a user asks for more, and who asks for more means it."""


def make_loader(
    dataset: Dataset,
    sampler: Sampler,
    *,
    batch_size: int | None,
    num_workers: int,
    pin_memory: bool = False,
    read_timeout: float = 0.0,
    augment: BatchAugment | None = None,
) -> VideoLoader:
    """A loader over a dataset of this package.

    Args:
        batch_size: training samples in a batch (ClipBatch), the smallest where the sampler's batches differ; None: items as they are
            (EvalVideo).
        num_workers: loader processes; 0 loads in this one. Never more than there are batches. Those of a training loader live from
            epoch to epoch, those of any other end with each pass.
        read_timeout: seconds that a loader process may take for one video before the run ends with its name; 0: no limit.
        augment: what is done to training batches in the loader processes.
    """
    training = batch_size is not None
    workers = min(num_workers, sampler.max_batches if training else len(sampler))
    board = Board(workers, limit=read_timeout)
    loader = VideoLoader(
        _Guarded(dataset),
        **({"batch_sampler": _Batches(sampler)} if training else {"sampler": sampler, "batch_size": None}),
        collate_fn=partial(_collate, augment=augment) if training else _as_is,
        num_workers=workers,
        pin_memory=pin_memory,
        persistent_workers=training and workers > 0,
        worker_init_fn=partial(_start_worker, board),
        multiprocessing_context=_context() if workers else None,
    )
    loader.board = board
    return loader


def worker_count(num_workers: int, *, local_world_size: int) -> int:
    """Loader processes of one process: as asked for, or, for 0, its share of the cores that it may use, at least one.

    Example: 0 on 16 cores with 4 processes on the machine -> 4
    """
    return num_workers or max(1, usable_cores() // local_world_size)


def _context() -> multiprocessing.context.BaseContext:
    """Workers are forked from a clean server, not from this process.

    Here run threads of torch, of gloo or NCCL and of CUDA; a fork copies their locks in whatever state they are, and the child may wait
    for ever (Python 3.14 gave up fork as the default for this). The server imports what workers need once for all loaders of this
    process (about 2 s, mostly torch) and forks each worker from there, where `spawn` would import everything in each. Arrays of the table
    travel in shared memory.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vidrec.data.loader_server", "vidrec.data.loaders", "vidrec.data.decoders.auto", "cv2"])
    return context


def _start_worker(board: Board, worker_id: int) -> None:
    """One thread per worker: the workers are the parallelism. OpenCV is held to one where it is imported, decoders where they open."""
    outlive(multiprocessing.parent_process().pid)
    join(board, worker_id)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_trainer, daemon=True).start()


def _end_with_trainer() -> None:
    """Ends this worker when the process that it loads for is gone, however that died.

    torch's own watch looks at the parent, which is the fork server here; and the server lives as long as a worker does.
    """
    multiprocessing.parent_process().join()
    os._exit(1)


class _Guarded(Dataset):
    """Returns a UserError instead of raising it, so that it passes from a worker to the loader whole."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.dataset[key]
        except UserError as error:
            return error

    def __getitems__(self, keys: list[Any]) -> list[Any]:
        """The items of a batch, fetched together where the dataset can do that."""
        if not hasattr(self.dataset, "__getitems__"):
            return [self[key] for key in keys]
        try:
            return self.dataset.__getitems__(keys)
        except UserError as error:
            return [error]


def _find_dead(workers: Sequence[Any], *, seconds: float) -> tuple[int, Any] | None:
    """A loader process that is gone, with its number. Its end may be known only a while after its connections broke: wait so long."""
    if not workers:
        return None
    ended = multiprocessing.connection.wait([worker.sentinel for worker in workers], timeout=seconds)
    return next(((number, worker) for number, worker in enumerate(workers) if worker.sentinel in ended), None)


def _death_text(exitcode: int | None, path: str, limit: float) -> str:
    """Why a loader process is gone, and with which file."""
    while_reading = f" while it read {path}" if path else " between two videos"
    if exitcode == -getattr(signal, "SIGALRM", 0):
        return (
            f"{path} took longer than CONFIG.DATA.READ_TIMEOUT, {limit:g} seconds, to read; a loader process was ended there. Take it off "
            "the list (tools/check_dataset.py finds such files), or raise the limit if the disk is slow."
        )
    return (
        f"A loader process {_how_it_ended(exitcode, limit)}{while_reading}; the run cannot go on without it. Lower CONFIG.DATA.NUM_WORKERS "
        "if memory is short, or take the file off the list; a run is resumed with CONFIG.TRAIN.RESUME auto."
    )


def _how_it_ended(exitcode: int | None, limit: float) -> str:
    if exitcode == -getattr(signal, "SIGALRM", 0):
        return f"took longer than CONFIG.DATA.READ_TIMEOUT, {limit:g} seconds"
    memory = " (the system does so when memory runs out)" if exitcode == -9 else ""
    return f"was killed by signal {-exitcode}{memory}" if exitcode and exitcode < 0 else f"ended with exit code {exitcode}"


class _Batches(Sampler):
    """The batches of a training sampler, as a DataLoader asks for them; their number is that of the chosen epoch."""

    def __init__(self, sampler: TrainSampler):
        self._sampler = sampler

    def __len__(self) -> int:
        return self._sampler.num_batches

    def __iter__(self) -> Iterator[Any]:
        return self._sampler.batches()


def _collate(samples: list[ClipSample | UserError], augment: BatchAugment | None) -> Any:
    mistakes = [sample for sample in samples if isinstance(sample, UserError)]
    if mistakes:
        return mistakes[0]
    batch = collate_clips(samples)
    if augment is None:
        return batch
    clips, labels = augment(batch.clips, batch.labels, batch.plans)
    return batch._replace(clips=clips, labels=labels)


def _as_is(item: Any) -> Any:
    return item
