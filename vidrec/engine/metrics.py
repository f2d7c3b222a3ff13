"""Accuracies: of training, without waiting for the device at every step, and of whole videos, exact."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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

        Of the labels of mixed clips, shares [B, K], the larger counts.
        """
        self.filled = True
        with torch.no_grad():
            labels = labels.argmax(dim=1) if labels.ndim == 2 else labels
            best = logits.topk(min(TOP, logits.shape[1]), dim=1).indices  # [B, k]
            hits = best == labels[:, None]
            batch = torch.stack([loss.detach() * len(labels), hits[:, 0].sum(), hits.sum(), labels.new_tensor(len(labels))])
            self._sums += batch

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
        top5: the label is among the `k` highest scores; k is 5, or the number of classes where that is smaller.
        mean_class: mean of the classes' own accuracies, over the classes that have a video.
        absent_classes: the labels without a video, left out of `mean_class`.
    """

    top1: float
    top5: float
    k: int
    mean_class: float
    num_videos: int
    num_failed: int
    absent_classes: list[int]


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
