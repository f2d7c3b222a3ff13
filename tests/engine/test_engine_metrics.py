"""Accuracies against values counted by hand."""

from math import log

import numpy as np
import pytest
import torch

from vidrec.data.datasets import Failure
from vidrec.engine.bad_videos import BadVideos
from vidrec.engine.losses import SigmoidLoss, SoftmaxLoss
from vidrec.engine.metrics import TrainMeter, accuracies, measure, multi_label_accuracies
from vidrec.engine.tester import VideoScores
from vidrec.utils.errors import DataError

READ = np.zeros(4, dtype=bool)


def test_accuracies_of_four_videos():
    # labels at places 1, 2, 6 and 1 of the scores
    scores = np.array([[9, 1, 1, 1, 1, 1, 1], [9, 8, 1, 1, 1, 1, 1], [6, 5, 4, 3, 2, 1, 0], [0, 0, 0, 0, 0, 0, 1]], dtype=np.float32)
    found = accuracies(scores, np.array([0, 1, 5, 6]), READ)
    assert (found.top1, found.top5, found.k) == (0.5, 0.75, 5)
    assert found.mean_class == 0.5
    assert found.absent_classes == [2, 3, 4]


def test_mean_class_accuracy_weighs_classes_equally():
    scores = np.eye(2, dtype=np.float32)[[0, 0, 0, 0]]
    found = accuracies(scores, np.array([0, 0, 0, 1]), READ)
    assert (found.top1, found.mean_class, found.top5, found.k) == (0.75, 0.5, 1.0, 2)


def test_a_video_that_cannot_be_read_is_wrong_in_every_number():
    scores = np.array([[2, 1], [3, 0], [np.nan, np.nan]], dtype=np.float32)
    found = accuracies(scores, np.array([0, 1, 1]), np.array([False, False, True]))
    assert (found.top1, found.top5, found.mean_class) == (1 / 3, 2 / 3, 0.5)
    assert (found.num_videos, found.num_failed) == (3, 1)


def test_one_class_and_no_readable_video():
    none = accuracies(np.full((2, 1), np.nan, dtype=np.float32), np.array([0, 0]), np.array([True, True]))
    assert (none.top1, none.top5, none.k, none.mean_class) == (0.0, 0.0, 1, 0.0)
    half = accuracies(np.array([[1.0], [np.nan]], dtype=np.float32), np.array([0, 0]), np.array([False, True]))
    assert (half.top1, half.top5, half.mean_class) == (0.5, 0.5, 0.5)


