"""Everything that a test measures, out of the scores of whole videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vidrec.engine.confusion import confusion_counts
from vidrec.engine.evaluation.certainty import Calibration, Interval, calibration, top1_interval
from vidrec.engine.evaluation.class_table import ClassRow, class_rows, class_rows_of_several
from vidrec.engine.evaluation.hardest import hardest, true_probabilities, video_losses
from vidrec.engine.evaluation.view_counts import ViewCount, scores_of_best
from vidrec.engine.metrics import Accuracies, accuracies, measure, multi_label_accuracies
from vidrec.engine.tester import VideoScores

PAIRS = 20  # of confused classes that are listed


@dataclass(frozen=True)
class Evaluation:
    """What a test says. A video that could not be read counts as wrong in every share.

    Attributes:
        targets: [N, K] bool where videos have several labels, else None.
        true_probability, losses: [N], NaN for a video that could not be read; see `hardest`.
        interval: of top-1.
        confusion: [K, K], label by prediction, of the videos that were read; None where videos have several labels.
        views: accuracies by number of views, the last one that of all.
        hardest: indices of videos, the highest loss first.
    """

    result: VideoScores
    accuracies: Accuracies
    targets: np.ndarray | None
    true_probability: np.ndarray
    losses: np.ndarray
    interval: Interval
    calibration: Calibration
    classes: list[ClassRow]
    confusion: np.ndarray | None
    views: "list[ViewAccuracies]"
    hardest: list[int]

    def pairs(self) -> "list[ConfusedPair]":
        """The most confused pairs of classes; none where videos have several labels."""
        return [] if self.confusion is None else confused_pairs(self.confusion, [row.videos for row in self.classes])


class ViewAccuracies(NamedTuple):
    """What some of the views are worth."""

    count: ViewCount
    numbers: dict[str, float]


class ConfusedPair(NamedTuple):
    """`videos` of class `label` were taken for class `prediction`, a share of all that have the label."""

    label: int
    prediction: int
    videos: int
    share: float


def evaluate(
    result: VideoScores, probabilities: np.ndarray, *, targets: np.ndarray | None = None, counts: Sequence[ViewCount] = ()
) -> Evaluation:
    """Measures everything.

    Args:
        probabilities: [N, K], of the scores; rows of videos that could not be read are not looked at.
        targets: [N, K] bool where videos have several labels.
        counts: of `result.by_views`.
    """
    failed, labels = result.failed, result.labels
    measured = measure(result, targets=targets)
    truth = labels if targets is None else targets
    best = np.where(failed, 0, np.nan_to_num(result.scores).argmax(1))
    hits = ~failed & (best == labels if targets is None else targets[np.arange(len(best)), best])
    read_probabilities = np.where(failed[:, None], np.nan, probabilities)
    losses = video_losses(read_probabilities, truth)
    several = targets is not None
    return Evaluation(
        result=result,
        accuracies=measured,
        targets=targets,
        true_probability=true_probabilities(read_probabilities, truth),
        losses=losses,
        interval=top1_interval(hits),
        calibration=calibration(probabilities, truth, failed),
        classes=class_rows_of_several(probabilities, targets, failed, measured.class_precisions)
        if several
        else class_rows(result.scores, labels, failed),
        confusion=None if several else confusion_counts(result.scores, labels, failed),
        views=[ViewAccuracies(count, _of_views(result, place, targets).numbers()) for place, count in enumerate(counts)],
        hardest=hardest(losses),
    )


def _of_views(result: VideoScores, place: int, targets: np.ndarray | None) -> Accuracies:
    """The accuracies of one count of views."""
    kept = result.by_views[:, place]
    if targets is not None:
        return multi_label_accuracies(kept, targets, result.failed)
    return accuracies(scores_of_best(kept, result.scores.shape[1]), result.labels, result.failed)


def confused_pairs(counts: np.ndarray, videos: Sequence[int]) -> list[ConfusedPair]:
    """The pairs of classes that are confused in most videos, then in the largest share of their class; PAIRS at the most.

    Args:
        counts: [K, K] of `confusion_counts`.
        videos: [K] of each class, unreadable ones too.

    Example: counts [[3, 1], [2, 0]] of 4 and 2 videos -> (1, 0, 2 videos, 1.0), (0, 1, 1 video, 0.25)
    """
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    pairs = [
        ConfusedPair(int(label), int(prediction), int(wrong[label, prediction]), int(wrong[label, prediction]) / int(videos[label]))
        for label, prediction in zip(*np.nonzero(wrong), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.videos, -pair.share, pair.label, pair.prediction))[:PAIRS]
