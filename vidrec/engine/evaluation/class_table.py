"""How each class is recognized: videos, recall and precision, out of torchmetrics' counts."""

from dataclasses import dataclass

import numpy as np
import torch

THRESHOLD = 0.5  # the least probability with which a class of several is predicted
_NONE = torch.zeros(1, 5, dtype=torch.int64)  # torchmetrics' counts of no videos


@dataclass(frozen=True)
class ClassRow:
    """One class of a test.

    Attributes:
        videos: that have the class, unreadable ones too.
        failed: those of them that could not be read.
        predicted: videos for which the class was predicted.
        hits: videos that have the class and for which it was predicted.
        average_precision: None where each video has one label, or none has this.
    """

    label: int
    videos: int
    failed: int
    predicted: int
    hits: int
    average_precision: float | None = None

    @property
    def recall(self) -> float | None:
        """Share of the class's videos for which it was predicted, which is the class's accuracy; None without a video."""
        return self.hits / self.videos if self.videos else None

    @property
    def precision(self) -> float | None:
        """Share of the videos for which the class was predicted that have it; None where it never was."""
        return self.hits / self.predicted if self.predicted else None


def class_rows(scores: np.ndarray, labels: np.ndarray, failed: np.ndarray) -> list[ClassRow]:
    """A row for each class; predicted is the class of the highest score.

    Args:
        scores: [N, K]; rows of videos that could not be read are not looked at.
        labels: [N] int64 in [0, K).
        failed: [N] bool.

    Example: scores [[2, 1], [3, 0], [NaN, NaN]], labels [0, 1, 1], failed [F, F, T] -> class 0: 1 video, predicted 2, hits 1; class 1:
    2 videos, 1 failed, predicted 0
    """
    from torchmetrics.functional.classification import multiclass_stat_scores  # takes seconds to import

    num_classes = scores.shape[1]
    counts = _NONE
    if not failed.all():
        read = torch.from_numpy(scores[~failed]), torch.from_numpy(labels[~failed])
        counts = multiclass_stat_scores(*read, num_classes=num_classes, average=None, validate_args=False)
    of_class, lost = (np.bincount(chosen, minlength=num_classes) for chosen in (labels, labels[failed]))
    return _rows(counts, of_class, lost, [None] * num_classes)


def class_rows_of_several(
    probabilities: np.ndarray, targets: np.ndarray, failed: np.ndarray, precisions: list[float | None]
) -> list[ClassRow]:
    """The same of videos with any number of labels: predicted is every class of a probability of THRESHOLD or more.

    Args:
        probabilities: [N, K]; rows of videos that could not be read are not looked at.
        targets: [N, K] bool.
        precisions: [K] average precisions of the classes.
    """
    from torchmetrics.functional.classification import multilabel_stat_scores  # takes seconds to import

    counts = _NONE
    if not failed.all():
        read = torch.from_numpy(probabilities[~failed] >= THRESHOLD).long(), torch.from_numpy(targets[~failed]).long()
        counts = multilabel_stat_scores(*read, num_labels=targets.shape[1], average=None, validate_args=False)
    return _rows(counts, targets.sum(0), targets[failed].sum(0), precisions)


def _rows(counts: torch.Tensor, videos: np.ndarray, failed: np.ndarray, precisions: list[float | None]) -> list[ClassRow]:
    """torchmetrics' counts [K, 5] (or of one class, [1, 5]): true and false positives, true and false negatives, videos."""
    hits, false_alarms = (counts[:, column].expand(len(videos)).tolist() for column in (0, 1))
    return [
        ClassRow(label, int(videos[label]), int(failed[label]), hits[label] + false_alarms[label], hits[label], precisions[label])
        for label in range(len(videos))
    ]
