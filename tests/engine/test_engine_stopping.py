"""A run that is asked to stop finishes its step, saves, and goes on later as if nothing had happened."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from engine_toy import Toy, digest, make_trainer, recorded, send_signal, toy_config
from process_runs import ENVIRONMENT, PLAIN, TORCHRUN, final, run

from vidrec.engine.checkpoint import RunState
from vidrec.engine.stopping import EXIT_STOPPED, Agreement, Stop, Stopped, Wishes, exit_status, requeue


def train(folder, *, place=None, max_hours=0.0, **arguments):
    """Digest of a run in this process, or the message of Stopped; SIGTERM comes at `place`, an epoch and a step."""
    toy, stop = Toy(folder=str(folder), epochs=4, batch_norm=True, **arguments), Stop(max_hours=max_hours)
    trainer, state = make_trainer(toy, toy_config(toy), stop)
    with stop.listening():
        if place:
            send_signal(trainer, 0, *place)
        try:
            trainer.run(state)
        except Stopped as stopped:
            return str(stopped)
    return digest(trainer.stepper.model)


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_signal_ends_the_step_and_the_run_goes_on_to_the_same_bits(tmp_path, accumulate):
    whole = train(tmp_path / "whole", accumulate=accumulate)
    # steps 1 and 3 of epoch 2, the last step of an epoch with validation, and the first of the run
    for number, (epoch, step) in enumerate([(1, 1), (2, 6 // accumulate - 1), (0, 0)]):
        part = tmp_path / str(number)
        said = train(part, place=(epoch, step), accumulate=accumulate)
        file = f"epoch_{epoch:04d}_step_{step + 1:06d}.pth"
        assert said == f"after step {step + 1} of epoch {epoch + 1} (SIGTERM): {part}/checkpoints/{file}"
        assert train(part, resume="auto", accumulate=accumulate) == whole
        assert recorded(part) == recorded(tmp_path / "whole")


def test_a_signal_in_the_validation_leaves_it_to_the_next_start_where_it_comes_once(tmp_path):
    whole = train(tmp_path / "whole")
    said = train(tmp_path / "part", place=(1, -1))
    assert "after step 6 of epoch 2 (SIGTERM)" in said and said.endswith("epoch_0001_step_000006.pth")
    assert train(tmp_path / "part", resume="auto") == whole
    assert recorded(tmp_path / "part") == recorded(tmp_path / "whole")
    assert [line["epoch"] for line in recorded(tmp_path / "part") if line["kind"] == "val"] == [1, 3]


def test_a_signal_in_a_save_waits_for_it(tmp_path, monkeypatch):
    from vidrec.engine import checkpoint

    write = checkpoint.write_checkpoint

    def signal_within(path, content):
        if path.name == "epoch_0001.pth":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)
        write(path, content)

    whole = train(tmp_path / "whole")
    monkeypatch.setattr(checkpoint, "write_checkpoint", signal_within)
    assert "(SIGTERM)" in train(tmp_path / "part")
    assert (tmp_path / "part/checkpoints/epoch_0001.pth.json").exists()
    assert train(tmp_path / "part", resume="auto") == whole


def test_the_clock_stops_a_run_too(tmp_path):
    assert "after step 1 of epoch 1 (CONFIG.TRAIN.MAX_HOURS are over)" in train(tmp_path, max_hours=1e-9)
    assert train(tmp_path, resume="auto") == train(tmp_path / "whole")


def test_minutes_make_checkpoints_due_once_each(tmp_path):
    toy = Toy(folder=str(tmp_path))
    trainer, _ = make_trainer(toy, toy_config(toy))
    checkpointer = trainer.checkpointer
    assert not checkpointer.due()
    checkpointer._every_s, checkpointer._since = 60.0, time.monotonic() - 61
    assert checkpointer.due() and not checkpointer.due()
    checkpointer._since -= 61
    checkpointer.save([checkpointer.best_path], RunState(), model=trainer.stepper.model, optimizer=trainer.stepper.optimizer)
    assert not checkpointer.due(), "any save counts"
    checkpointer.finish()


def test_one_process_agrees_with_itself_at_once():
    agreement = Agreement()
    assert agreement.on(Wishes(False, True, False)) == (False, True, False)
    assert agreement.settled() == (False, False, False)


def test_both_signals_ask_and_what_was_there_before_comes_back():
    for number in (signal.SIGTERM, signal.SIGUSR1):
        before, stop = signal.getsignal(number), Stop()
        with stop.listening():
            os.kill(os.getpid(), number)
            wait_for(lambda stop=stop: stop.asked)
            os.kill(os.getpid(), number)  # so soon after the first it is the same request
            time.sleep(0.05)
        assert (stop.reason, signal.getsignal(number)) == (signal.Signals(number).name, before)


HANGS = """
import ctypes
from vidrec.engine import stopping
stopping.ONE_REQUEST_S = 0.0
with stopping.Stop().listening():
    print("ready", flush=True)
    for _ in range(100):
        ctypes.CDLL(None).usleep(900000)  # native code, so that no handler of Python runs meanwhile
    ctypes.CDLL(None).sleep(60)
