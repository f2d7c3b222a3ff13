"""What all commands do at their end: the exit code, and what whoever stops them is told."""

import pytest

from vidrec.commands import benchmark_zoo, check_dataset, feat_extract, test, train
from vidrec.commands.cli import run_command, split_overrides
from vidrec.utils.errors import Interrupted, UserError


def stopped_by(error, capsys, **options):
    def command():
        raise error

    with pytest.raises(SystemExit) as caught:
        run_command(command, **options)
    return caught.value.code, capsys.readouterr().err


def test_ctrl_c_says_stopped_and_no_more_where_nothing_goes_on(capsys):
    assert stopped_by(KeyboardInterrupt(), capsys) == (130, "Stopped.\n")


def test_ctrl_c_says_how_this_command_goes_on(capsys):
    said = {module: stopped_by(KeyboardInterrupt(), capsys, going_on=module.GOING_ON)[1] for module in (train, test, feat_extract)}
    goes_on = "With CONFIG.TRAIN.RESUME auto the same command goes on from the run's last checkpoint, where it has one."
    assert said[train] == f"Stopped. {goes_on}\n"
    assert said[test] == "Stopped. The scores so far are kept; the same command goes on from there.\n"
    assert said[feat_extract] == "Stopped. The features so far are kept; the same command goes on from there.\n"


def test_a_signal_that_ended_the_processes_of_a_run_is_the_exit_code(capsys):
    assert stopped_by(Interrupted(143), capsys, going_on=check_dataset.GOING_ON) == (
        143,
        "Stopped. What has been found of the videos so far is kept; the same command goes on from there.\n",
    )
    assert stopped_by(Interrupted(130), capsys, going_on=benchmark_zoo.GOING_ON)[0] == 130


def test_what_a_user_can_mend_is_said_without_a_traceback(capsys):
    message = "--k is 0; it must be at least 1. Give more."
    assert stopped_by(UserError(message), capsys) == (1, message + "\n")


def test_keys_of_the_config_are_told_from_files_wherever_they_stand():
    words = ["a.mp4", "CONFIG.DATA.CLIP_LEN", "-1", "CONFIG.mp4", "./CONFIG.X", "DDP_CONFIG.GPU", "0", "0"]
    assert split_overrides(words) == (
        ["a.mp4", "CONFIG.mp4", "./CONFIG.X", "0"],
        ["CONFIG.DATA.CLIP_LEN", "-1", "DDP_CONFIG.GPU", "0"],
    )
