"""Accuracies: of training, without waiting for the device at every step, and of whole videos, exact."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vidrec.engine.losses import Loss
from vidrec.engine.metric_lines import METRIC_NAMES
from vidrec.engine.tester import VideoScores
from vidrec.utils.dist import all_gather_objects, is_main, rank, world_size

TOP = 5  # the k of top-k; fewer where there are fewer classes


@dataclass(frozen=True)
class Averages:
    """Means over `clips` training clips."""

    loss: float
    top1: float
    top5: float
    clips: int


class TrainMeter:
    """Sums of loss and hits that stay on the device until they are read."""

    def __init__(self, device: torch.device):
        self._sums = torch.zeros(4, dtype=torch.float64, device=device)  # loss, top-1 hits, top-5 hits, clips
        self._read = [0.0] * 4
        self.filled = False  # whether a batch has come since the last reading

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Adds one batch: its mean loss, logits [B, K] and labels [B]. Does not wait for the device.

        Of shares [B, K] those count that are the largest of their clip: any of several labels, or the larger one of mixed clips.
        """
        self.filled = True
        with torch.no_grad():
            best = logits.topk(min(TOP, logits.shape[1]), dim=1).indices  # [B, k]
            hits = labels.gather(1, best) == labels.amax(dim=1, keepdim=True) if labels.ndim == 2 else best == labels[:, None]
            clips = hits.new_tensor(len(labels), dtype=torch.int64)
            self._sums += torch.stack([loss.detach() * len(labels), hits[:, 0].sum(), hits.any(dim=1).sum(), clips])

    def read(self) -> Averages:
        """Averages of this process since the last reading; there must have been a batch."""
        self.filled = False
        sums = self._sums.tolist()
        since, self._read = [new - old for new, old in zip(sums, self._read, strict=True)], sums
        return _averages(since)

    def total(self) -> Averages:
        """Averages over everything and all processes, NaN where there was no batch; every process must call it."""
        return _averages(np.sum(all_gather_objects(self._sums.tolist()), axis=0).tolist())

    def reset(self) -> None:
        """Forgets everything, as at the end of an epoch."""
        self._set([0.0] * 4, [0.0] * 4)

    def state_dict(self) -> dict[str, list[list[float]]]:
        """The sums of every process; every process must call it."""
        sums, read = zip(*all_gather_objects((self._sums.tolist(), self._read)), strict=True)
        return {"sums": list(sums), "read": list(read)}

    def load_state_dict(self, state: dict[str, list[list[float]]]) -> None:
        """Each process takes up its own sums; where the number of processes is another one now, the main one takes up all."""
        if len(state["sums"]) == world_size():
            return self._set(state["sums"][rank()], state["read"][rank()])
        everything = np.sum(state["sums"], axis=0).tolist() if is_main() else [0.0] * 4
        self._set(everything, everything)

    def _set(self, sums: list[float], read: list[float]) -> None:
        self._sums = torch.tensor(sums, dtype=torch.float64, device=self._sums.device)
        self._read = list(read)
        self.filled = sums[3] > read[3]


def _averages(sums: list[float]) -> Averages:
    loss, top1, top5, clips = sums
    if not clips:
        return Averages(float("nan"), float("nan"), float("nan"), 0)
    return Averages(loss / clips, top1 / clips, top5 / clips, int(clips))


@dataclass(frozen=True)
class Accuracies:
    """Accuracies in [0, 1] over all videos; a video that could not be read counts as wrong.

    Attributes:
        top1: the class with the highest score is the label, or one of several.
        top5: one of the `k` highest scores is a label's; k is 5, or the number of classes where that is smaller.
        mean_class: mean of the classes' own accuracies, over the classes that have a video; None where videos have several labels.
        absent_classes: the labels without a video, left out of `mean_class` and `map`.
        map: mean of the average precisions of the classes; None where each video has one label.
        class_precisions: [K] the average precision of each class, None for the absent ones; None where each video has one label.
        loss: of training, of the videos that could be read; None where it was not asked for.
        average: the same with the average of the weights; None where there is none, or where these are its accuracies.
    """

    top1: float
    top5: float
    k: int
    mean_class: float | None
    num_videos: int
    num_failed: int
    absent_classes: list[int]
    map: float | None = None
    class_precisions: list[float | None] | None = None
    loss: float | None = None
    average: "Accuracies | None" = None

    def numbers(self) -> dict[str, float]:
        """What was measured, by name; of the average of the weights with `ema_` before it."""
        averaged = {} if self.average is None else self.average.numbers()
        return self._own_numbers() | {f"ema_{name}": value for name, value in averaged.items()}

    def _own_numbers(self) -> dict[str, float]:
        return {name: value for name in METRIC_NAMES if (value := getattr(self, name)) is not None}

    def text(self) -> str:
        """Example: `top-1 0.5000  top-5 1.0000  mean class 0.5000`"""
        names = METRIC_NAMES | {"top5": f"top-{self.k}"}
        return "  ".join(f"{names[name]} {value:.4f}" for name, value in self._own_numbers().items())