"""


def test_a_second_signal_ends_a_process_that_hangs():
    with subprocess.Popen([sys.executable, "-c", HANGS], env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM


def test_exit_status_is_75_but_for_a_torchrun_that_would_start_again(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_MAX_RESTARTS", raising=False)
    assert exit_status() == EXIT_STOPPED == 75
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert exit_status() == 0
    monkeypatch.setenv("VIDREC_AGENT", "1")
    assert exit_status() == 75


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A stub of SLURM's command that writes down what it is told and ends with the status in the file `status`."""
    script = tmp_path / "bin/scontrol"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\necho no such job >&2\nexit $(cat {tmp_path}/status)\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    return tmp_path


@pytest.mark.parametrize(
    ("status", "said"),
    [("0", "job 4711 is in the queue again"), ("1", "`scontrol requeue 4711` ended with status 1 (no such job); start the run by hand.")],
)
def test_a_job_of_slurm_is_put_into_the_queue_again(scontrol, caplog, status, said):
    caplog.set_level("INFO", "vidrec")
    (scontrol / "status").write_text(status)
    requeue()
    assert (scontrol / "told").read_text() == "requeue 4711\n"
    assert [record.message for record in caplog.records] == [said]


def test_what_is_no_job_of_slurm_is_said(monkeypatch, caplog):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    requeue()
    assert "CONFIG.TRAIN.REQUEUE is True and SLURM_JOB_ID is not set: the run is not put into a queue again" in caplog.text
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("PATH", "/nowhere")
    requeue()
    assert "there is no scontrol on PATH" in caplog.text


TWO = {"processes": 2, "epochs": 4, "stoppable": True, "batch_norm": True}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "whole"
    assert run(PLAIN, folder, **TWO).returncode == 0
    return final(folder)["digests"]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "file"), [("1,1,1", "epoch_0001_step_000003.pth"), ("1,1,-1", "epoch_0001_step_000003.pth")])
def test_a_signal_to_one_rank_stops_both_at_the_same_step(tmp_path, undisturbed, place, file):
    """3 steps an epoch. The wish of a step is known to all after the next one."""
    part = tmp_path / "part"
    done = run(PLAIN, part, **TWO, signal_at=place)
    assert done.returncode == 75 and "Traceback" not in done.stderr
    assert (part / "checkpoints" / file).exists() and not (part / "checkpoints/epoch_0002.pth").exists()
    assert run(PLAIN, part, **TWO, resume="auto").returncode == 0
    assert final(part)["digests"] == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_launcher_or_to_all_saves_and_leaves_no_process(tmp_path, number, group):
    command = [*PLAIN, str(tmp_path / "run"), "processes=2", "epochs=100000", "stoppable=True"]
    with subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True) as parent:
        wait_for(lambda: (tmp_path / "run/checkpoints/epoch_0001.pth").exists())
        os.killpg(parent.pid, number) if group else parent.send_signal(number)
        assert parent.wait(60) == 75
        with pytest.raises(ProcessLookupError):
            for _ in range(300):
                os.killpg(parent.pid, 0)
                time.sleep(0.1)
    newest = max(path.name for path in (tmp_path / "run/checkpoints").glob("epoch_*.pth"))
    assert (tmp_path / "run/checkpoints" / f"{newest}.json").exists()


@pytest.mark.slow
def test_torchrun_ends_with_1_whatever_its_processes_end_with(tmp_path):
    done = run(TORCHRUN, tmp_path / "part", **TWO, signal_at="0,1,1")
    assert done.returncode == 1 and "exitcode  : 75" in done.stderr
    assert (tmp_path / "part/checkpoints/epoch_0001_step_000003.pth").exists()


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_in_one_with_the_same_steps(tmp_path):
    plain = {"epochs": 4, "dropout": 0.0, "stoppable": True}
    assert run(PLAIN, tmp_path / "whole", **plain, processes=2).returncode == 0
    assert run(PLAIN, tmp_path / "part", **plain, processes=2, signal_at="0,1,0").returncode == 75
    done = run(PLAIN, tmp_path / "part", **plain, processes=1, resume="auto")
    assert done.returncode == 0, done.stderr
    whole, part = final(tmp_path / "whole")["weights"], final(tmp_path / "part")["weights"]
    for name, tensor in whole.items():
        torch.testing.assert_close(part[name], tensor, rtol=1e-5, atol=1e-6)
