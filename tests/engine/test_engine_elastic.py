"""Processes that die and are started again, and torchrun that could not do it."""

import sys

import pytest
from process_runs import ENVIRONMENT, PLAIN, TOY, final, run

from vidrec.commands.runs import load_run_config
from vidrec.config.defaults import get_cfg_defaults
from vidrec.engine import launch
from vidrec.utils.errors import ConfigError

RESTARTING = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "2", TOY]


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_weights_are_those_of_an_undisturbed_run(tmp_path):
    done = run(PLAIN, tmp_path / "killed", processes=2, crash="1,1,1", restarts=2, resume="auto")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed/crashed").exists()
    done = run(PLAIN, tmp_path / "whole", processes=2)
    assert done.returncode == 0, done.stderr
    assert final(tmp_path / "killed")["digests"] == final(tmp_path / "whole")["digests"]


@pytest.mark.slow
def test_more_failures_than_restarts_end_the_run(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, fail="kill-1", restarts=1)
    assert done.returncode == 1
    assert done.stderr.count("Process 1 of the run was ended by SIGKILL; the others were stopped.") == 1


def test_restarts_through_one_store_are_refused(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "2")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    with pytest.raises(ConfigError, match="torchrun runs with --max-restarts 2 and shares one store between attempts"):
        launch._join_group(get_cfg_defaults().DDP_CONFIG)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "False")
    launch._refuse_shared_store()


@pytest.mark.slow
def test_torchrun_that_restarts_through_one_store_is_refused(tmp_path):
    environment = {key: value for key, value in ENVIRONMENT.items() if key != launch.OWN_PORT}
    done = run(RESTARTING, tmp_path, env=environment)
    assert done.returncode == 1
    assert "torchrun runs with --max-restarts 2 and shares one store between attempts" in done.stderr
    assert "Say `export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1` before torchrun" in done.stderr


def test_a_run_that_torchrun_restarts_needs_a_name_of_its_own(tmp_path, monkeypatch):
    config = tmp_path / "run.yaml"
    config.write_text("CONFIG: {LOG: {EXP_NAME: toy_use_time}, MODEL: {NAME: i3d_resnet50_v1_kinetics400}}")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.raises(ConfigError, match=r"EXP_NAME is 'toy_use_time', a new folder at every start, and torchrun runs with --max"):
        load_run_config(str(config), [])
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    assert load_run_config(str(config), []).CONFIG.LOG.EXP_NAME.startswith("toy_2")


def test_the_agent_of_one_machine_and_of_several():
    ddp = get_cfg_defaults().DDP_CONFIG
    ddp.MAX_RESTARTS, ddp.JOIN_TIMEOUT = 3, 7.0
    alone = launch._agent_options(ddp, 2)
    assert (alone["max_restarts"], alone["min_nodes"], alone["max_nodes"], alone["rdzv_backend"]) == (3, 1, 1, "c10d")
    ddp.WORLD_SIZE, ddp.WORLD_RANK, ddp.AUTO_RANK_MATCH, ddp.DIST_URL = 2, 1, False, "tcp://127.0.0.1:10001"
    several = launch._agent_options(ddp, 4)
    assert (several["rdzv_endpoint"], several["local_addr"], several["nproc_per_node"]) == ("127.0.0.1:10001", "127.0.0.1", 4)
    assert several["rdzv_configs"]["is_host"] is False and several["rdzv_configs"]["join_timeout"] == 7.0
