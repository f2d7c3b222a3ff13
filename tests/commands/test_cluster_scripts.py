"""tools/slurm_train.sh and tools/ssh_train.sh with srun, scontrol and ssh that run everything on this machine."""

import os
import signal
import subprocess
import sys
import time

import pytest
from cluster_stubs import JOB, two_nodes
from tool_runs import ROOT

from vidrec.engine.checkpoint import read_checkpoint
from vidrec.engine.stopping import EXIT_STOPPED


@pytest.fixture
def cluster(tmp_path):
    """The environment of a job on two nodes, which are both this machine."""
    own = {"CALLS": str(tmp_path / "calls"), "PYTHON": sys.executable, "EXP_NAME": "run", "SLURM_SUBMIT_DIR": str(ROOT)}
    hosts = {"HOSTS": "127.0.0.1 localhost", "SSH": str(tmp_path / "bin/ssh")}
    return os.environ | {"OMP_NUM_THREADS": "1"} | two_nodes(tmp_path / "bin") | JOB | own | hosts


def start(script, environment, *arguments):
    command = ["bash", str(ROOT / "tools" / script), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")


def wait_for(path):
    deadline = time.monotonic() + 150
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


@pytest.mark.slow
def test_slurm_trains_on_both_nodes(cluster, config, tmp_path):
    running = start("slurm_train.sh", cluster, "--config-file", config)
    said = running.communicate(timeout=240)[0]
    assert running.returncode == 0, said
    assert read_checkpoint(tmp_path / "runs/run/checkpoints/epoch_0002.pth")["world_size"] == 2


@pytest.mark.slow
def test_slurm_saves_and_requeues_when_the_time_is_nearly_over(cluster, config, tmp_path):
    running = start("slurm_train.sh", cluster, "--config-file", config, "CONFIG.TRAIN.EPOCH_NUM", "5000", "CONFIG.VAL.FREQ", "0")
    wait_for(tmp_path / "runs/run/checkpoints/epoch_0001.pth")
    running.send_signal(signal.SIGUSR1)
    said = running.communicate(timeout=120)[0]
    assert running.returncode == 0 and "job 77 goes back into the queue" in said, said
    assert (tmp_path / "calls").read_text() == "requeue 77\n"
    assert "stopped" in (tmp_path / "runs/run/log.txt").read_text()


@pytest.mark.slow
def test_ssh_trains_on_both_hosts_and_hands_signals_on(cluster, config, tmp_path):
    keys = ("CONFIG.TRAIN.EPOCH_NUM", "5000", "CONFIG.VAL.FREQ", "0", "DDP_CONFIG.NPROC_PER_NODE", "1", "CONFIG.LOG.EXP_NAME", "run")
    running = start("ssh_train.sh", cluster, "--config-file", config, *keys)
    wait_for(tmp_path / "runs/run/checkpoints/epoch_0001.pth")
    running.send_signal(signal.SIGUSR1)
    said = running.communicate(timeout=120)[0]
    assert running.returncode == EXIT_STOPPED, said
    assert read_checkpoint(tmp_path / "runs/run/checkpoints/epoch_0001.pth")["world_size"] == 2


def test_ssh_names_the_host_that_does_not_answer_and_the_other_the_node_it_misses(cluster, config):
    running = start("ssh_train.sh", cluster | {"HOSTS": "127.0.0.1 gone", "JOIN_TIMEOUT": "3"}, "--config-file", config)
    said = running.communicate(timeout=120)[0]
    assert running.returncode == 1
    assert "node 1 of 2 (gone) ended with status 255; the nodes meet at tcp://127.0.0.1:" in said
    assert "node 1 of 2 did not come to 127.0.0.1:" in said and "within 3 s; node 0 (" in said


@pytest.mark.parametrize(("script", "missing"), [("ssh_train.sh", "HOSTS"), ("slurm_train.sh", "SLURM_JOB_ID")])
def test_a_script_says_what_it_needs(cluster, script, missing):
    running = start(script, {key: value for key, value in cluster.items() if key != missing}, "--config-file", "x.yaml")
    said = running.communicate(timeout=30)[0]
    assert running.returncode != 0 and f"{missing}: " in said and "--config-file F" in said
