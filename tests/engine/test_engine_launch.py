"""Real processes: both ways of launching, and how they end when one of them fails."""

import logging
import os
import threading

import numpy as np
import pytest
import torch
from engine_toy import MEAN, STD, Toy, ToyNet, make_trainer, toy_config, video_loader
from process_runs import PLAIN, TORCHRUN, final, run

from vidrec.config.defaults import get_cfg_defaults
from vidrec.engine import heartbeat, tester
from vidrec.engine import launch as launch_module
from vidrec.engine.launch import exit_with, launch
from vidrec.utils.errors import ConfigError, DataError

DATA_ERROR = "The list is empty; it must name a video."


def assert_scores_are_those_of_one_process(folder):
    """Bit for bit: the same views of the same video enter the network together, whichever process it is on."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    weights = final(folder)["weights"]
    model = ToyNet(0.0, batch_norm="norm.weight" in weights)
    model.load_state_dict(weights)
    scorer = tester.Tester(model, device=torch.device("cpu"), mean=MEAN, std=STD, views_per_batch=2)
    expected = scorer.run(video_loader(3, bad=(4,)), num_videos=9)
    torch.set_num_threads(threads)
    stored = np.load(folder / "scores.npz")
    assert np.array_equal(stored["scores"], expected.scores, equal_nan=True)
    assert np.array_equal(stored["labels"], expected.labels)


def test_two_processes_of_torchrun_equal_one_with_twice_the_batch(tmp_path):
    done = run(TORCHRUN, tmp_path / "two", processes=2, batch=4, dropout=0.0)
    assert done.returncode == 0, done.stderr
    toy = Toy(folder=str(tmp_path / "one"), batch=8, dropout=0.0)
    trainer, state = make_trainer(toy, toy_config(toy))
    trainer.run(state)
    found = final(tmp_path / "two")
    assert len(found["digests"]) == 2 and len(set(found["digests"])) == 1
    for name, tensor in trainer.stepper.model.state_dict().items():
        torch.testing.assert_close(found["weights"][name], tensor, rtol=1e-5, atol=1e-6)
    assert_scores_are_those_of_one_process(tmp_path / "two")


@pytest.mark.slow
def test_plain_python_starts_two_processes_with_equal_weights_and_statistics(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, batch_norm=True)
    assert (done.returncode, done.stderr) == (0, "")
    digests = final(tmp_path)["digests"]
    assert len(digests) == 2 and len(set(digests)) == 1
    checkpoint = torch.load(tmp_path / "checkpoints/epoch_0003.pth", weights_only=True)
    assert checkpoint["world_size"] == 2
    assert "norm.running_mean" in checkpoint["model"], "plain names, no module."
    assert_scores_are_those_of_one_process(tmp_path)


def test_an_error_of_all_ranks_of_torchrun_is_said_once(tmp_path):
    done = run(TORCHRUN, tmp_path, fail="user-all")
    assert done.returncode == 1
    assert done.stderr.count(DATA_ERROR) == 1
    assert "DataError" not in done.stderr


def test_an_error_of_one_rank_ends_the_run_with_one_message(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, fail="user-1")
    assert (done.returncode, done.stderr) == (1, DATA_ERROR + "\n")


@pytest.mark.parametrize("error", [DataError(DATA_ERROR), ZeroDivisionError(), SystemExit(1)])
def test_no_heartbeat_outlives_the_work_of_a_process(monkeypatch, error):
    def beating():
        return [thread for thread in threading.enumerate() if thread.name == "vidrec-heartbeat"]

    def fail(cfg):
        assert len(beating()) == 1
        raise error

    store = torch.distributed.HashStore()
    monkeypatch.setattr(launch_module, "_join_group", lambda ddp: heartbeat.start(store, wait_s=60, straggler_steps=0))
    monkeypatch.setattr(launch_module, "PATIENCE_S", 0)
    with pytest.raises(SystemExit) as ended:
        launch_module._work(fail, get_cfg_defaults())
    assert ended.value.code == 1 and beating() == []


def test_a_killed_rank_ends_the_run_with_one_message(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, fail="kill-1")
    assert done.returncode == 1
    assert done.stderr.startswith("Process 1 of the run was ended by SIGKILL; the others were stopped. The system does this when")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_ends_all_ranks_with_one_message(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, fail="full-disk")
    assert done.returncode == 1
    assert done.stderr.count("epoch_0001.pth cannot be written") == 1 and "Traceback" not in done.stderr
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_bug_of_one_rank_shows_its_traceback_only(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, fail="bug-1")
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("ZeroDivisionError: the bug of rank 1\n")


def test_one_process_runs_here_whatever_the_yaml_says_of_other_machines():
    cfg, seen = get_cfg_defaults(), []
    cfg.DDP_CONFIG.DIST_URL, cfg.DDP_CONFIG.WORLD_URLS, cfg.DDP_CONFIG.NPROC_PER_NODE = "tcp://172.31.72.195:10001", ["172.31.72.195"], 1
    launch(lambda given: seen.append((os.getpid(), torch.distributed.is_initialized(), given is cfg)), cfg)
    assert seen == [(os.getpid(), False, True)]


def test_an_error_here_is_printed_and_exits_with_1(capsys):
    def fail(cfg):
        raise DataError(DATA_ERROR)

    cfg = get_cfg_defaults()
    cfg.DDP_CONFIG.NPROC_PER_NODE = 1
    with pytest.raises(SystemExit) as ended:
        launch(fail, cfg)
    assert (ended.value.code, capsys.readouterr().err) == (1, DATA_ERROR + "\n")


def test_a_node_rank_outside_the_nodes_is_refused(capsys):
    cfg = get_cfg_defaults()
    cfg.DDP_CONFIG.WORLD_SIZE, cfg.DDP_CONFIG.WORLD_RANK, cfg.DDP_CONFIG.AUTO_RANK_MATCH = 2, 2, False
    with pytest.raises(SystemExit):
        launch(print, cfg)
    assert "The rank of this node is 2; with DDP_CONFIG.WORLD_SIZE 2 it must be from 0 to 1." in capsys.readouterr().err


def test_an_error_of_the_command_line_is_printed_once_under_torchrun(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit) as ended:
        exit_with(ConfigError(["X is 1; it must be 2."]))
    assert (ended.value.code, capsys.readouterr().err) == (1, "The config has 1 mistake:\n  - X is 1; it must be 2.\n")


def test_what_the_yaml_says_of_the_world_is_said_once(tmp_path):
    from vidrec.engine.log import close_logging, setup_logging

    cfg = get_cfg_defaults()
    cfg.DDP_CONFIG.NPROC_PER_NODE = 1
    launch(lambda cfg: setup_logging(tmp_path), cfg)
    logging.getLogger("vidrec").info("go")
    close_logging()
    texts = [line.split(" ", 3)[-1] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert texts == ["The run has 1 process; DDP_CONFIG.GPU_WORLD_SIZE says 8, but the devices present decide.", "go"]
