"""Kills processes of small runs with SIGKILL at random steps, and compares what they end with to a run that nobody disturbed."""

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import UserError

HEAD = "| kill | what | at step | training again after, s | weights |\n|---|---|---|---|---|"
EPOCHS, STEPS = 3, 24  # of a run in two processes: 8 steps an epoch
PATIENCE_S = 300
CONFIG = """
CONFIG:
  TRAIN: {EPOCH_NUM: 3, BATCH_SIZE: 3, OPTIMIZER: AdamW, LR: 0.01, SEED: 3}
  VAL: {FREQ: 0}
  DATA: {TRAIN_ANNO_PATH: {data}/train.txt, NUM_CLASSES: 8, CLIP_LEN: 8, CROP_SIZE: 64, SHORT_SIDE_SIZE: 64, KEEP_ASPECT_RATIO: True,
         FLIP_PROB: 0, NUM_WORKERS: 1}
  MODEL:
    BACKBONE: {TYPE: I3DResNet, STAGE_BLOCKS: [1, 1], BLOCK: basic, WIDTH: 16, STEM_TEMPORAL_KERNEL: 3, STEM_STRIDE: [1, 2, 2],
               POOL_STRIDE: [], TEMPORAL_KERNELS: [[3], [3]], TEMPORAL_POOLS: [1, 1]}
    HEAD: {TYPE: PoolHead, DROPOUT: 0.5}
    PRETRAINED_BASE: False
  LOG: {BASE_PATH: {runs}, SAVE_STEPS: 2, DISPLAY_FREQ: 1, LEVEL: WARNING}
"""


class Kill(NamedTuple):
    """One disturbed run. `seconds`: from the kill to the first step after it; `restarts`: attempts beyond the first."""

    what: str
    step: int
    seconds: float
    restarts: int
    equal: bool


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status, 1 where a run does not come back or ends with other weights."""
    parser = new_parser("soak_elastic.py", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs to disturb; 20 if not given")
    parser.add_argument("--agents", type=int, default=1, choices=(1, 2), help="1: one torchrun, a worker is killed; 2: an agent, too")
    parser.add_argument("--seed", type=int, default=0, help="of steps and victims; 0 if not given")
    args = parser.parse_args(argv)
    return run_command(lambda: soak_elastic(kills=args.kills, agents=args.agents, seed=args.seed))


def soak_elastic(*, kills: int, agents: int, seed: int) -> None:
    """Makes the runs and prints a line for each. Raises UserError where one ends with other weights."""
    if not Path("/proc/self/stat").is_file():
        raise UserError("Processes are found in /proc, which this system does not have; run this on Linux.")
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="vidrec-elastic-") as name:
        folder = Path(name)
        config = _prepare(folder)
        with _Run(config, folder / "runs/calm", agents) as run:
            run.wait()
        expected = _digest(folder / "runs/calm")
        print(HEAD, flush=True)
        found = []
        for number in range(1, kills + 1):
            found.append(_disturb(config, folder / f"runs/kill_{number}", rng, agents=agents, expected=expected))
            print(row(number, found[-1]), flush=True)
    times = sorted(kill.seconds for kill in found)
    print(f"\n{sum(kill.equal for kill in found)} of {kills} equal; back after {times[0]:.1f} to {times[-1]:.1f} s.", flush=True)
    if not all(kill.equal for kill in found):
        raise UserError("A disturbed run ended with other weights than the calm one; they must be the same. Report it with the table.")


def row(number: int, kill: Kill) -> str:
    """A line of the table, in Markdown."""
    equal = "equal" if kill.equal else "DIFFERENT"
    return f"| {number} | {kill.what} | {kill.step} | {kill.seconds:.1f} ({kill.restarts} restart) | {equal} |"


def _prepare(folder: Path) -> Path:
    """Writes data and config, and returns the latter's file."""
    from vidrec.commands.make_demo_data import DemoSet, make_demo_data

    make_demo_data(folder / "data", DemoSet(num_train=48, num_val=8, frames=24, size=64), workers=1)
    config = folder / "soak.yaml"
    config.write_text(CONFIG.replace("{data}", str(folder / "data")).replace("{runs}", str(folder / "runs")))
    return config


