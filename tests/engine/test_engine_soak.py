"""Runs that are killed at random moments, many of them, and go on to the bits of the run that nobody disturbed.

As a script it prints the figures of docs/reliability.md: python tests/engine/test_engine_soak.py [RUNS]
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as distributed
from engine_toy import Toy, digest, make_trainer, toy_config

RUNS = 20
PLAIN = {"epochs": 4, "batch_norm": True, "save_steps": 1}
ALL = PLAIN | {"accumulate": 2, "ema": 0.9, "mixup": True, "num_train": 48}
CASES = [(1, PLAIN), (1, ALL), (2, PLAIN), (2, ALL)]


@dataclass
class Tally:
    """What happened to the runs of a case; `in_save`: kills that left a file half written."""

    runs: int = 0
    equal: int = 0
    kills: int = 0
    in_save: int = 0
    seconds: float = 0.0


class Attempt:
    """The processes of one start of a run, forked from this one, which has imported everything."""

    def __init__(self, folder: Path, processes: int, arguments: dict):
        self.folder, self.processes, self.arguments = folder, processes, arguments
        self.store = Path(tempfile.mktemp(dir=folder.parent))
        self.pids = [self._fork(rank) for rank in range(processes)]

    def _fork(self, rank: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            self._run(rank)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _run(self, rank: int) -> None:
        torch.set_num_threads(1)
        if self.processes > 1:
            store = distributed.FileStore(str(self.store), self.processes)
            distributed.init_process_group("gloo", store=store, rank=rank, world_size=self.processes)
        toy = Toy(folder=str(self.folder), resume="auto", processes=self.processes, **self.arguments)
        trainer, state = make_trainer(toy, toy_config(toy))
        trainer.run(state)
        average = trainer.stepper.average
        found = digest(trainer.stepper.model) + (digest(average.model) if average else "")
        (self.folder.parent / f"{self.folder.name}.{rank}").write_text(found)

    def wait(self) -> list[int]:
        """Exit codes of all processes, those ended by a signal negative."""
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self.pids]

    def kill(self, moments: random.Random) -> bool:
        """SIGKILL to all, in a random order and up to 20 ms apart; whether any was still running."""
        for pid in moments.sample(self.pids, len(self.pids)):
            os.kill(pid, signal.SIGKILL)  # a process that has ended is there until it is waited for
            time.sleep(moments.uniform(0, 0.02) if self.processes > 1 else 0)
        return any(code == -signal.SIGKILL for code in self.wait())


def soak(folder: Path, processes: int, arguments: dict, *, runs: int) -> Tally:
    """Kills each run once, and once more if it is still running then, and compares what it ends with."""
    warm_up(folder / "warm")
    tally, moments, began = Tally(runs=runs), random.Random(processes), time.perf_counter()
    expected, duration = undisturbed(folder / "whole", processes, arguments)
    for number in range(runs):
        run = folder / str(number)
        while not kill(run, processes, arguments, within=duration, moments=moments, tally=tally):
            shutil.rmtree(run)  # it was faster
        kill(run, processes, arguments, within=duration, moments=moments, tally=tally)
        assert Attempt(run, processes, arguments).wait() == [0] * processes
        tally.equal += results(run, processes) == expected
    tally.seconds = round(time.perf_counter() - began, 1)
    return tally


def kill(run: Path, processes: int, arguments: dict, *, within: float, moments: random.Random, tally: Tally) -> bool:
    """Starts a run, kills it at a random moment and says whether it was still running."""
    attempt = Attempt(run, processes, arguments)
    time.sleep(moments.uniform(0.05, 0.8) * within)
    killed = attempt.kill(moments)
    tally.kills += killed
    tally.in_save += killed and any((run / "checkpoints").glob("*.tmp.*"))
    return killed


def warm_up(folder: Path) -> None:
    """Imports here what a run imports late, so that no attempt has to."""
    toy = Toy(folder=str(folder), **ALL)
    trainer, state = make_trainer(toy, toy_config(toy))
    trainer.run(state)


def undisturbed(folder: Path, processes: int, arguments: dict) -> tuple[list[str], float]:
    """What a run ends with on each process, and the seconds that it takes."""
    began = time.perf_counter()
    assert Attempt(folder, processes, arguments).wait() == [0] * processes
    return results(folder, processes), time.perf_counter() - began


def results(folder: Path, processes: int) -> list[str]:
    return [(folder.parent / f"{folder.name}.{rank}").read_text() for rank in range(processes)]


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "arguments"), CASES, ids=["one", "one-all", "two", "two-all"])
def test_killed_runs_end_with_the_bits_of_the_undisturbed_run(tmp_path, processes, arguments):
    tally = soak(tmp_path, processes, arguments, runs=RUNS)
    assert tally.equal == tally.runs == RUNS
    assert tally.kills >= RUNS and tally.in_save > 0


if __name__ == "__main__":
    for processes, arguments in CASES:
        with tempfile.TemporaryDirectory() as base:
            print(processes, arguments, asdict(soak(Path(base), processes, arguments, runs=int((sys.argv[1:] or [RUNS])[0]))), flush=True)
