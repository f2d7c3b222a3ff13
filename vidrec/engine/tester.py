"""Scores of whole videos: every view of a video through the network, one vector per video, every video exactly once."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidrec.data.transforms import VideoViews, normalize_views
from vidrec.engine.averages import ViewAverage
from vidrec.engine.evaluation.partial import PartialScores
from vidrec.engine.evaluation.parts import Part
from vidrec.engine.evaluation.view_counts import ByViews
from vidrec.engine.out_of_memory import naming_views
from vidrec.engine.precision import MemoryFormat, PrecisionName, as_torch_format, autocast
from vidrec.engine.progress import shown
from vidrec.utils.dist import gather_objects
from vidrec.utils.errors import DataError, UserError


@dataclass(frozen=True)
class VideoScores:
    """The outcome of a test, in the order of the annotation file.

    Attributes:
        scores: [N, K] float32, the average of the views; NaN in the rows of videos that could not be read.
        labels: [N] int64.
        reasons: index -> why the video could not be read.
        seconds: wall time.
        by_views: [N, R, ...] what ByViews keeps of each video, 0 where it could not be read; None where it was not asked for.
    """

    scores: np.ndarray
    labels: np.ndarray
    reasons: dict[int, str]
    seconds: float
    by_views: np.ndarray | None = None

    @property
    def failed(self) -> np.ndarray:
        """[N] bool, True for a video that could not be read."""
        return np.isin(np.arange(len(self.labels)), list(self.reasons))


class Tester:
    """Forwards all views of a video and averages what they give.

    Args:
        model: the plain network, on `device`; not wrapped for several processes, since these have videos of their own.
        mean, std: RGB, of values in [0, 1].
        views_per_batch: views of one forward; the scores do not depend on it beyond rounding.
        share_batches: put several videos of few views into one forward. Faster in a validation of one view per video; a score
            then depends, in its last digits, on the neighbors, and so on the number of processes.
        average: what is averaged over the views; the mean of the raw logits if not given.
        precision: of the forward pass; what is averaged is float32.
        memory_format: of the views, the same as that of the model's weights.
        by_views: what is kept of each video for other numbers of views; None: nothing.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        device: torch.device,
        mean: Sequence[float],
        std: Sequence[float],
        views_per_batch: int,
        share_batches: bool = False,
        average: ViewAverage | None = None,
        precision: PrecisionName = "fp32",
        memory_format: MemoryFormat = "contiguous",
        by_views: ByViews | None = None,
    ):
        self.model, self.device, self.mean, self.std = model, device, mean, std
        self.views_per_batch, self.share_batches = views_per_batch, share_batches
        self.average = average or ViewAverage("logits_mean")
        self.precision, self.memory_format = precision, as_torch_format(memory_format)
        self.by_views = by_views

    def run(
        self, loader: Iterable[Any], *, num_videos: int, title: str = "test", kept: PartialScores | None = None
    ) -> VideoScores | None:
        """Scores of all videos on the main process, None on the others; every process must call it.

        Args:
            loader: EvalVideo items of this process; over all processes every index of [0, num_videos) exactly once.
            kept: the scores that are known already, of videos that no loader gives, and where new ones are kept; None: nowhere.

        Raises:
            DataError: no video could be read.
            UserError: the network's scores are not finite.
        """
        started = time.perf_counter()
        was_training = self.model.training
        self.model.eval()
        part = self._score(shown(loader, len(loader), title), kept)
        self.model.train(was_training)
        parts = gather_objects(part)
        return None if parts is None else _merge(parts, num_videos, started)

    def _score(self, videos: Iterable[Any], kept: PartialScores | None) -> Part:
        part = kept.known if kept else Part()
        try:
            for group in self._groups(videos):
                for video, *found in self._score_group([video for video in group if video.failure is None]):
                    part.add(int(video.index), int(video.label), *found)
                    if kept:
                        kept.add(int(video.index), int(video.label), *found, stamp=video.stamp)
                for video in group:
                    if video.failure is not None:
                        part.add(int(video.index), int(video.label), None, reason=video.failure.reason)
        finally:
            if kept:
                kept.save()
        return part

    @torch.inference_mode()
    def _score_group(self, videos: list[Any]) -> list[tuple[Any, np.ndarray, np.ndarray | None]]:
        """Videos that could be read, each with its score and what is kept for other numbers of views."""
        with naming_views(videos, views=self.views_per_batch, device=self.device):
            found = self.view_outputs(videos)
        scores = [self.average.score(outputs).cpu().numpy() for outputs in found]
        by_views = [self.by_views.of(outputs, self.average) if self.by_views else None for outputs in found]
        return list(zip(videos, scores, by_views, strict=True))

    def _groups(self, videos: Iterable[Any]) -> Iterator[list[Any]]:
        """Videos one by one, or as many as fill a forward with `share_batches`."""
        group: list[Any] = []
        for video in videos:
            group.append(video)
            views = sum(_num_views(member) for member in group)
            if not self.share_batches or views >= self.views_per_batch:
                yield group
                group = []
        if group:
            yield group

    def view_outputs(self, videos: list[Any]) -> Sequence[Tensor]:
        """What the average takes, such as logits [V, K], of the V views of each video."""
        if not videos:
            return []
        counts = [_num_views(video) for video in videos]
        cut = [VideoViews(video.frames.to(self.device, non_blocking=True), video.views) for video in videos]
        views = [(video, view) for video in cut for view in range(len(video))]
        outputs = []
        for start in range(0, len(views), self.views_per_batch):
            slices = [video[view] for video, view in views[start : start + self.views_per_batch]]
            batch = normalize_views(slices, self.mean, self.std, memory_format=self.memory_format)
            with autocast(self.precision, self.device):
                part = self.average.outputs(self.model, batch)
            outputs.append(part.float())
        return torch.cat(outputs).split(counts)


