"""What a test measures beyond its accuracies, against values counted by hand."""

import csv
import json
from math import log

import numpy as np
import pytest
import torch
from engine_toy import MEAN, STD, ToyNet, video_loader

from vidrec.data.view_crops import SCHEMES, center_crop, make_crops
from vidrec.engine import tester
from vidrec.engine.averages import ViewAverage
from vidrec.engine.evaluation.certainty import calibration, top1_interval
from vidrec.engine.evaluation.class_table import class_rows, class_rows_of_several
from vidrec.engine.evaluation.drawing import draw_views
from vidrec.engine.evaluation.evaluate import ViewAccuracies, confused_pairs, evaluate
from vidrec.engine.evaluation.hardest import hardest, true_probabilities, video_losses
from vidrec.engine.evaluation.tables import Names, class_csv, confusion_csv, hardest_json, predictions_csv, views_csv
from vidrec.engine.evaluation.view_counts import ByViews, scores_of_best, spread, view_counts
from vidrec.engine.tester import VideoScores

NAN = float("nan")
# three classes: videos of 0 are right, wrong and unreadable, the one of 1 is taken for 0, nobody has 2
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [NAN, NAN, NAN], [0.6, 0.3, 0.1]])
LABELS, FAILED = np.array([0, 0, 0, 1]), np.array([False, False, True, False])
RESULT = VideoScores(PROBABILITIES.astype(np.float32), LABELS, {2: "is empty"}, 1.0)
NAMES = Names(["/v/a.mp4", "/v/b, 2.mp4", "/v/c.mp4", "/v/d.mp4"], ["run", "sit, down", "wave"])


def rows_of(text):
    return list(csv.reader(text.splitlines()))


def test_classes_have_recall_over_all_their_videos_and_precision_over_what_was_predicted():
    rows = class_rows(PROBABILITIES, LABELS, FAILED)
    assert [(row.videos, row.failed, row.predicted, row.hits) for row in rows] == [(3, 1, 2, 1), (1, 0, 1, 0), (0, 0, 0, 0)]
    assert [(row.recall, row.precision) for row in rows] == [(1 / 3, 0.5), (0.0, 0.0), (None, None)]
    one = class_rows(np.array([[1.0], [NAN]]), np.array([0, 0]), np.array([False, True]))
    assert [(row.videos, row.failed, row.recall, row.precision) for row in one] == [(2, 1, 0.5, 1.0)]


def test_classes_of_several_labels_are_predicted_from_a_half_on():
    targets = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    rows = class_rows_of_several(PROBABILITIES, targets, FAILED, [0.5, 0.75, None])
    assert [(row.videos, row.failed, row.predicted, row.hits) for row in rows] == [(2, 1, 2, 1), (2, 0, 1, 1), (0, 0, 0, 0)]
    assert [row.average_precision for row in rows] == [0.5, 0.75, None]


def test_bootstrap_interval_is_that_of_the_binomial_distribution_and_the_same_every_time():
    torch.manual_seed(7)
    drawn_before = torch.random.get_rng_state()
    found = top1_interval(np.arange(200) < 150)
    # 0.75 +- 1.96 sqrt(0.75 * 0.25 / 200) = 0.69 to 0.81
    assert (found.low, found.high) == (pytest.approx(0.69, abs=0.01), pytest.approx(0.81, abs=0.01))
    assert found == top1_interval(np.arange(200) < 150)
    assert (found.level, found.resamples, found.seed) == (0.95, 1000, 0)
    assert torch.equal(torch.random.get_rng_state(), drawn_before), "the generator of everything else is untouched"
    assert (top1_interval(np.array([True])).low, top1_interval(np.array([False, False])).high) == (1.0, 0.0)


def test_calibration_error_is_the_gap_of_confidence_and_accuracy():
    found = calibration(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1]), np.zeros(2, dtype=bool))
    assert (found.ece, found.ece_failed_wrong, found.mean_confidence, found.videos) == (pytest.approx(0.3), found.ece, 0.8, 2)
    # bins of 0.7 (right), 0.5 (wrong) and 0.6 (wrong)
    found = calibration(PROBABILITIES, LABELS, FAILED)
    assert found.ece == pytest.approx((0.3 + 0.5 + 0.6) / 3) and found.videos == 3
    assert found.ece_failed_wrong == pytest.approx((0.3 + 0.5 + 0.6 + 1.0) / 4)
    pairs = calibration(np.array([[0.8, 0.2]]), np.array([[True, True]]), np.array([False]))  # of several labels: 0.2 and 0.8 are wrong by
    assert pairs.ece == pytest.approx((0.2 + 0.8) / 2)


