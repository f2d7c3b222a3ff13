"""tools/check_dataset.py as a user types it. What it finds: tests/data/test_data_doctor.py."""

import signal
from collections import Counter

import pytest
from tool_runs import run_tool

from vidrec.commands.check_dataset import lost_video, main
from vidrec.commands.dataset_report import ranked
from vidrec.utils.killable import Outcome


def test_a_sound_data_set_gives_exit_code_0(config, demo_data, tmp_path):
    done = run_tool("check_dataset.py", "--config-file", config, "--workers", "2", "--out", tmp_path / "check")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["34 videos (24 rows in train, 10 rows in val), 408 frames decoded", "status: 34 ok", "codecs: 34 h264"]
    assert lines[3] == "train: 8 classes, of 3 (class 7) to 3 videos (class 0); always saying the largest is right in 0.125"
    assert "PROBLEMS: none" in lines and "Traceback" not in done.stderr
    assert (tmp_path / "check/train_clean.txt").read_text() == (demo_data / "train.txt").read_text()
    assert len((tmp_path / "check/manifest.csv").read_text().splitlines()) == 35


def test_a_missing_list_is_one_message_and_exit_code_1(config, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", str(config), "CONFIG.DATA.TRAIN_ANNO_PATH", str(tmp_path / "none.txt")])
    assert caught.value.code == 1
    assert f"The annotation file {tmp_path}/none.txt does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        (Outcome("v", "hung"), "hung", "the decoder did not end within 30 seconds and was killed"),
        (Outcome("v", "died", exit_code=139), "crashed", "the decoder's process ended with exit code 139"),
        (Outcome("v", "died", exit_code=-signal.SIGSEGV), "crashed", "the decoder's process was ended by SIGSEGV"),
        (Outcome("v", "died", exit_code=-signal.SIGKILL), "crashed", "the decoder's process was ended by SIGKILL (out of memory?)"),
    ],
)
def test_how_a_video_was_lost_is_said(outcome, status, reason):
    assert lost_video(outcome, 30.0) == {"status": status, "reason": reason}


def test_equal_counts_stand_in_the_order_of_their_names_whatever_came_first():
    assert ranked(Counter(["truncated", "missing", "ok", "ok"])) == "2 ok, 1 missing, 1 truncated"
    assert ranked(Counter()) == ""
