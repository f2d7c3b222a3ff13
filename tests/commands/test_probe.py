"""tools/probe.py on features in every form: its report, and what is said of what does not fit."""

import json

import numpy as np
import pytest

from vidrec.commands.probe import main


def write_features(path, num_videos, *, seed, views=2, **arrays):
    """Features of two classes that lie far apart."""
    rng, labels = np.random.default_rng(seed), np.arange(num_videos) % 2
    values = rng.normal(size=(num_videos, views, 4)).astype(np.float32)
    values[..., 0] += 9.0 * (2 * labels[:, None] - 1)
    np.savez(path, **({"features": values, "labels": labels, "paths": [f"{seed}/{row}.mp4" for row in range(num_videos)]} | arrays))
    return path


@pytest.fixture
def lists(tmp_path):
    """Files of training and validation features."""
    return write_features(tmp_path / "train.npz", 20, seed=0), write_features(tmp_path / "val.npz", 8, seed=1)


def probe(train, val, *options):
    try:
        return main(["--features", str(train), "--val", str(val), *map(str, options)])
    except SystemExit as stop:
        return stop.code


def test_all_probes_are_reported_with_their_numbers(lists, capsys):
    assert probe(*lists, "--k", 5, "--epochs", 10) == 0
    report = json.loads((lists[1].parent / "probe.json").read_text())
    assert [row["probe"] for row in report["probes"]] == ["linear", "attentive", "knn"]
    assert [(row["top1"], row["top5"], row["mean_class"]) for row in report["probes"]] == [(1.0, 1.0, 1.0)] * 3
    assert report["probes"][0]["per_class"] == {"0": 1.0, "1": 1.0}
    assert report["commonest_class"] == {"name": "0", "top1": 0.5}
    assert len(report["probes"][0]["held_out"]) == 8 and report["probes"][1]["chosen"]["epochs"] == 10
    out = capsys.readouterr().out
    assert "20 training videos, 8 validation videos, features of 2 x 4" in out
    assert "always 0, the commonest class in training: top-1 0.5000" in out


def test_accuracies_are_those_of_the_votes(tmp_path, lists):
    """Of 4 videos the first two are told right; the other two lie where class 0 does, and are of class 2, which nothing was learned of."""
    values = np.array([[0, 0, 0, 1], [9, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]], dtype=np.float32)
    train = np.array([[0, 0, 0, 2], [5, 0, 0, 0]] * 2, dtype=np.float32)
    np.savez(tmp_path / "a.npz", features=train, labels=[0, 1, 0, 1])
    np.savez(tmp_path / "b.npz", features=values, labels=[0, 1, 2, 2])
    names = tmp_path / "names.txt"
    names.write_text("run\njump\nswim\n")
    options = ("--probe", "knn", "--k", 1, "--class-names", names, "--output", tmp_path / "o/r.json")
    assert probe(tmp_path / "a.npz", tmp_path / "b.npz", *options) == 0
    report = json.loads((tmp_path / "o/r.json").read_text())
    (row,) = report["probes"]
    assert (row["top1"], row["top5"], row["k"], row["mean_class"]) == (0.5, 1.0, 3, pytest.approx(2 / 3))
    assert row["per_class"] == {"run": 1.0, "jump": 1.0, "swim": 0.0}
    assert report["classes_without_training_video"] == ["swim"]


def test_videos_in_both_lists_are_said(lists, capsys):
    assert probe(lists[0], lists[0], "--probe", "knn") == 0
    assert "WARNING: 20 videos stand in both lists" in capsys.readouterr().out


def test_one_vector_a_video_has_nothing_to_attend_to(tmp_path, capsys):
    values = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    file = write_features(tmp_path / "one.npz", 8, seed=0, features=values)
    assert probe(file, file, "--probe", "attentive") == 1
    assert "--probe attentive is asked for, and the features are one vector a video" in capsys.readouterr().err
    assert probe(file, file) == 0
    assert [row["probe"] for row in json.loads((tmp_path / "probe.json").read_text())["probes"]] == ["linear", "knn"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k", 0], "--k is 0; it must be at least 1 neighbor"),
        (["--epochs", -1], "--epochs is -1; it must be at least 1 epoch"),
        (["--temperature", "nan"], "--temperature is nan; it must be above 0"),
        (["--hold-out", 1], "--hold-out is 1.0; it must lie between 0 and 1"),
        (["--class-names", "nowhere.txt"], "--class-names is 'nowhere.txt', which is no file"),
        (["--val", "nowhere"], "There are no features at nowhere"),
        (["--output", "/proc/nowhere/probe.json", "--probe", "knn"], "/proc/nowhere/probe.json cannot be written"),
    ],
)
def test_what_does_not_fit_is_said(lists, capsys, options, message):
    assert probe(*lists, *options) == 1
    assert message in capsys.readouterr().err