def test_hardest_are_those_whose_label_is_least_probable():
    losses = video_losses(PROBABILITIES, LABELS)
    assert losses.tolist() == pytest.approx([-log(0.7), -log(0.2), NAN, -log(0.3)], nan_ok=True)
    assert hardest(losses) == [1, 3, 0]
    assert true_probabilities(PROBABILITIES, LABELS).tolist() == pytest.approx([0.7, 0.2, NAN, 0.3], nan_ok=True)
    assert video_losses(np.array([[0.0, 1.0]]), np.array([0])).tolist() == pytest.approx([87.498], abs=1e-3)  # no infinity
    assert str(video_losses(np.array([[1.0, 0.0]]), np.array([0]))[0]) == "0.0"


def test_hardest_of_several_labels_have_the_highest_cross_entropy():
    targets = np.array([[True, False], [False, False], [True, True]])
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5], [NAN, NAN]])
    assert video_losses(probabilities, targets).tolist() == pytest.approx([log(4), log(2), NAN], nan_ok=True)
    assert true_probabilities(probabilities, targets).tolist() == pytest.approx([0.25, NAN, NAN], nan_ok=True)


def test_most_confused_pairs_come_first():
    counts = np.array([[3, 1, 0], [2, 0, 1], [0, 0, 5]])
    assert confused_pairs(counts, [4, 3, 5]) == [(1, 0, 2, 2 / 3), (1, 2, 1, 1 / 3), (0, 1, 1, 0.25)]
    assert confused_pairs(np.array([[4]]), [4]) == []


@pytest.mark.parametrize(
    ("clips", "crops", "center", "expected"),
    [
        (1, 1, 0, [((0,), (0,))]),
        (1, 3, 1, [((0,), (1,)), ((0,), (0, 1, 2))]),
        (4, 1, 0, [((2,), (0,)), ((1, 3), (0,)), ((0, 1, 2, 3), (0,))]),
        (3, 2, 0, [((1,), (0,)), ((0, 2), (0,)), ((0, 1, 2), (0,)), ((1,), (0, 1)), ((0, 2), (0, 1)), ((0, 1, 2), (0, 1))]),
    ],
)
def test_numbers_of_views_double_up_to_all(clips, crops, center, expected):
    assert view_counts(clips, crops, center=center) == expected


def test_some_clips_are_the_middles_of_equal_shares():
    assert [spread(count, 10) for count in (1, 2, 4, 10)] == [(5,), (2, 7), (1, 3, 6, 8), tuple(range(10))]


def test_center_crop_is_the_one_in_the_middle_of_every_scheme():
    for scheme, (counts, _) in SCHEMES.items():
        for count in counts:
            crops, index = make_crops(scheme, 40, 60, crop_size=40, num_crops=count), center_crop(scheme, count)
            assert (crops.boxes[index].tolist(), bool(crops.flips[index])) == ([0, 40, 10, 50], False), (scheme, count)
    assert make_crops("slides", 40, 60, crop_size=40, num_crops=5).boxes[center_crop("slides", 5)].tolist() == [0, 40, 10, 50]


def test_scores_of_the_best_classes_rank_them():
    assert scores_of_best(np.array([[2, 0], [1, 2]]), 3).tolist() == [[1, 0, 2], [0, 2, 1]]


