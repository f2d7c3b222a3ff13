"""Loader processes that die or hang: one message with the file, and never a hang."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loader_toys import DiesWithItemsOnTheWay, Fatal

import vidrec
from vidrec.data import watch
from vidrec.data.loaders import make_loader
from vidrec.data.samplers import EvalSampler
from vidrec.data.watch import Board
from vidrec.utils.errors import DataError


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "kill",
            r"killed by signal 9 \(the system does so when memory runs out\) while it read /videos/number 3\.mp4; the run",
        ),
        ("crash", r"A loader process ended with exit code 139 while it read /videos/number 3\.mp4; .* CONFIG\.DATA\.NUM_WORKERS"),
        (
            "hang",
            r"/videos/number 3\.mp4 took longer than CONFIG\.DATA\.READ_TIMEOUT, 2 seconds, to read; a loader process was",
        ),
    ],
)
def test_fatal_video_ends_in_one_message_that_names_it(how, message):
    started = time.monotonic()
    with pytest.raises(DataError, match=message):
        list(make_loader(Fatal(how), EvalSampler(8), batch_size=None, num_workers=2, read_timeout=2.0))
    assert time.monotonic() - started < 60


def test_process_that_dies_before_its_last_item_is_fetched_ends_in_the_same_message():
    batches = iter(make_loader(DiesWithItemsOnTheWay(), EvalSampler(8), batch_size=None, num_workers=1))
    assert next(batches).tolist() == [0, 0, 0, 0]
    time.sleep(1.2)
    with pytest.raises(DataError, match=r"A loader process was killed by signal 9 .* while it read /videos/number 2\.mp4; the run"):
        list(batches)


def test_limit_is_for_each_video_and_not_for_all():
    assert list(make_loader(Fatal("never"), EvalSampler(8), batch_size=None, num_workers=1, read_timeout=5.0)) == list(range(8))


def test_board_keeps_the_end_of_a_long_path_and_forgets_the_last_one():
    board = Board(2, limit=0.0)
    board.write(1, "/videos/" + "x" * 2000 + ".mp4")
    assert (board.read(0), len(board.read(1)), board.read(1)[-5:]) == ("", 1024, "x.mp4")
    board.write(1, "b.mp4")
    assert board.read(1) == "b.mp4"
    board.write(1, "")
    assert board.read(1) == ""


def test_reading_outside_of_a_loader_process_does_nothing():
    with watch.watched("a.mp4"):
        assert watch._mine is None


GROUPS = """
import os
from loader_toys import ProcessGroups
from vidrec.data.loaders import make_loader
from vidrec.data.samplers import EvalSampler
print(os.getpgrp(), *make_loader(ProcessGroups(), EvalSampler(2), batch_size=None, num_workers=2))
"""


def test_loader_processes_are_out_of_reach_of_a_signal_to_the_group_of_their_run():
    # In a process of its own, whose fork server no other kind of test has started.
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(vidrec.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": paths}
    run = subprocess.run([sys.executable, "-c", GROUPS], env=environment, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    own, *groups = run.stdout.split()
    assert len(groups) == 2 and len(set(groups)) == 1 and own not in groups
