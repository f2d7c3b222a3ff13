"""Tasks in processes that may hang or die."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidrec.utils.errors import UserError
from vidrec.utils.killable import run_killable


def nothing():
    pass


def fail_to_start():
    os._exit(7)


def act(task):
    """What a task says: a number to square, or how to go wrong."""
    if task == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    if task == "exit":
        os._exit(139)
    if task == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "mistake":
        raise KeyError("no such thing")
    return task * task, os.getpid()


def run(tasks, *, workers=2, timeout=20.0, setup=nothing):
    return run_killable(act, tasks, workers=workers, timeout=timeout, setup=setup, preload=[])


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


def test_each_task_that_goes_wrong_costs_itself_only():
    tasks = [1, "exit", 2, "segfault", 3, "hang", 4, 5, "hang", 6]
    started = time.monotonic()
    outcomes = {(outcome.task, outcome.end): outcome for outcome in run(tasks, timeout=1.0)}
    assert time.monotonic() - started < 20
    done = {task: outcome.result[0] for (task, end), outcome in outcomes.items() if end == "done"}
    assert done == {1: 1, 2: 4, 3: 9, 4: 16, 5: 25, 6: 36}
    assert outcomes["exit", "died"].exit_code == 139
    assert outcomes["segfault", "died"].exit_code == -signal.SIGSEGV
    assert ("hang", "hung") in outcomes and len(outcomes) == 9


def test_no_process_is_left():
    processes = [outcome.result[1] for outcome in run([1, 2, 3])]
    assert processes and not any(map(alive, processes))
    unfinished = run([1, "hang"], timeout=60.0)
    process = next(unfinished).result[1]
    unfinished.close()
    assert not alive(process)
    assert multiprocessing.active_children() == []


def test_no_tasks_need_no_process():
    assert list(run([])) == []


def test_an_error_of_the_function_is_raised_with_its_traceback():
    with pytest.raises(RuntimeError, match=r"the work on 'mistake' failed:\n(?s:.)*KeyError: 'no such thing'"):
        list(run(["mistake"]))


def test_processes_that_cannot_start_are_said():
    with pytest.raises(UserError, match="A worker process ended with exit code 7 before its first task; it must be able to import"):
        list(run([1], setup=fail_to_start))


def test_a_process_that_is_not_ready_in_time_is_said(monkeypatch):
    monkeypatch.setattr("vidrec.utils.killable.START_LIMIT", 0.0)
    with pytest.raises(UserError, match=r"A worker process was not ready within 0 seconds; .* Use fewer --workers\."):
        list(run([1], setup=nothing))


SCRIPT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from test_utils_killable import run
if __name__ == "__main__":
    for outcome in run([2, "hang", "hang"], timeout=600.0):
        print(outcome.result[1], flush=True)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", Path(__file__).parent], stdout=subprocess.PIPE, text=True)
    process = int(parent.stdout.readline())
    assert alive(process)
    parent.kill()
    parent.wait()
    until = time.monotonic() + 20
    while alive(process) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(process)


START = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from test_utils_killable import run

def interrupt_children():  # as often as possible, from the moment at which they exist
    while True:
        for child in open(f"/proc/self/task/{main}/children").read().split():
            os.kill(int(child), signal.SIGINT)

if __name__ == "__main__":
    main = os.getpid()
    threading.Thread(target=interrupt_children, daemon=True).start()
    print([outcome.result[0] for outcome in run([2, 3], workers=1)])
"""


def test_ctrl_c_while_workers_start_leaves_them_alone(tmp_path):
    (tmp_path / "start.py").write_text(START)
    done = subprocess.run([sys.executable, tmp_path / "start.py", Path(__file__).parent], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[4, 9]\n", "")
