"""Scores of whole videos, and the files of a test."""

import csv
import json

import numpy as np
import pytest
import torch
from engine_toy import MEAN, STD, ToyNet, ToyVideos, as_it_is, video_loader
from torch.utils.data import DataLoader

from vidrec.data.transforms import cut_views, normalize_clips
from vidrec.engine import tester
from vidrec.engine.averages import ViewAverage
from vidrec.engine.evaluation.evaluate import evaluate
from vidrec.engine.evaluation.tables import Names
from vidrec.engine.results import ResultInfo, write_results
from vidrec.utils.errors import DataError, UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return ToyNet(0.5, batch_norm=True)


def run(model, loader, *, num_videos=9, views_per_batch=2, share_batches=False):
    scorer = tester.Tester(model, device=CPU, mean=MEAN, std=STD, views_per_batch=views_per_batch, share_batches=share_batches)
    return scorer.run(loader, num_videos=num_videos)


def test_score_is_the_mean_of_the_logits_of_all_views(model):
    result = run(model, video_loader(3))
    video = ToyVideos(3)[7]
    with torch.inference_mode():
        logits = model.eval()(normalize_clips(cut_views(video.frames, video.views, 0, 3), MEAN, STD))
    assert result.scores[7].tolist() == pytest.approx(logits.mean(0).tolist(), abs=1e-6)
    assert result.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(("views_per_batch", "share_batches"), [(1, False), (3, False), (100, False), (1, True), (4, True), (100, True)])
def test_scores_do_not_depend_on_the_chunks(model, views_per_batch, share_batches):
    expected = run(model, video_loader(3, bad=(4,)))
    result = run(model, video_loader(3, bad=(4,)), views_per_batch=views_per_batch, share_batches=share_batches)
    assert np.nanmax(np.abs(result.scores - expected.scores)) <= 1e-5 * np.nanstd(expected.scores)
    assert np.array_equal(np.isnan(result.scores), np.isnan(expected.scores))


def test_the_model_is_tested_in_eval_mode_and_left_as_it_was(model):
    model.train()
    before = model.norm.running_mean.clone()
    assert np.array_equal(run(model, video_loader(2)).scores, run(model, video_loader(2)).scores)
    assert model.training
    assert torch.equal(model.norm.running_mean, before)


def test_unreadable_videos_are_listed_and_have_no_score(model):
    result = run(model, video_loader(2, bad=(0, 4)))
    assert result.reasons == {0: "is empty", 4: "is empty"}
    assert np.flatnonzero(np.isnan(result.scores).all(1)).tolist() == [0, 4]
    assert np.flatnonzero(result.failed).tolist() == [0, 4]


def test_nothing_readable_is_an_error(model):
    with pytest.raises(DataError, match=r"None of the 3 videos could be read \(the first: is empty\); check CONFIG.DATA.VAL_DATA_PATH"):
        run(model, video_loader(2, bad=(0, 1, 2), num_videos=3), num_videos=3)


@pytest.mark.parametrize("indices", [[0, 1, 1], [0, 1], [0, 1, 2, 3]])
def test_every_video_must_be_there_exactly_once(model, indices):
    loader = DataLoader(ToyVideos(1), batch_size=None, sampler=indices, collate_fn=as_it_is)
    with pytest.raises(RuntimeError, match="results for 3 videos; not exactly one"):
        run(model, loader, num_videos=3)


def test_scores_that_are_not_finite_are_an_error():
    broken = ToyNet(0.0, batch_norm=False)
    torch.nn.init.constant_(broken.fc.weight, float("nan"))
    with pytest.raises(UserError, match=r"scores that are not finite for 9 of 9 videos \(index 0 first\)"):
        run(broken, video_loader(1))


PATHS = [f"/videos/{index}.mp4" for index in range(9)]
NAMES = ["low", "middle", "high"]


def write(folder, result, names=None, targets=None):
    info = ResultInfo({"clip_len": 2}, 2, "val.txt", "ab12", "toy.yaml", "toy", "best.pth")
    probabilities = ViewAverage("logits_mean").probabilities(torch.from_numpy(result.scores), num_views=2).numpy()
    evaluation = evaluate(result, probabilities, targets=targets)
    return evaluation.accuracies, write_results(folder, evaluation, info=info, names=Names(PATHS, names))


def test_files_of_a_test(model, tmp_path):
    result = run(model, video_loader(2, bad=(4,)))
    measured, path = write(tmp_path / "eval", result, NAMES)
    summary = json.loads(path.read_text())
    assert summary["counts"] == {"videos": 9, "read": 8, "failed": 1}
    assert summary["failed"] == [{"index": 4, "path": "/videos/4.mp4", "reason": "is empty"}]
    assert summary["accuracy"] == {
        "views": 2, "top1": measured.top1, "top5": 8 / 9, "k": 3, "mean_class": measured.mean_class, "absent_classes": []
    }  # fmt: skip
    assert (summary["annotation"], summary["protocol"]) == ({"path": "val.txt", "sha256": "ab12"}, {"clip_len": 2})
    assert (summary["config"], summary["weights"], summary["seconds"] >= 0) == ("toy.yaml", "best.pth", True)
    stored = np.load(tmp_path / "eval/scores.npz")
    assert stored["indices"].tolist() == list(range(9))
    assert np.array_equal(stored["scores"], result.scores, equal_nan=True)
    assert stored["failed"].tolist() == [index == 4 for index in range(9)]
    rows = list(csv.DictReader((tmp_path / "eval/predictions.csv").open()))
    assert [row["path"] for row in rows] == [f"/videos/{index}.mp4" for index in range(9)]
    assert (rows[4]["prediction"], rows[4]["correct"], rows[4]["failure"], rows[4]["label_name"]) == ("", "0", "is empty", "middle")
    assert rows[3]["prediction"] == str(result.scores[3].argmax())
    assert sum(row["correct"] == "1" for row in rows) == round(9 * measured.top1)
    files = ["confusion.csv", "confusion.png", "hardest.json", "per_class.csv", "predictions.csv", "result.json", "scores.npz"]
    assert sorted(entry.name for entry in (tmp_path / "eval").iterdir()) == files


def test_a_folder_that_cannot_be_written_is_said(model, tmp_path):
    (tmp_path / "eval").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"results cannot be written to .*eval \(File exists; .* choose a folder"):
        write(tmp_path / "eval", run(model, video_loader(2)))


def test_files_of_a_test_with_several_labels(model, tmp_path):
    result = run(model, video_loader(2, bad=(4,)))
    targets = np.eye(3, dtype=bool)[result.labels] | np.array([True, False, False])
    (tmp_path / "confusion.csv").write_text("of an earlier test")
    _, path = write(tmp_path, result, NAMES, targets)
    assert not (tmp_path / "confusion.csv").exists()
    accuracy = json.loads(path.read_text())["accuracy"]
    assert list(accuracy) == ["views", "top1", "top5", "k", "absent_classes", "map", "class_precisions"]
    assert accuracy["class_precisions"][0] == pytest.approx(8 / 9)  # every video has it, one could not be read
    rows = list(csv.DictReader((tmp_path / "predictions.csv").open()))
    assert [(row["label"], row["label_name"]) for row in rows[:3]] == [("0", "low"), ("0 1", "low; middle"), ("0 2", "low; high")]
    assert (rows[4]["correct"], rows[4]["top3"]) == ("0", "")
    assert all(row["correct"] == str(int(row["prediction"] in row["label"].split())) for row in rows)
    assert np.array_equal(np.load(tmp_path / "scores.npz")["targets"], targets)
