"""Losses through the real commands, most of all lists with several labels a video."""

import csv
import json

import numpy as np
import pytest
import torch
from tool_runs import run_here, run_tool, write_config

from vidrec.commands import browse_dataset as browse_command
from vidrec.commands import test as test_command
from vidrec.commands import train as train_command

TARGETS = np.array([[label in (row % 6, row * 3 % 6) for label in range(8)] for row in range(24)])  # nobody has classes 6 and 7
SIGMOID = ["CONFIG.TRAIN.LOSS", "bce", "CONFIG.DATA.CLASS_NAMES", "", "CONFIG.TRAIN.SEED", "5"]


@pytest.fixture(scope="session")
def lists(demo_data, tmp_path_factory):
    """The overrides for lists of the demo data with one or two labels a video."""
    folder = tmp_path_factory.mktemp("lists")
    overrides = []
    for key, name in (("TRAIN", "train.txt"), ("VAL", "val.txt")):
        paths = [line.split()[0] for line in (demo_data / name).read_text().splitlines()]
        rows = [f"{path} {','.join(map(str, np.flatnonzero(TARGETS[row])))}\n" for row, path in enumerate(paths)]
        (folder / name).write_text("".join(rows))
        overrides += [f"CONFIG.DATA.{key}_ANNO_PATH", str(folder / name), f"CONFIG.DATA.{key}_DATA_PATH", str(demo_data)]
    return overrides


@pytest.fixture(scope="module")
def run_of_several_labels(demo_data, lists, tmp_path_factory):
    """A run with mixup and flips, trained and tested as a user would: its folder."""
    folder = tmp_path_factory.mktemp("several")
    config = write_config(folder / "tiny.yaml", demo_data, folder / "runs")
    extra = ["CONFIG.DATA.AUG.MIX.MIXUP_ALPHA", "1", "CONFIG.DATA.FLIP_PROB", "0.5", "CONFIG.DATA.FLIP_LABEL_MAP", "[[0, 1]]"]
    extra += ["CONFIG.TRAIN.CLASS_WEIGHTS", "balanced", "CONFIG.TRAIN.LABEL_SMOOTHING", "0.1"]
    arguments = ["--config-file", config, *lists, *SIGMOID, *extra]
    run_here(train_command.main, *arguments)
    run_here(test_command.main, *arguments, "CONFIG.TEST.AVERAGE", "prob_mean")
    return folder / "runs/run"


def average_precision(scores, targets):
    """Of scores without equals: the mean, over the positives, of the precision down to each."""
    hits = targets[np.argsort(-scores)]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def test_several_labels_train_to_the_best_mean_average_precision(run_of_several_labels):
    log = (run_of_several_labels / "log.txt").read_text()
    assert "balanced class weights from 1 (class 0, 12 videos) to 5 (class 1, 4 videos); without a video, and so at 1: class 6, 7" in log
    lines = [json.loads(line) for line in (run_of_several_labels / "metrics.jsonl").read_text().splitlines()]
    vals = [line for line in lines if line["kind"] == "val"]
    assert [list(val) for val in vals] == [["kind", "epoch", "map", "top1", "top5", "loss", "failed", "best_by", "per_class", "time"]] * 2
    assert all(0 < val["loss"] < 3 for val in vals)
    best = torch.load(run_of_several_labels / "checkpoints/best.pth", weights_only=True)["best"]
    assert best == max(val["map"] for val in vals)
    assert f"best validation mAP {best:.4f} (views per video: 1 (center))" in log


def test_results_of_several_labels_agree_with_each_other(run_of_several_labels):
    result = json.loads((run_of_several_labels / "eval/result.json").read_text())
    table = np.load(run_of_several_labels / "eval/scores.npz")
    rows = list(csv.DictReader((run_of_several_labels / "eval/predictions.csv").read_text().splitlines()))
    assert np.array_equal(table["targets"], TARGETS[:10])
    assert result["protocol"]["scores"] == "sigmoid probabilities" and 0 < table["scores"].min() <= table["scores"].max() < 1
    precisions = [average_precision(table["scores"][:, label], TARGETS[:10, label]) for label in range(6)]
    assert result["accuracy"]["class_precisions"] == pytest.approx([*precisions, None, None])
    assert result["accuracy"]["map"] == pytest.approx(np.mean(precisions))
    assert result["accuracy"]["absent_classes"] == [6, 7] and "mean_class" not in result["accuracy"]
    hits = [TARGETS[row, label] for row, label in enumerate(table["scores"].argmax(1))]
    assert result["accuracy"]["top1"] == pytest.approx(np.mean(hits))
    assert [row["correct"] for row in rows] == [str(int(hit)) for hit in hits]
    assert [row["label"] for row in rows][:3] == ["0", "1 3", "0 2"]