def _num_views(video: Any) -> int:
    return 0 if video.failure is not None else len(video.views.boxes)


def _merge(parts: list[Part], num_videos: int, started: float) -> VideoScores:
    """One table of the parts of all processes, after checking that every video is there exactly once."""
    indices = np.array([index for part in parts for index in part.indices], dtype=np.int64)
    labels = np.array([label for part in parts for label in part.labels], dtype=np.int64)
    rows = [score for part in parts for score in part.scores]
    reasons = {index: reason for part in parts for index, reason in part.reasons.items()}
    counts = np.bincount(indices, minlength=num_videos)
    if len(counts) != num_videos or (counts != 1).any():
        odd = np.flatnonzero(counts != 1)[:10].tolist()
        raise RuntimeError(f"{len(indices)} results for {num_videos} videos; not exactly one for the indices {odd}: the sampler errs")
    if all(row is None for row in rows):
        raise DataError(
            f"None of the {num_videos} videos could be read (the first: {reasons[0]}); "
            "check CONFIG.DATA.VAL_DATA_PATH and the annotation file."
        )
    order = np.argsort(indices)
    scores = _stacked([rows[place] for place in order], np.nan)
    kept = [row for part in parts for row in part.by_views]
    by_views = None if all(row is None for row in kept) else _stacked([kept[place] for place in order], 0)
    bad = [index for index in np.flatnonzero(~np.isfinite(scores).all(1)).tolist() if index not in reasons]
    if bad:
        raise UserError(
            f"The network gives scores that are not finite for {len(bad)} of {num_videos} videos (index {bad[0]} first); "
            "its weights are damaged or have diverged. Use other weights, or train with a lower CONFIG.TRAIN.LR."
        )
    return VideoScores(scores, labels[order], dict(sorted(reasons.items())), time.perf_counter() - started, by_views)


def _stacked(rows: list[np.ndarray | None], missing: float) -> np.ndarray:
    """Rows as one array, `missing` in place of those that are not there; one at least is."""
    filler = np.full_like(next(row for row in rows if row is not None), missing)
    return np.stack([filler if row is None else row for row in rows])