@pytest.mark.parametrize("average", ["logits_mean", "prob_mean", "prob_sum", "feature_mean"])
@pytest.mark.parametrize("with_scores", [False, True])
def test_fewer_views_are_scored_as_if_they_were_all(average, with_scores):
    torch.manual_seed(1)
    model = ToyNet(0.0, batch_norm=False).eval()
    average = ViewAverage(average, model.fc)
    by_views = ByViews(view_counts(2, 2, center=0), num_crops=2, with_scores=with_scores)
    common = {"device": torch.device("cpu"), "mean": MEAN, "std": STD, "views_per_batch": 3, "average": average}
    result = tester.Tester(model, by_views=by_views, **common).run(video_loader(4, bad=(4,)), num_videos=9)
    assert result.by_views.shape == (9, 4, 3)
    outputs = torch.randn(4, 2 if average.average == "feature_mean" else 3, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        kept, alone = by_views.of(outputs, average), average.score(outputs[[0, 2]])  # both clips with crop 0
    assert kept[1].tolist() == (alone.tolist() if with_scores else alone.argsort(descending=True).tolist())
    whole = result.by_views[:, -1]
    expected = result.scores if with_scores else (-result.scores).argsort(1, kind="stable")
    assert np.array_equal(whole[~result.failed], expected[~result.failed])
    assert not whole[result.failed].any()


def test_tables_of_a_test():
    counts = view_counts(2, 1, center=0)
    best = np.array([[[1, 0, 2], [0, 1, 2]], [[0, 1, 2], [1, 2, 0]], [[0, 0, 0]] * 2, [[1, 0, 2], [0, 1, 2]]], dtype=np.int32)
    result = VideoScores(RESULT.scores, LABELS, RESULT.reasons, 1.0, best)
    found = evaluate(result, PROBABILITIES, counts=counts)
    assert rows_of(class_csv(found, NAMES)) == [
        ["label", "name", "videos", "failed", "predicted", "recall", "precision"],
        ["0", "run", "3", "1", "2", "0.333333", "0.5"],
        ["1", "sit, down", "1", "0", "1", "0", "0"],
        ["2", "wave", "0", "0", "0", "", ""],
    ]
    assert rows_of(confusion_csv(found, NAMES)) == [
        ["label", "name", "0", "1", "2", "failed"],
        ["0", "run", "1", "1", "0", "1"],
        ["1", "sit, down", "1", "0", "0", "0"],
        ["2", "wave", "0", "0", "0", "0"],
    ]
    # one view: the second and the fourth are right; both views: the first
    shown = [["1", "1", "0", "0.5", "0.75", "0.6666666666666666"], ["2", "0 1", "0", "0.25", "0.75", "0.16666666666666666"]]
    assert rows_of(views_csv(found)) == [["views", "clips", "crops", "top1", "top5", "mean_class"], *shown]
    assert found.views[-1].numbers == found.accuracies.numbers()
    worst, *_ = json.loads(hardest_json(found, NAMES))
    assert worst == {
        "index": 1, "path": "/v/b, 2.mp4", "label": 0, "prediction": 1, "label_name": "run", "prediction_name": "sit, down",
        "correct": False, "probability": 0.2, "loss": pytest.approx(log(5)),
    }  # fmt: skip
    predictions = list(csv.DictReader(predictions_csv(found, NAMES).splitlines()))
    assert [(row["probability"], row["loss"]) for row in predictions] == [
        ("0.7", "0.356675"), ("0.2", "1.60944"), ("", ""), ("0.3", "1.20397")
    ]  # fmt: skip


def test_several_labels_have_precisions_and_no_confusion():
    targets = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    scores = np.stack([PROBABILITIES, PROBABILITIES], axis=1)
    result = VideoScores(RESULT.scores, LABELS, RESULT.reasons, 1.0, scores)
    found = evaluate(result, PROBABILITIES, targets=targets, counts=view_counts(2, 1, center=0))
    assert (found.confusion, found.pairs()) == (None, [])
    assert rows_of(class_csv(found, NAMES))[0][-1] == "average_precision"
    assert found.views[0].numbers == found.accuracies.numbers() and "map" in found.views[0].numbers
    hardest_of_all = json.loads(hardest_json(found, NAMES))
    assert [entry["index"] for entry in hardest_of_all] == [0, 3, 1]
    assert (hardest_of_all[0]["label"], hardest_of_all[0]["probability"]) == ([0, 1], 0.2)
    assert (hardest_of_all[1]["label"], hardest_of_all[1]["probability"], hardest_of_all[1]["correct"]) == ([], None, False)


def test_probabilities_of_scores():
    of = {name: ViewAverage(name, torch.nn.Identity()) for name in ("logits_mean", "prob_mean", "prob_sum", "feature_mean")}
    logits = torch.tensor([[0.0, log(3.0)]])
    assert of["feature_mean"].probabilities(logits, num_views=2).tolist() == [pytest.approx([0.25, 0.75])]
    assert ViewAverage("logits_mean", sigmoid=True).probabilities(logits, num_views=2).tolist() == [pytest.approx([0.5, 0.75])]
    assert of["prob_sum"].probabilities(torch.tensor([[0.5, 1.5]]), num_views=2).tolist() == [[0.25, 0.75]]
    assert of["prob_mean"].probabilities(torch.tensor([[0.25, 1.0000001]]), num_views=2).tolist() == [[0.25, 1.0]]


def test_no_accuracy_above_1_stands_on_the_curve_of_views():
    views = [ViewAccuracies(count, {"top1": 1.0}) for count in view_counts(2, 1, center=0)]
    picture = draw_views(views, title="")
    assert picture.shape == (450, 700, 3)
    frame = np.flatnonzero((picture[:, 200:600] < 60).all(2).mean(1) > 0.9)  # rows of the axes' upper and lower line
    left = picture[:, 80:130].astype(int)  # no part of the legend
    line = np.flatnonzero((np.abs(left - (31, 119, 180)) < 30).all(2).any(1))
    assert (frame.max() - line.mean()) / (frame.max() - frame.min()) > 0.85