def test_meter_reads_windows_and_totals():
    meter = TrainMeter(torch.device("cpu"))
    meter.update(torch.tensor(2.0), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
    first = meter.read()
    assert (first.loss, first.top1, first.top5, first.clips) == (2.0, 0.5, 1.0, 2)
    meter.update(torch.tensor(5.0), torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    second, total = meter.read(), meter.total()
    assert (second.loss, second.top1, second.clips) == (5.0, 1.0, 1)
    assert (total.loss, total.top1, total.clips) == (3.0, pytest.approx(2 / 3), 3)


def test_meter_counts_the_five_best_of_six():
    meter = TrainMeter(torch.device("cpu"))
    meter.update(torch.tensor(0.0), torch.arange(6.0).expand(6, 6), torch.arange(6))
    assert (meter.read().top5, meter.total().top1) == (pytest.approx(5 / 6), pytest.approx(1 / 6))


def test_bad_videos_are_said_once_and_stop_the_run_above_the_share(caplog):
    caplog.set_level("WARNING", "vidrec")
    bad = BadVideos(num_videos=10, max_share=0.1)
    bad.add([Failure("/a.mp4", "is empty"), Failure("/a.mp4", "is empty")])
    bad.share()
    assert [record.message for record in caplog.records] == ["/a.mp4 cannot be read: is empty. Another video takes its place."]
    with pytest.raises(DataError) as error:
        bad.add([Failure("/b.mp4", "/b.mp4 is HTML.")])
    assert str(error.value) == (
        "2 of 10 training videos cannot be read; CONFIG.DATA.MAX_BAD_SHARE allows 0.1 of them. "
        "Mend them, take them off the list, or allow more:\n  - /a.mp4 cannot be read: is empty.\n  - /b.mp4 is HTML."
    )


def test_a_long_list_of_bad_videos_is_cut():
    with pytest.raises(DataError, match=r"30 of 40 .*(\n  - /\d\d cannot be read: x\.){20}\n  - and 10 more$"):
        BadVideos(num_videos=40, max_share=0.5).add(Failure(f"/{index:02d}", "x") for index in range(30))


def test_of_mixed_labels_the_larger_share_counts():
    meter = TrainMeter(torch.device("cpu"))
    logits = torch.tensor([[3.0, 1, 0], [0, 1, 2], [1, 2, 0]])
    meter.update(torch.tensor(0.5), logits, torch.tensor([[0.6, 0.4, 0], [0.7, 0, 0.3], [0.1, 0.9, 0]]))
    averages = meter.read()
    assert (averages.loss, averages.clips) == (0.5, 3) and averages.top1 == pytest.approx(2 / 3)


def test_the_sums_of_an_epoch_go_on_where_they_were():
    meter, fresh = TrainMeter(torch.device("cpu")), TrainMeter(torch.device("cpu"))
    meter.update(torch.tensor(2.0), torch.eye(2), torch.tensor([0, 0]))
    meter.read()
    meter.update(torch.tensor(4.0), torch.eye(2), torch.tensor([0, 1]))
    state = meter.state_dict()
    assert state == {"sums": [[12.0, 3.0, 4.0, 4.0]], "read": [[4.0, 1.0, 2.0, 2.0]]}
    fresh.load_state_dict(state)
    assert (fresh.read(), fresh.total()) == (meter.read(), meter.total())
    two = {"sums": [[1.0, 1.0, 1.0, 1.0], [3.0, 1.0, 1.0, 1.0]], "read": [[0.0] * 4, [3.0, 1.0, 1.0, 1.0]]}
    fresh.load_state_dict(two)  # of two processes: the one that is left goes on with all
    assert (fresh.total().loss, fresh.total().clips) == (2.0, 2)
    fresh.reset()
    assert fresh.state_dict() == {"sums": [[0.0] * 4], "read": [[0.0] * 4]}


def test_findings_go_on_in_a_resumed_run():
    bad, again = (BadVideos(num_videos=10, max_share=0.1) for _ in range(2))
    bad.add([Failure("a.mp4", "is empty")])
    again.load_state_dict(bad.state_dict())
    with pytest.raises(DataError, match=r"2 of 10 training videos cannot be read"):
        again.add([Failure("b.mp4", "is empty")])


def test_any_of_several_labels_counts_in_training():
    meter = TrainMeter(torch.device("cpu"))
    logits = torch.tensor([[3.0, 1, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5], [1, 2, 0, 0, 0, 0]])
    meter.update(torch.tensor(0.5), logits, torch.tensor([[1.0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]))
    averages = meter.read()
    assert (averages.top1, averages.top5, averages.clips) == (pytest.approx(1 / 3), pytest.approx(2 / 3), 3)


# scores of 4 videos; class 0 ranks them 0 1 2 3, class 1 ranks 3 first and 1 and 2 as equals, nobody has class 2
SCORES = np.array([[400.0, -9, 0], [300, 0.5, 0], [200, 0.5, 0], [100, 900, 0]], dtype=np.float32)
TARGETS = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0]], dtype=bool)


def test_mean_average_precision_of_four_videos():
    found = multi_label_accuracies(SCORES, TARGETS, READ)
    assert found.class_precisions == pytest.approx([(1 + 2 / 3 + 3 / 4) / 3, (1 + 2 / 3) / 2, None])
    assert found.map == pytest.approx(((1 + 2 / 3 + 3 / 4) / 3 + (1 + 2 / 3) / 2) / 2)
    assert (found.top1, found.top5, found.k, found.absent_classes, found.mean_class) == (0.75, 1.0, 3, [2], None)
    assert found.text() == "mAP 0.8194  top-1 0.7500  top-3 1.0000"


def test_a_video_that_cannot_be_read_is_never_found():
    scores = np.where(np.arange(4)[:, None] == 0, np.nan, SCORES)
    found = multi_label_accuracies(scores, TARGETS, np.array([True, False, False, False]))
    assert found.class_precisions == pytest.approx([(0 + 1 / 2 + 2 / 3) / 3, (1 + 2 / 3) / 2, None])
    assert (found.top1, found.top5, found.num_failed) == (0.5, 0.75, 1)


def test_a_class_whose_only_video_cannot_be_read_has_precision_0():
    targets = np.array([[1, 0], [0, 1]], dtype=bool)
    found = multi_label_accuracies(np.array([[1, 0], [np.nan, np.nan]]), targets, np.array([False, True]))
    assert (found.class_precisions, found.map, found.absent_classes) == ([1.0, 0.0], 0.5, [])


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (None, (log(4) + log(4 / 3)) / 2),
        (np.array([[1, 1], [0, 0], [1, 0]], dtype=bool), (log(2) + log(4 / 3) + log(2) + log(4)) / 4),
    ],
)
def test_the_loss_is_that_of_the_videos_that_could_be_read(targets, expected):
    scores = np.array([[0, log(3.0)], [0, log(3.0)], [np.nan, np.nan]], dtype=np.float32)
    result = VideoScores(scores, np.array([0, 1, 1]), {2: "is empty"}, 0.0)
    found = measure(result, targets=targets, loss=SoftmaxLoss() if targets is None else SigmoidLoss())
    assert found.loss == pytest.approx(expected, rel=1e-6)
