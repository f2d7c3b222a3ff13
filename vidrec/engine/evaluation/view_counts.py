"""Scores of a video from some of its views, beside that of all, out of the same forward passes."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

TOP = 5  # classes that are kept for each count where scores are not


class ViewCount(NamedTuple):
    """Some of a video's views: every pair of these clips and these crops."""

    clips: tuple[int, ...]
    crops: tuple[int, ...]

    @property
    def num_views(self) -> int:
        return len(self.clips) * len(self.crops)


class Scorer(Protocol):
    """From views to a score; see ViewAverage."""

    def score(self, outputs: Tensor) -> Tensor: ...


def view_counts(num_clips: int, num_crops: int, *, center: int) -> list[ViewCount]:
    """The parts of a grid of views that are scored by themselves, those of the center crop first; the last one is the whole grid.

    Numbers of clips double up to all of them; so many clips are the middles of as many equal shares of the clips.

    Args:
        center: the index of the crop in the middle.

    Example: 10 clips, 3 crops, center 1 -> clips 1, 2, 4, 8 and 10 with crop 1, then with all 3; one clip is the 5th, two the 2nd and 7th
    (counted from 0)
    """
    numbers = [2**power for power in range(num_clips.bit_length()) if 2**power < num_clips] + [num_clips]
    crops = [(center,), tuple(range(num_crops))] if num_crops > 1 else [(0,)]
    return [ViewCount(spread(number, num_clips), chosen) for chosen in crops for number in numbers]


def spread(count: int, total: int) -> tuple[int, ...]:
    """The middles of `count` equal shares of `total` things. Example: 3 of 10 -> (1, 5, 8)"""
    return tuple((2 * share + 1) * total // (2 * count) for share in range(count))


class ByViews:
    """Keeps what each count of views says of a video.

    Args:
        counts: of `view_counts`.
        num_crops: of the whole grid; view v is clip v // num_crops and crop v % num_crops.
        with_scores: keep the scores, which average precision needs; else the best classes only, for less memory.
    """

    def __init__(self, counts: Sequence[ViewCount], *, num_crops: int, with_scores: bool):
        self.counts, self.with_scores = list(counts), with_scores
        self._rows = [torch.tensor([clip * num_crops + crop for clip in clips for crop in crops]) for clips, crops in counts]

    def of(self, outputs: Tensor, average: Scorer) -> np.ndarray:
        """The outputs of all views of a video -> scores [R, K] float32 of the R counts, or its best classes [R, min(5, K)] int32."""
        scores = torch.stack([average.score(outputs[rows.to(outputs.device)]) for rows in self._rows])
        if self.with_scores:
            return scores.cpu().numpy()
        best = scores.sort(dim=1, descending=True, stable=True).indices[:, :TOP]
        return best.to(torch.int32).cpu().numpy()


def scores_of_best(best: np.ndarray, num_classes: int) -> np.ndarray:
    """Scores [N, K] that rank the best classes [N, k] as they stand, and all others below them. Example: [[2, 0]] of 3 -> [[1, 0, 2]]"""
    scores = np.zeros((len(best), num_classes), dtype=np.float32)
    places = np.arange(best.shape[1], 0, -1, dtype=np.float32)
    np.put_along_axis(scores, best.astype(np.int64), np.broadcast_to(places, best.shape), axis=1)
    return scores
