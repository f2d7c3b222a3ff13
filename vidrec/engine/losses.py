"""What training minimizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot


class Loss(Protocol):
    """Logits [B, K] and labels, [B] int64 or shares [B, K] float32 -> the mean over the clips, []."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class SoftmaxLoss:
    """Cross entropy of the softmax to one label a clip, or to the shares of mixed clips.

    Attributes:
        smoothing: share of each label that is spread evenly over all classes, in [0, 1) (Szegedy et al., CVPR 2016).
        class_weights: [K], a factor for the clips of each class; None: 1 everywhere. The sum is divided by the number of clips, not
            by the sum of their factors, so that the same clips give the same gradient in one batch or in several.

    Example: logits [0, ln 3], label 0 -> ln 4; with class_weights (2, 1) -> 2 ln 4
    """

    smoothing: float = 0.0
    class_weights: Tensor | None = None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.class_weights is None:
            return cross_entropy(logits, labels, label_smoothing=self.smoothing)
        weights = self.class_weights.to(logits)
        return cross_entropy(logits, as_shares(labels, logits), weight=weights, label_smoothing=self.smoothing)


@dataclass(frozen=True, eq=False)
class SigmoidLoss:
    """A yes or no for each class by itself, for any number of labels a clip; the mean over clips and classes.

    Attributes:
        focal_gamma: 0: binary cross entropy; above 0: focal loss, which gives clips that are nearly right less weight, by the factor
            (1 - p)^gamma, p being the probability of the right answer (Lin et al., ICCV 2017; without their alpha: class_weights do that).
        smoothing: s turns a target t of K classes into (1 - s) t + s / K, the same as with softmax.
        class_weights: [K], a factor for the clips that have each class; those that do not have it count once. None: 1 everywhere.

    Example: logits [0, ln 3], targets [1, 0] -> (ln 2 + ln 4) / 2; with class_weights (3, 1) -> (3 ln 2 + ln 4) / 2
    """

    focal_gamma: float = 0.0
    smoothing: float = 0.0
    class_weights: Tensor | None = None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        targets = as_shares(labels, logits)
        if self.smoothing:
            targets = targets * (1.0 - self.smoothing) + self.smoothing / logits.shape[1]
        weights = None if self.class_weights is None else self.class_weights.to(logits)
        if not self.focal_gamma:
            return binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
        from torchvision.ops import sigmoid_focal_loss  # takes seconds to import

        losses = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=self.focal_gamma)  # [B, K]; alpha -1: none
        return losses.mean() if weights is None else (losses * (1.0 + (weights - 1.0) * targets)).mean()


def as_shares(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels [B] or shares [B, K] as shares [B, K] in the type of the logits. Example: labels 2, 0 of 3 -> [[0, 0, 1], [1, 0, 0]]"""
    return (one_hot(labels, logits.shape[1]) if labels.ndim == 1 else labels).to(logits.dtype)


def balanced_weights(counts: np.ndarray, num_videos: int, *, sigmoid: bool) -> tuple[float, ...]:
    """Weights with which every class counts as much as any other. A class without a video gets 1.

    Args:
        counts: [K], the videos of the training list that have each class.
        num_videos: N, all of them.
        sigmoid: N / n - 1, so that the clips with a class weigh as much as those without it; else N / (n K), where K counts the classes
            that have videos, so that the mean weight of a clip is 1.

    Example: counts (1, 3) of 4 videos -> (2, 0.667); sigmoid -> (3, 0.333)
    """
    counts, present = np.asarray(counts, dtype=np.float64), np.asarray(counts) > 0
    safe = np.where(present, counts, 1.0)
    weights = num_videos / safe - 1.0 if sigmoid else num_videos / (safe * present.sum())
    return tuple(np.where(present, weights, 1.0).tolist())


def weights_text(weights: Sequence[float], counts: np.ndarray) -> str:
    """The extremes of class weights. Example: `class weights from 0.667 (class 1, 3 videos) to 2 (class 0, 1 video)`"""
    present, absent = np.flatnonzero(counts).tolist(), np.flatnonzero(counts == 0).tolist()
    ends = [f"{weights[label]:.3g} (class {label}, {_videos(counts[label])})" for label in _ends(weights, present)]
    rest = f"; without a video, and so at 1: class {', '.join(map(str, absent[:20]))}{' ...' if len(absent) > 20 else ''}" if absent else ""
    return f"class weights from {ends[0]} to {ends[1]}{rest}"


def _ends(weights: Sequence[float], labels: list[int]) -> tuple[int, int]:
    return min(labels, key=lambda label: weights[label]), max(labels, key=lambda label: weights[label])


def _videos(count: int) -> str:
    return f"{count} video{'' if count == 1 else 's'}"
