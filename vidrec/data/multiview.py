"""All views of a video at once, for validation and test."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidrec.data.annotations import VideoTable
from vidrec.data.eval_pipeline import EvalPipeline
from vidrec.data.stamps import NO_STAMP, Stamp
from vidrec.data.views import ViewGrid
from vidrec.data.watch import watched
from vidrec.registry import hands_on
from vidrec.utils.errors import VideoError


class Failure(NamedTuple):
    """A video that could not be read."""

    path: str
    reason: str


class EvalVideo(NamedTuple):
    """All views of one video. Where `failure` is set there are no frames and no views."""

    index: int
    label: int
    path: str
    frames: Tensor  # [N, h, w, 3] uint8, each frame once, in the order of `frame_order`
    views: ViewGrid
    failure: Failure | None
    stamp: Stamp = NO_STAMP  # of before the video was opened


def failed_video(index: int, table: VideoTable, failure: Failure, *, clip_len: int = 1) -> EvalVideo:
    """The item of a video that cannot be read."""
    nothing = ViewGrid(np.empty((0, clip_len), np.int64), np.empty((0, 4), np.int64))
    return EvalVideo(index, table.label(index), failure.path, torch.empty((0, 0, 0, 3), dtype=torch.uint8), nothing, failure)


@hands_on(EvalPipeline)
class MultiViewDataset(Dataset[EvalVideo]):
    """One item per video, without chance: its unique frames and the grid of its views.

    Args:
        table: the list of videos; `VideoTable.from_paths([path])` for a single one.
        pipeline: as in EvalPipeline.
    """

    def __init__(self, table: VideoTable, **pipeline: Any):
        self.table = table
        self.pipeline = EvalPipeline(**pipeline)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> EvalVideo:
        """The video of a row; one that cannot be read comes with its failure and is never replaced."""
        path, label = self.table.path(index), self.table.label(index)
        try:
            with watched(path):
                stamp = self.table.stamp(index)
                frames, views = self.pipeline(self.table.source(index), self.table.span(index))
        except VideoError as error:
            return failed_video(index, self.table, Failure(path, str(error)), clip_len=self.pipeline.clip_len)
        return EvalVideo(index, label, path, frames, views, None, stamp)

    @property
    def annotation_sha256(self) -> str:
        return self.table.sha256

    def protocol(self) -> dict[str, Any]:
        """Every resolved field of how views are made, fit for JSON."""
        return self.pipeline.protocol() | {"num_views": self.pipeline.num_clips * self.pipeline.num_crops}
