"""A test that is killed, or asked to stop, goes on with the same command and leaves the same files."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from killed_test import results
from tool_runs import write_config

from vidrec import load_config
from vidrec.commands import test as test_command
from vidrec.engine.evaluation.partial import PartialScores
from vidrec.models.build import build_model

SCRIPT = str(Path(__file__).with_name("killed_test.py"))
GOING_ON = "going on with an unfinished test"


@pytest.fixture
def subject(demo_data, tmp_path):
    """The arguments of a test with one unreadable video, and the folder of its runs."""
    data = tmp_path / "data"
    shutil.copytree(demo_data, data)
    (data / (data / "val.txt").read_text().split()[8]).write_bytes(b"")
    path = write_config(tmp_path / "tiny.yaml", data, tmp_path / "runs")
    torch.manual_seed(0)
    torch.save(build_model(load_config(path)).state_dict(), tmp_path / "weights.pth")
    return ["--config-file", str(path), "CONFIG.MODEL.PRETRAINED_PATH", str(tmp_path / "weights.pth")], tmp_path / "runs"


def test_a_test_that_is_asked_to_stop_goes_on_in_the_same_run(subject, monkeypatch):
    arguments, runs = subject
    assert test_command.main([*arguments, "CONFIG.LOG.EXP_NAME", "undisturbed"]) == 3
    add = PartialScores.add

    def stop_at_the_sixth(self, *video, **stamp):
        add(self, *video, **stamp)
        if video[0] == 6:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)  # it comes in through a thread

    named = [*arguments, "CONFIG.LOG.EXP_NAME", "tiny_use_time"]
    monkeypatch.setattr(PartialScores, "add", stop_at_the_sixth)
    assert test_command.main(named) == 75
    (run,) = runs.glob("tiny_*")
    assert sorted(path.name for path in run.iterdir()) == ["eval.partial", "log.txt"]
    assert "stopped; the scores so far are kept" in (run / "log.txt").read_text()
    monkeypatch.undo()
    assert test_command.main([*named, "CONFIG.DATA.NUM_WORKERS", "2"]) == 3
    assert list(runs.glob("tiny_*")) == [run], "no new run was begun, though its name takes the start time"
    assert "going on with an unfinished test: 6 of 10 videos are scored" in (run / "log.txt").read_text()
    assert results(run / "eval") == results(runs / "undisturbed/eval")
    assert not (run / "eval.partial").exists()


def test_a_video_that_is_replaced_while_a_test_is_stopped_is_scored_anew(subject, tmp_path, monkeypatch):
    arguments, runs = subject
    first, last = (tmp_path / "data" / (tmp_path / "data/val.txt").read_text().split()[place] for place in (0, -2))
    add = PartialScores.add

    def stop_at_the_second(self, *video, **stamp):
        add(self, *video, **stamp)
        if video[0] == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)  # it comes in through a thread

    monkeypatch.setattr(PartialScores, "add", stop_at_the_second)
    assert test_command.main(arguments) == 75
    monkeypatch.undo()
    shutil.copy(last, first)
    assert test_command.main(arguments) == 3
    said = (runs / "run/log.txt").read_text()
    assert f"1 of the videos that were done have another size or time of change than then, and are done again; the first: {first}" in said
    assert test_command.main([*arguments, "CONFIG.LOG.EXP_NAME", "undisturbed"]) == 3
    assert results(runs / "run/eval") == results(runs / "undisturbed/eval")


@pytest.mark.slow
def test_a_test_killed_at_random_moments_leaves_the_files_of_one_that_was_not(subject):
    arguments, runs = subject
    assert test_command.main([*arguments, "CONFIG.LOG.EXP_NAME", "undisturbed"]) == 3
    draw, went_on = random.Random(5), 0
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, None):
        before = scored(runs)
        process = start([*arguments, "DDP_CONFIG.NPROC_PER_NODE", str(draw.choice((1, 2)))])
        if number is not None:
            wait_for(process, runs, before + draw.randint(0, 2))
            time.sleep(draw.uniform(0, 0.2))
            if process.poll() is None:
                os.killpg(process.pid, number)  # its own session: the loader processes too
        said = process.communicate(timeout=120)[1]
        went_on += GOING_ON in said
        assert before or GOING_ON not in said
        if process.returncode == 3:
            break  # on a fast machine before the last kill
    assert process.returncode == 3, said
    assert GOING_ON in said, "each run but the first had scores to go on with"
    assert went_on >= 2
    assert results(runs / "run/eval") == results(runs / "undisturbed/eval")
    assert not (runs / "run/eval.partial").exists()


def start(arguments: list[str]) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SLOWLY": "1"}
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(process: subprocess.Popen, runs: Path, count: int) -> None:
    """Until `count` videos are scored, the process is at its end, or a minute is over."""
    end = time.monotonic() + 60
    while process.poll() is None and scored(runs) < count and time.monotonic() < end:
        time.sleep(0.01)


def scored(runs: Path) -> int:
    """Files of scores, each of a video here."""
    return len(list(runs.glob("run/eval.partial/*/part_*_*.npz")))