def _disturb(config: Path, folder: Path, rng: random.Random, *, agents: int, expected: str) -> Kill:
    step, rank = rng.randrange(1, STEPS - 6), rng.randrange(2)
    with _Run(config, folder, agents) as run:
        _until(lambda: _steps(folder) >= step, "the step did not come")
        killed_at, reached = time.time(), _steps(folder)
        what = run.kill(rank)
        run.wait()
    starts = [line["time"] for line in _lines(folder) if line["kind"] == "start"]
    again = [line["time"] for line in _lines(folder) if line["kind"] == "step" and line["time"] > starts[-1]]
    return Kill(what, reached, min(again) - killed_at, len(starts) - 1, _digest(folder) == expected)


class _Run:
    """A training run in two processes under one or two agents of torchrun, whose processes are all gone in the end."""

    def __init__(self, config: Path, folder: Path, agents: int):
        self._place = ["--standalone", "--nproc-per-node", "2"]
        if agents == 2:
            self._place = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "soak"]
            self._place += ["--rdzv-endpoint", f"127.0.0.1:{_free_port()}"]
        self._run = ["--max-restarts", "3", "-m", "vidrec", "train", "--config-file", str(config), "CONFIG.LOG.EXP_NAME", folder.name]
        self._environment = os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "OMP_NUM_THREADS": "1"}
        self._output = folder.with_name(f"{folder.name}.out")
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._agents = [self._start(node) for node in range(agents)]

    def _start(self, node: int) -> "subprocess.Popen[bytes]":
        """An agent; that of node 0 keeps the meeting point."""
        keep_alive = ["--rdzv-conf", f"keep_alive_interval=1,keep_alive_max_attempt=3,is_host={int(node == 0)}"]
        command = [sys.executable, "-m", "torch.distributed.run", *self._place, *(keep_alive if "--nnodes" in self._place else [])]
        with self._output.open("ab") as output:
            return subprocess.Popen([*command, *self._run], env=self._environment, stdout=output, stderr=output, start_new_session=True)

    def kill(self, rank: int) -> str:
        """Kills the worker of this rank; with two agents, the agent of node 1 and its worker, and starts the agent again. Says whom."""
        if len(self._agents) == 1:
            os.kill(_worker(self._agents[0].pid, rank), signal.SIGKILL)
            return f"worker {rank}"
        for process in (*_workers(self._agents[1].pid), self._agents[1].pid):
            os.kill(process, signal.SIGKILL)
        self._agents[1].wait()
        self._agents[1] = self._start(1)
        return "agent and worker"

    def wait(self) -> None:
        """Raises UserError where the run fails or does not end."""
        _until(lambda: self._failed() or all(agent.poll() == 0 for agent in self._agents), "the run did not end")
        if self._failed():
            raise UserError(f"A run failed; its last words are:\n{self._output.read_text()[-4000:]}")

    def _failed(self) -> bool:
        return any(agent.poll() for agent in self._agents)

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *raised: object) -> None:
        for agent in self._agents:
            for worker in (*_workers(agent.pid), agent.pid):
                if agent.poll() is None:
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
            agent.wait()


def _workers(agent: int) -> Iterator[int]:
    """The processes that an agent has started."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == agent:
                yield int(entry.name)


def _worker(agent: int, rank: int) -> int:
    wanted = f"RANK={rank}".encode()
    return next(pid for pid in _workers(agent) if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def _until(done: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise UserError(f"Within {PATIENCE_S} s {what}; on an idle machine it takes a tenth of that. Look for what else runs here.")
        time.sleep(0.005)


def _lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")] if path.exists() else []


def _steps(folder: Path) -> int:
    return sum(line["kind"] == "step" for line in _lines(folder))


def _digest(folder: Path) -> str:
    """sha256 of all weights and buffers of the last checkpoint."""
    from vidrec.engine.checkpoint import read_checkpoint

    found = hashlib.sha256()
    for name, tensor in sorted(read_checkpoint(folder / f"checkpoints/epoch_{EPOCHS:04d}.pth")["model"].items()):
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
