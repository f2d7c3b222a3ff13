"""The curves of runs: what is drawn, of finished, running and killed ones, and what is said to bad input."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from vidrec.commands import plot_run
from vidrec.commands.plot_run import Point, draw, read_curves, run_names, thinned


def write_run(folder, *, epochs=2, lr=0.5, lrs=None, cut=False):
    """A run of 4 displays an epoch, whose loss falls from 2 by 0.125 a display."""
    folder.mkdir(parents=True)
    rows = [{"kind": "start", "epoch": 0, "step": 0, "processes": 1, "time": 1.0}]
    for epoch in range(epochs):
        for step in range(4):
            done = epoch + (step + 1) / 4
            row = {"kind": "step", "epoch": epoch, "step": step, "epochs_done": done, "loss": 2.0 - done / 2, "top1": 0.5, "lr": lr}
            rows.append(row if lrs is None else row | {"lrs": lrs})
        rows.append({"kind": "epoch", "epoch": epoch, "loss": 1.75 - epoch / 2, "top1": 0.25, "lr": lr})
        rows.append({"kind": "val", "epoch": epoch, "top1": 0.5, "top5": 0.75})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text + '{"kind": "step", "ep' if cut else text)
    return folder


def lines_of(axes):
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.lines}


def test_curves_are_those_of_the_lines(tmp_path):
    figure = draw([read_curves(write_run(tmp_path / "a", cut=True), "a")])
    losses, accuracies, rates = map(lines_of, figure.axes)
    assert losses["a"] == [(1, 1.75), (2, 1.25)]
    assert [place for name, line in losses.items() if name != "a" for place, _ in line] == [i / 4 for i in range(1, 9)]
    assert accuracies == {
        "a: train top-1": [(1, 0.25), (2, 0.25)], "a: val top-1": [(1, 0.5), (2, 0.5)], "a: val top-5": [(1, 0.75), (2, 0.75)],
    }  # fmt: skip
    assert rates["a"] == [(i / 4, 0.5) for i in range(1, 9)]


def test_every_parameter_group_and_run_has_a_line_of_its_own(tmp_path):
    folders = [write_run(tmp_path / "a", lrs={"stem": 0.25, "stem, biases": 0.25, "head": 0.5}), write_run(tmp_path / "b", lr=0.125)]
    figure = draw([read_curves(folder, folder.name) for folder in folders])
    rates = figure.axes[2]
    assert {name: points[0][1] for name, points in lines_of(rates).items()} == {"a: stem": 0.25, "a: head": 0.5, "b": 0.125}
    colors = {line.get_label(): line.get_color() for line in rates.lines}
    assert colors["a: stem"] == colors["a: head"] != colors["b"]


def test_legend_of_the_rates_names_eight_and_counts_the_others(tmp_path):
    folder = write_run(tmp_path / "a", lrs={f"layer {number}": 0.5**number for number in range(12)})
    legend = draw([read_curves(folder, "a")]).axes[2].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*(f"a: layer {number}" for number in range(7)), "a: layer 7 and 4 more"]


def test_run_with_several_labels_a_video_has_its_mean_average_precision_drawn(tmp_path):
    folder = write_run(tmp_path / "a")
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(text.replace('"top1": 0.5, "top5": 0.75', '"map": 0.375'))
    accuracies = draw([read_curves(folder, "a")]).axes[1]
    assert lines_of(accuracies)["a: val mAP"] == [(1, 0.375), (2, 0.375)]
    assert [text.get_text() for text in accuracies.get_legend().get_texts()] == ["train top-1", "val mAP"]


def test_run_in_its_first_epoch_has_its_name_in_the_legend(tmp_path):
    folder = write_run(tmp_path / "a")
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:3]))
    losses = draw([read_curves(folder, "a")]).axes[0]
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["a"]


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path):
    assert run_names([tmp_path / "x/run", tmp_path / "y/other"]) == ["run", "other"]
    assert run_names([tmp_path / "x/run", tmp_path / "y/run"]) == [f"{tmp_path}/x/run", f"{tmp_path}/y/run"]


def test_long_curves_are_drawn_by_means_of_neighbours():
    points = [Point(place, place * 10.0) for place in range(5)]
    assert thinned(points, 3) == [(0.5, 5.0), (2.5, 25.0), (4.0, 40.0)]
    assert thinned(points, 5) == points and thinned([], 5) == []


def test_picture_is_written_where_it_is_asked_for_or_into_the_run(tmp_path, capsys):
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b", epochs=1, cut=True)
    assert plot_run.main([str(first), str(second), "--out", str(tmp_path / "both.png")]) == 0
    assert plot_run.main([str(first)]) == 0
    assert capsys.readouterr().out == f"2 runs drawn into {tmp_path}/both.png\n1 run drawn into {first}/curves.png\n"
    pixels = np.asarray(Image.open(tmp_path / "both.png").convert("RGB")).reshape(-1, 3)
    for color in ([31, 119, 180], [255, 127, 14]):  # the colors of the first two runs
        assert (pixels == color).all(1).sum() > 200


def test_drawing_does_without_torch(tmp_path):
    folder = write_run(tmp_path / "a")
    code = f"import sys; from vidrec.commands.plot_run import main; main([{str(folder)!r}]); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere/run"], "/nowhere/run is no folder, so it has no metrics.jsonl; it must be the folder of a training run"),
        (["{tmp}"], "is a folder without metrics.jsonl; it must be the folder of a training run"),
        (["{tmp}/empty"], "empty/metrics.jsonl has no numbers yet; the first come after CONFIG.LOG.DISPLAY_FREQ steps"),
        (["{tmp}/old"], "old/metrics.jsonl has a line without 'epochs_done'; it must be written by a vidrec of this version"),
        (["{tmp}/good", "--out", "curves.pdf"], "--out is curves.pdf; the curves are a PNG file"),
        (["{tmp}/good", "--out", "/nowhere/c.png"], "/nowhere/c.png cannot be written (No such file or directory); give --out"),
        (["{tmp}/good"] * 11, "11 runs are given; one picture holds at most 10"),
    ],
)
def test_bad_arguments_are_one_message(tmp_path, capsys, arguments, words):
    write_run(tmp_path / "good")
    for name, text in (("empty", '{"kind": "st'), ("old", '{"kind": "step", "epoch": 0, "step": 1, "loss": 2.0}\n')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(text)
    with pytest.raises(SystemExit) as stop:
        plot_run.main([argument.format(tmp=tmp_path) for argument in arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 1 and words in error and "Traceback" not in error
