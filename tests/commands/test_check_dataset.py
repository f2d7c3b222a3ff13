"""tools/check_dataset.py as a user types it, and a training run with the manifest that it writes. Its findings: tests/data."""

import pytest
from tool_runs import run_tool

from vidrec.commands.check_dataset import main


def test_a_sound_data_set_gives_exit_code_0_and_trains_with_its_manifest(config, demo_data, tmp_path):
    done = run_tool("check_dataset.py", "--config-file", config, "--workers", "2", "--out", tmp_path / "check")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["34 videos (24 rows in train, 10 rows in val), 408 frames decoded", "status: 34 ok", "codecs: 34 h264"]
    assert lines[3] == "train: 8 classes, of 3 (class 7) to 3 videos (class 0); always saying the largest is right in 0.125"
    assert "PROBLEMS: none" in lines and "Traceback" not in done.stderr
    assert (tmp_path / "check/train_clean.txt").read_text() == (demo_data / "train.txt").read_text()
    broken = tmp_path / "check/manifest.csv"
    name = f"{demo_data}/train/00003"
    broken.write_text("".join(line.replace(",ok,", ",hung,") if name in line else line for line in broken.read_text().splitlines(True)))
    trained = run_tool("train_ddp_pytorch.py", "--config-file", config, "CONFIG.DATA.MANIFEST", broken, "CONFIG.TRAIN.EPOCH_NUM", "1")
    log = (tmp_path / "runs/run/log.txt").read_text()
    assert f"{broken} leaves 1 of 24 videos out of training (1 hung)" in log, trained.stderr


def test_a_missing_list_is_one_message_and_exit_code_1(config, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", str(config), "CONFIG.DATA.TRAIN_ANNO_PATH", str(tmp_path / "none.txt")])
    assert caught.value.code == 1
    assert f"The annotation file {tmp_path}/none.txt does not exist" in capsys.readouterr().err
