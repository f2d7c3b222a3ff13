"""The two tools, as a user types them: what they write, how they start, and what they say to bad input."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from tool_runs import ROOT, TORCHRUN_2, run_here, run_tool, write_config

from vidrec.commands import test as test_command
from vidrec.commands import train as train_command


def weights_of(folder):
    return torch.load(folder / "checkpoints" / "epoch_0002.pth", weights_only=True)["model"]


def equal_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def trained(demo_data, tmp_path_factory):
    """A finished run of the tiny config: (its config file, its folder)."""
    folder = tmp_path_factory.mktemp("trained")
    path = write_config(folder / "tiny.yaml", demo_data, folder / "runs")
    done = run_tool("train_ddp_pytorch.py", "--config-file", path)
    assert "best validation top-1" in done.stderr
    return path, folder / "runs" / "run"


def test_training_writes_the_files_of_a_run(trained):
    _, folder = trained
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file() and "tb_log" not in file.parts)
    assert files == [
        "checkpoints/best.pth",
        "checkpoints/best.pth.json",
        "checkpoints/epoch_0001.pth",
        "checkpoints/epoch_0001.pth.json",
        "checkpoints/epoch_0002.pth",
        "checkpoints/epoch_0002.pth.json",
        "classes.txt",
        "config.yaml",
        "log.txt",
        "metrics.jsonl",
        "summary.md",
    ]
    assert len(list((folder / "tb_log").iterdir())) == 1
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps, epochs, vals = ([entry for entry in entries if entry["kind"] == kind] for kind in ("step", "epoch", "val"))
    assert [(entry["epoch"], entry["step"]) for entry in steps] == [(0, 1), (0, 3), (0, 5), (1, 1), (1, 3), (1, 5)]
    assert [(entry["epoch"], entry["clips"]) for entry in epochs] == [(0, 24), (1, 24)]
    assert [(entry["epoch"], len(entry["per_class"])) for entry in vals] == [(0, 8), (1, 8)]
    assert "CONFIG.TRAIN.LR: 0.01" not in (folder / "log.txt").read_text()  # equal to the default
    assert "CONFIG.TRAIN.SEED: 3 (default 0)" in (folder / "log.txt").read_text()


def test_summary_names_command_lists_and_accuracies(trained, demo_data):
    path, folder = trained
    page = (folder / "summary.md").read_text()
    digest = hashlib.sha256((demo_data / "train.txt").read_bytes()).hexdigest()
    assert f"tools/train_ddp_pytorch.py --config-file {path}" in page
    assert f"- train: `{demo_data}/train.txt`, 24 videos, sha256 `{digest}`" in page
    assert "**finished**, after 2 of 2 epochs; 1 process on CPU" in page and "CONFIG.TRAIN.SEED: 3" in page
    last = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines() if '"val"' in line][-1]
    assert f"| last | {last['top1']:.4f} | {last['top5']:.4f} |" in page


@pytest.fixture(scope="module")
def tested(trained):
    """The results of the trained run with one process: the eval folder."""
    path, folder = trained
    done = run_here(test_command.main, "--config-file", path)
    assert "of 10 videos with 9 views (3 x 3), 0 unreadable" in done.stderr
    return folder / "eval"


def test_result_files_agree_with_each_other(trained, tested, demo_data):
    result = json.loads((tested / "result.json").read_text())
    table = np.load(tested / "scores.npz")
    rows = list(csv.DictReader((tested / "predictions.csv").read_text().splitlines()))
    assert table["scores"].shape == (10, 8) and table["indices"].tolist() == list(range(10))
    top1 = float((table["scores"].argmax(1) == table["labels"]).mean())
    assert result["accuracy"]["top1"] == pytest.approx(top1) and result["accuracy"]["views"] == 9
    assert result["counts"] == {"videos": 10, "read": 10, "failed": 0}
    assert result["weights"] == str(trained[1] / "checkpoints" / "best.pth")
    assert [row["path"] for row in rows] == [str(demo_data / line.split()[0]) for line in (demo_data / "val.txt").read_text().splitlines()]
    assert [int(row["prediction"]) for row in rows] == table["scores"].argmax(1).tolist()


@pytest.mark.parametrize("launcher", ["plain", pytest.param("torchrun", marks=pytest.mark.slow)])
def test_two_processes_give_the_scores_of_one(trained, tested, launcher):
    path, _ = trained
    options = ("DDP_CONFIG.NPROC_PER_NODE", 2) if launcher == "plain" else ()
    start = (sys.executable,) if launcher == "plain" else TORCHRUN_2
    run_tool("test_ddp_pytorch.py", "--config-file", path, "CONFIG.LOG.EVAL_DIR", launcher, *options, launcher=start)
    one, two = np.load(tested / "scores.npz"), np.load(tested.parent / launcher / "scores.npz")
    assert np.array_equal(one["labels"], two["labels"])
    assert np.array_equal(one["scores"], two["scores"])


def test_scores_do_not_depend_on_the_chunk_size(trained, tested):
    path, folder = trained
    assert test_command.main(["--config-file", str(path), "CONFIG.LOG.EVAL_DIR", "chunks", "CONFIG.VAL.BATCH_SIZE", "9"]) == 0
    one, other = np.load(tested / "scores.npz")["scores"], np.load(folder / "chunks" / "scores.npz")["scores"]
    assert np.abs(one - other).max() <= 1e-5 * one.std()
    assert np.array_equal(one.argmax(1), other.argmax(1))


def test_finished_run_resumes_to_itself_and_is_not_overwritten(trained, capsys):
    path, folder = trained
    before = (folder / "checkpoints" / "epoch_0002.pth").read_bytes()
    with pytest.raises(SystemExit) as caught:
        train_command.main(["--config-file", str(path)])
    assert caught.value.code == 1 and "holds the checkpoints of an earlier run" in capsys.readouterr().err
    assert train_command.main(["--config-file", str(path), "CONFIG.TRAIN.RESUME", "auto"]) == 0
    with pytest.raises(SystemExit):
        train_command.main(["--config-file", str(path), "CONFIG.TRAIN.RESUME", "auto", "CONFIG.TRAIN.LR", "0.5"])
    assert "CONFIG.TRAIN.LR was 0.01 and is now 0.5" in capsys.readouterr().err
    assert (folder / "checkpoints" / "epoch_0002.pth").read_bytes() == before


def run_main(command, config, *overrides):
    assert command.main(["--config-file", str(config), *map(str, overrides)]) == 0


def test_run_killed_before_its_first_epoch_checkpoint_starts_from_its_weights_again(trained, config):
    start = ["CONFIG.MODEL.LOAD", "True", "CONFIG.MODEL.PRETRAINED_PATH", trained[1] / "checkpoints" / "epoch_0001.pth"]
    overrides = [*start, "CONFIG.TRAIN.RESUME", "auto", "CONFIG.LOG.SAVE_FREQ", 2]
    run_main(train_command, config, *overrides)
    folder = config.parent / "runs" / "run"
    undisturbed = weights_of(folder)
    (folder / "checkpoints" / "epoch_0002.pth").unlink()  # what a kill before the first save leaves: best.pth alone
    run_main(train_command, config, *overrides)
    assert equal_weights(undisturbed, weights_of(folder))
    assert (folder / "log.txt").read_text().count("epoch_0001.pth (vidrec names)") == 2


def test_own_best_checkpoint_goes_before_the_weights_that_training_started_from(trained, config):
    start = ["CONFIG.MODEL.LOAD", "True", "CONFIG.MODEL.PRETRAINED_PATH", trained[1] / "checkpoints" / "epoch_0001.pth"]
    run_main(train_command, config, *start, "CONFIG.TRAIN.EPOCH_NUM", 1, "CONFIG.VAL.FREQ", 0)
    run_main(test_command, config, *start)
    own = config.parent / "runs" / "run" / "checkpoints" / "epoch_0001.pth"  # no validation: the newest checkpoint
    assert json.loads((own.parents[1] / "eval" / "result.json").read_text())["weights"] == str(own)


def test_resuming_a_file_in_a_new_folder_writes_its_own_best(trained, config):
    source = trained[1] / "checkpoints" / "epoch_0001.pth"
    run_main(train_command, config, "CONFIG.TRAIN.RESUME", source)
    assert (config.parent / "runs" / "run" / "checkpoints" / "best.pth").is_file()


def test_test_finds_the_newest_run_of_a_name_with_the_start_time(config):
    name = ["CONFIG.LOG.EXP_NAME", "tiny_use_time"]
    run_main(train_command, config, *name, "CONFIG.TRAIN.EPOCH_NUM", 1)
    run_main(test_command, config, *name)
    (folder,) = (config.parent / "runs").iterdir()
    assert (folder / "eval" / "result.json").is_file()


def test_protocol_names_every_choice_behind_the_number(tested):
    protocol = json.loads((tested / "result.json").read_text())["protocol"]
    assert (protocol["name"], protocol["overridden"], protocol["average"]) == ("reference", [], "logits_mean")
    assert protocol["mean"] == [0.485, 0.456, 0.406]
    assert (protocol["clip_len"], protocol["frame_stride"], protocol["num_clips"], protocol["num_crops"]) == (4, 2, 3, 3)
    assert protocol["decoder"].startswith("auto (av ")
    assert protocol["reading"]["max_pixels"] == 67108864 and protocol["reading"]["frame_template"] == "img_%05d.jpg"


def test_checkpoints_name_the_decoder(trained):
    versions = torch.load(trained[1] / "checkpoints" / "epoch_0002.pth", weights_only=True)["versions"]
    assert versions["decoder"].startswith("auto (av ")


def test_plain_start_of_two_processes_trains(config):
    run_tool("train_ddp_pytorch.py", "--config-file", config, "DDP_CONFIG.NPROC_PER_NODE", 2, "CONFIG.TRAIN.BATCH_SIZE", 2)
    folder = config.parent / "runs" / "run"
    assert (folder / "checkpoints" / "epoch_0002.pth").is_file()
    kinds = [json.loads(line)["kind"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [kinds.count(kind) for kind in ("start", "epoch", "val", "end")] == [1, 2, 2, 1], "one process writes"
    assert len(list((folder / "tb_log").iterdir())) == 1
    assert "**finished**, after 2 of 2 epochs; 2 processes on CPU" in (folder / "summary.md").read_text()


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_weights(trained, config):
    command = [sys.executable, str(ROOT / "tools" / "train_ddp_pytorch.py"), "--config-file", str(config), "CONFIG.TRAIN.RESUME", "auto"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for line in process.stderr:
        if "epoch 2/2 step 2/6" in line:  # in the middle of the second epoch
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (config.parent / "runs" / "run" / "checkpoints" / "epoch_0002.pth").exists()
    run_tool("train_ddp_pytorch.py", "--config-file", config, "CONFIG.TRAIN.RESUME", "auto")
    assert equal_weights(weights_of(trained[1]), weights_of(config.parent / "runs" / "run"))


# --- bad input: one clear message, a non-zero exit, no traceback ---


def error_of(command, capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        command.main([str(argument) for argument in arguments])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_ctrl_c_ends_with_one_line(config):
    command = [sys.executable, str(ROOT / "tools" / "train_ddp_pytorch.py"), "--config-file", str(config), "CONFIG.TRAIN.EPOCH_NUM", "500"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for line in process.stderr:
        if "epoch 2/500" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in rest and rest.count("the same command goes on from the run's last checkpoint") == 1
    assert "**stopped by Ctrl-C**, after 1 of 500 epochs" in (config.parent / "runs" / "run" / "summary.md").read_text()


def test_mistakes_of_schema_and_components_come_together(config, capsys):
    text = config.read_text().replace("WIDTH: 4", "WIDHT: 4").replace("TEST_NUM_CROP: 3", "TEST_NUM_CROPS: 3")
    config.write_text(text)
    error = error_of(train_command, capsys, "--config-file", config, "CONFIG.DATA.VAL_SAMPLER.TYPE", "EvalSamplr")
    assert "The config has 3 mistakes" in error
    assert "TEST_NUM_CROPS is not a config key. Did you mean 'TEST_NUM_CROP'" in error
    assert "CONFIG.MODEL.BACKBONE.WIDHT is not an argument of I3DResNet" in error and "Did you mean 'WIDTH'" in error
    assert "CONFIG.DATA.VAL_SAMPLER.TYPE: 'EvalSamplr' is not a sampler" in error


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["CONFIG.DATA.TRAIN_ANNO_PATH", "/nowhere/train.txt"], "/nowhere/train.txt"),
        (["CONFIG.DATA.TRAIN_DATA_PATH", "/nowhere"], "/nowhere"),
        (["CONFIG.DATA.NUM_CLASSES", "5", "CONFIG.DATA.CLASS_NAMES", ""], "train.txt:6"),
        (["CONFIG.TRAIN.BATCH_SIZE", "25"], "BATCH_SIZE"),
        (["CONFIG.DATA.CLASS_NAMES", "/nowhere/classes.txt"], "/nowhere/classes.txt"),
        (["CONFIG.INFERENCE.FEAT", "True"], "no loss"),
        (["CONFIG.DATA.DECODER", "ffmpeg"], "DECODER is 'ffmpeg'; it must be one of auto, decord, frames, opencv, pyav, torchcodec"),
        (["CONFIG.LOG.EXP_NAME", ""], "it must be a name"),
        (["CONFIG.LOG.LOGGERS", "[tensorbord]"], "CONFIG.LOG.LOGGERS names 'tensorbord'; it must be one of mlflow, tensorboard, wandb"),
        (["CONFIG.LOG.LOGGERS", "[tensorboard, tensorboard]"], "a list of names, each once"),
        (["CONFIG.LOG.CLIP_FREQ", "-1"], "CONFIG.LOG.CLIP_FREQ is -1; it must be at least 0 epoch"),
        (["CONFIG.MODEL.PRETRAINED_PATH", "x.pth"], "CONFIG.MODEL.LOAD is False"),
        (["CONFIG.MODEL.LOAD", "True", "CONFIG.MODEL.PRETRAINED_PATH", "/nowhere/x.pth"], "/nowhere/x.pth"),
        (["CONFIG.LOG.BASE_PATH", "/proc/runs"], "cannot be made"),
        (["CONFIG.TRAIN.RESUME", "/nowhere/epoch_0001.pth"], "/nowhere/epoch_0001.pth"),
    ],
)
def test_training_refuses(config, capsys, overrides, words):
    assert words in error_of(train_command, capsys, "--config-file", config, *overrides)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "There are no weights to test"),
        (["CONFIG.MODEL.NAME", "resnet50_v1b_custom", "CONFIG.MODEL.PRETRAINED", "True"], "have no classifier for the classes"),
        (["CONFIG.MODEL.PRETRAINED_PATH", "/nowhere/best.pth"], "/nowhere/best.pth"),
    ],
)
def test_testing_refuses(config, capsys, overrides, words):
    assert words in error_of(test_command, capsys, "--config-file", config, *overrides)


def test_checkpoint_of_other_classes_is_refused_with_both_numbers(trained, capsys):
    path, folder = trained
    best = folder / "checkpoints" / "best.pth"
    error = error_of(
        test_command, capsys, "--config-file", path, "CONFIG.DATA.NUM_CLASSES", 9, "CONFIG.DATA.CLASS_NAMES", "",
        "CONFIG.MODEL.PRETRAINED_PATH", best,
    )  # fmt: skip
    assert "8" in error and "9" in error and "NUM_CLASSES" in error


def test_unreadable_videos_count_as_wrong_and_are_listed(trained, demo_data, tmp_path):
    path, folder = trained
    data = tmp_path / "data"
    shutil.copytree(demo_data, data)
    lines = (data / "val.txt").read_text().split()
    (data / lines[0]).write_bytes(b"")
    (data / lines[2]).write_text("<html>404</html>")
    (data / lines[4]).unlink()
    overrides = ["CONFIG.DATA.VAL_ANNO_PATH", str(data / "val.txt"), "CONFIG.LOG.EVAL_DIR", "bad"]
    assert test_command.main(["--config-file", str(path), *overrides]) == 3
    result = json.loads((folder / "bad" / "result.json").read_text())
    assert result["counts"] == {"videos": 10, "read": 7, "failed": 3}
    assert [failure["index"] for failure in result["failed"]] == [0, 1, 2]
    assert all(str(data) in failure["path"] for failure in result["failed"])


def test_too_many_unreadable_training_videos_stop_the_run_and_few_do_not(config, demo_data, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(demo_data, data)
    broken = (data / "train.txt").read_text().split()[0]
    (data / broken).write_bytes(b"broken")
    where = ["--config-file", config, "CONFIG.DATA.TRAIN_ANNO_PATH", data / "train.txt"]
    error = error_of(train_command, capsys, *where)
    assert "1 of 24 training videos cannot be read" in error and broken in error and "MAX_BAD_SHARE" in error
    enough = [*where, "CONFIG.DATA.MAX_BAD_SHARE", "0.1", "CONFIG.LOG.EXP_NAME", "other"]
    assert train_command.main([str(argument) for argument in enough]) == 0
    log = (tmp_path / "runs" / "other" / "log.txt").read_text()
    assert log.count(f"{data / broken} cannot be read") == 1


@pytest.mark.slow
def test_run_of_two_processes_that_fails_ends_with_one_message(config):
    done = run_tool(
        "train_ddp_pytorch.py", "--config-file", config, "DDP_CONFIG.NPROC_PER_NODE", 2, "CONFIG.TRAIN.BATCH_SIZE", 25, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("BATCH_SIZE") >= 1 and "Traceback" not in done.stderr
