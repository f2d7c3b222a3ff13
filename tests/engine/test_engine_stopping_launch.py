"""Signals to the launcher: they reach its processes, and nothing is left behind."""

import os
import signal
import subprocess
import time

import pytest
from process_runs import ENVIRONMENT, PLAIN


@pytest.mark.slow
@pytest.mark.parametrize("restarts", [0, 3])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_command_ends_its_processes_for_good(tmp_path, number, restarts):
    command = [*PLAIN, str(tmp_path), "processes=2", "epochs=100000", f"restarts={restarts}"]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True) as parent:
        _wait_for(tmp_path / "checkpoints/epoch_0001.pth")
        parent.send_signal(number)
        assert parent.wait(60) == 128 + number
        with pytest.raises(ProcessLookupError):
            _wait_until_gone(parent.pid)


def _wait_for(path):
    deadline = time.monotonic() + 90
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)


def _wait_until_gone(session):
    """Raises ProcessLookupError once no process of the session's group is left."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        os.killpg(session, 0)
        time.sleep(0.1)