def measure(result: VideoScores, *, targets: np.ndarray | None = None, loss: Loss | None = None) -> Accuracies:
    """What the scores of a list are worth.

    Args:
        targets: [N, K] bool where videos have several labels.
        loss: to be measured too; the scores must then be logits.
    """
    scores, failed = result.scores, result.failed
    several = targets is not None
    found = multi_label_accuracies(scores, targets, failed) if several else accuracies(scores, result.labels, failed)
    if loss is None:
        return found
    labels = torch.from_numpy(targets[~failed]).float() if several else torch.from_numpy(result.labels[~failed])
    return replace(found, loss=loss(torch.from_numpy(scores[~failed]), labels).item())


def accuracies(scores: np.ndarray, labels: np.ndarray, failed: np.ndarray) -> Accuracies:
    """Accuracies from the scores of whole videos.

    Args:
        scores: [N, K]; rows of videos that could not be read are not looked at.
        labels: [N] int64 in [0, K).
        failed: [N] bool, True for a video that could not be read.

    Example: scores [[2, 1], [3, 0], [NaN, NaN]], labels [0, 1, 1], failed [F, F, T] -> top1 1/3, top5 2/3 (k 2), mean_class 0.5
    """
    from torchmetrics.functional.classification import multiclass_accuracy  # takes seconds to import

    num_videos, num_classes = scores.shape
    k = min(TOP, num_classes)
    of_class = np.bincount(labels, minlength=num_classes)
    read_of_class = np.bincount(labels[~failed], minlength=num_classes)
    hits = hits_k = 0
    hits_of_class = np.zeros(num_classes)
    if not failed.all():
        read = torch.from_numpy(scores[~failed]), torch.from_numpy(labels[~failed]), num_classes
        # Counts, since torchmetrics' float32 shares are not exact.
        hits = round(multiclass_accuracy(*read, average="micro", validate_args=False).item() * len(read[1]))
        hits_k = round(multiclass_accuracy(*read, average="micro", top_k=k, validate_args=False).item() * len(read[1]))
        hits_of_class = np.rint(multiclass_accuracy(*read, average=None, validate_args=False).numpy() * read_of_class)
    present = of_class > 0
    return Accuracies(
        top1=hits / num_videos,
        top5=hits_k / num_videos,
        k=k,
        mean_class=float(np.mean(hits_of_class[present] / of_class[present])),
        num_videos=num_videos,
        num_failed=int(failed.sum()),
        absent_classes=np.flatnonzero(~present).tolist(),
    )


def multi_label_accuracies(scores: np.ndarray, targets: np.ndarray, failed: np.ndarray) -> Accuracies:
    """Mean average precision, and how often the best scores are right, of videos with any number of labels.

    The average precision of a class is the mean, over its videos, of the precision among all that score as high (the area under the
    steps of the curve). A video that could not be read is never found: it gives its classes 0, and no other class a wrong one.

    Args:
        scores: [N, K]; rows of videos that could not be read are not looked at.
        targets: [N, K] bool.
        failed: [N] bool, True for a video that could not be read.

    Example: one class, scores [3, 2, 1, NaN], targets [T, F, T, T], the last not read -> map (1 + 2/3 + 0) / 3
    """
    num_videos, num_classes = scores.shape
    k, read = min(TOP, num_classes), ~failed
    order = np.argsort(-scores[read], axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(targets[read], order, axis=1)
    present = targets.any(0)
    precisions = np.zeros(num_classes)
    found = targets[read].sum(0)
    if found.any():
        of_read = _average_precisions(scores[read][:, found > 0], targets[read][:, found > 0])
        precisions[found > 0] = of_read * found[found > 0] / targets.sum(0)[found > 0]
    return Accuracies(
        top1=float(hits[:, 0].sum() / num_videos),
        top5=float(hits.any(1).sum() / num_videos),
        k=k,
        mean_class=None,
        num_videos=num_videos,
        num_failed=int(failed.sum()),
        absent_classes=np.flatnonzero(~present).tolist(),
        map=float(precisions[present].mean()),
        class_precisions=[float(value) if there else None for value, there in zip(precisions, present, strict=True)],
    )


def _average_precisions(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[K] of classes that each have a positive."""
    from torchmetrics.functional.classification import multilabel_average_precision  # takes seconds to import

    # Places in order instead of scores: torchmetrics takes scores outside of [0, 1] for logits, whose sigmoid makes large ones equal.
    places = np.stack([np.unique(column, return_inverse=True)[1] / len(scores) for column in scores.T], axis=1)
    return multilabel_average_precision(
        torch.from_numpy(places), torch.from_numpy(targets).long(), num_labels=scores.shape[1], average=None, validate_args=False
    ).numpy()