@pytest.mark.slow
def test_two_processes_validate_and_test_several_labels_as_one(run_of_several_labels, lists, tmp_path):
    """One epoch of both; validation after it is of one network, and its accuracies are those that a test of one process finds."""
    config = run_of_several_labels.parents[1] / "tiny.yaml"
    arguments = ["--config-file", config, *lists, *SIGMOID, "CONFIG.LOG.BASE_PATH", tmp_path, "CONFIG.TRAIN.EPOCH_NUM", 1]
    arguments += ["CONFIG.DATA.TEST_NUM_SEGMENT", 1, "CONFIG.DATA.TEST_NUM_CROP", 1]
    run_tool("train_ddp_pytorch.py", *arguments, "DDP_CONFIG.NPROC_PER_NODE", 2, "CONFIG.TRAIN.BATCH_SIZE", 2)
    accuracies = []
    for processes in (1, 2):
        folder = ["CONFIG.LOG.EVAL_DIR", f"by_{processes}", "DDP_CONFIG.NPROC_PER_NODE", processes]
        run_tool("test_ddp_pytorch.py", *arguments, *folder)
        accuracies.append(json.loads((tmp_path / f"run/by_{processes}/result.json").read_text())["accuracy"])
    (val,) = [line for text in (tmp_path / "run/metrics.jsonl").read_text().splitlines() if (line := json.loads(text))["kind"] == "val"]
    assert accuracies[0] == accuracies[1]
    assert [val["map"], val["top1"], val["per_class"]] == [accuracies[0][key] for key in ("map", "top1", "class_precisions")]


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_one_label_a_video_trains_with_a_sigmoid_too(config, tmp_path, loss):
    arguments = ["--config-file", str(config), "CONFIG.TRAIN.LOSS", loss, "CONFIG.TRAIN.EPOCH_NUM", "1"]
    assert train_command.main(arguments) == 0
    lines = [json.loads(line) for line in (tmp_path / "runs/run/metrics.jsonl").read_text().splitlines()]
    (val,) = [line for line in lines if line["kind"] == "val"]
    assert list(val) == ["kind", "epoch", "top1", "top5", "mean_class", "loss", "failed", "best_by", "per_class", "time"]
    assert 0 < val["loss"] < 1  # ln 2 at the start, or a quarter of it
    assert "best validation top-1" in (tmp_path / "runs/run/log.txt").read_text()


@pytest.mark.parametrize("command", [train_command, test_command])
def test_a_softmax_takes_one_label_a_video(config, lists, capsys, command):
    with pytest.raises(SystemExit):
        command.main(["--config-file", str(config), *lists])
    error = capsys.readouterr().err
    assert "whose row 1 (counted from 0) has the labels (1, 3); CONFIG.TRAIN.LOSS softmax takes one label a video." in error
    assert "Set CONFIG.TRAIN.LOSS bce or focal" in error and "Traceback" not in error


def test_classes_are_balanced_by_one_label_a_video(config, lists, capsys):
    with pytest.raises(SystemExit):
        train_command.main(["--config-file", str(config), *lists, *SIGMOID, "CONFIG.DATA.TRAIN_SAMPLER.TYPE", "ClassBalancedSampler"])
    assert "ClassBalancedSampler draws by one label a video. Take TrainSampler, and CONFIG.TRAIN.CLASS_WEIGHTS" in capsys.readouterr().err


@pytest.mark.parametrize("split", ["train", "val"])
def test_several_labels_are_drawn(config, lists, tmp_path, split):
    arguments = ["--config-file", str(config), *lists, *SIGMOID]
    assert browse_command.main([*arguments, "--split", split, "--num", "2", "--out", str(tmp_path / "sheet.png")]) == 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["CONFIG.TRAIN.LOSS", "hinge"], "CONFIG.TRAIN.LOSS is 'hinge'; it must be one of softmax, bce, focal"),
        (["CONFIG.TRAIN.LABEL_SMOOTHING", "1.0"], "CONFIG.TRAIN.LABEL_SMOOTHING is 1.0; it must be from 0 to below 1"),
        (["CONFIG.TRAIN.FOCAL_GAMMA", "-1"], "CONFIG.TRAIN.FOCAL_GAMMA is -1.0; it must be at least 0"),
        (["CONFIG.TRAIN.CLASS_WEIGHTS", "[1, 2]"], "has 2 numbers; it must have one for each of the 8 classes"),
        (["CONFIG.TRAIN.CLASS_WEIGHTS", "[1, 1, 1, 1, 1, 1, 1, -1]"], "it must be balanced, or a list of numbers from 0, one for each"),
        (["CONFIG.TRAIN.CLASS_WEIGHTS", "[0, 0, 0, 0, 0, 0, 0, 0]"], "it must be balanced, or a list of numbers from 0, one for each"),
        (["CONFIG.TRAIN.CLASS_WEIGHTS", "even"], "CONFIG.TRAIN.CLASS_WEIGHTS is 'even'; it must be balanced, or a list"),
        (["CONFIG.TRAIN.CLASS_WEIGHTS", "[1, .nan, 1, 1, 1, 1, 1, 1]"], "it must be a list of numbers, or balanced"),
        (["CONFIG.TRAIN.CLASS_WEIGHTS", "0.5"], "CONFIG.TRAIN.CLASS_WEIGHTS is 0.5 (float); it must be a list of numbers, or balanced"),
    ],
)
def test_wrong_losses_are_refused_before_the_first_batch(config, capsys, overrides, words):
    with pytest.raises(SystemExit):
        train_command.main(["--config-file", str(config), *overrides])
    assert words in capsys.readouterr().err
