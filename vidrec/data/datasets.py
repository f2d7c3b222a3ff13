"""Videos as samples: one random clip each for training, all views of a video at once for validation and test."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidrec.data.annotations import VideoTable
from vidrec.data.decoders import DEFAULTS, ReadOptions
from vidrec.data.pipelines import EvalPipeline, TrainPipeline
from vidrec.data.samplers import SampleKey
from vidrec.data.views import ViewGrid
from vidrec.utils.errors import DataError, VideoError

MAX_ATTEMPTS = 10  # unreadable videos in a row before a training sample is given up


class Failure(NamedTuple):
    """A video that could not be read."""

    path: str
    reason: str


class ClipSample(NamedTuple):
    """A training sample. `index` is the row that was read: a substitute's where the drawn video is unreadable."""

    clip: Tensor  # [T, H, W, 3] uint8
    label: int
    index: int
    failures: tuple[Failure, ...]


class ClipBatch(NamedTuple):
    clips: Tensor  # [B, T, H, W, 3] uint8
    labels: Tensor  # [B] int64
    indices: Tensor  # [B] int64
    failures: list[Failure]


class EvalVideo(NamedTuple):
    """All views of one video. Where `failure` is set there are no frames and no views."""

    index: int
    label: int
    path: str
    frames: Tensor  # [N, h, w, 3] uint8, each frame once
    views: ViewGrid
    failure: Failure | None


def sample_rng(seed: int, epoch: int, position: int, attempt: int) -> np.random.Generator:
    """The generator of one attempt at one training sample; independent of all others."""
    return np.random.default_rng(np.random.SeedSequence((seed, epoch, position, attempt)))


class ClipDataset(Dataset[ClipSample]):
    """Random training clips. An unreadable video is replaced by one drawn from (seed, epoch, position, attempt), and reported.

    Args:
        table: the list of videos.
        seed: of every choice.
        clip_len, frame_stride, num_segments, short_side, scale_range, crop_size, flip_prob, squeeze_to, decoder, reading: as in
            TrainPipeline.
    """

    def __init__(
        self,
        table: VideoTable,
        *,
        clip_len: int,
        frame_stride: int,
        num_segments: int = 1,
        short_side: int = 256,
        scale_range: tuple[float, ...] = (1.0, 1.25),
        crop_size: int = 224,
        flip_prob: float = 0.5,
        squeeze_to: tuple[int, ...] | None = None,
        decoder: str = "auto",
        reading: ReadOptions = DEFAULTS,
        seed: int = 0,
    ):
        self.table, self.seed = table, seed
        self.pipeline = TrainPipeline(
            clip_len=clip_len,
            frame_stride=frame_stride,
            num_segments=num_segments,
            short_side=short_side,
            scale_range=scale_range,
            crop_size=crop_size,
            flip_prob=flip_prob,
            squeeze_to=squeeze_to,
            decoder=decoder,
            reading=reading,
        )

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, key: SampleKey) -> ClipSample:
        """The sample of a key. Raises DataError where MAX_ATTEMPTS videos in a row cannot be read."""
        failures: list[Failure] = []
        for attempt in range(MAX_ATTEMPTS):
            rng = sample_rng(self.seed, key.epoch, key.position, attempt)
            index = key.index if attempt == 0 else int(rng.integers(len(self.table)))
            path = self.table.path(index)
            try:
                clip = self.pipeline(path, rng)
            except VideoError as error:
                failures.append(Failure(path, str(error)))
                continue
            return ClipSample(clip, self.table.label(index), index, tuple(failures))
        listed = "\n".join(f"  - {failure.reason}" for failure in failures)
        raise DataError(
            f"{MAX_ATTEMPTS} videos in a row cannot be read; a run ends at {MAX_ATTEMPTS} in a row, whatever CONFIG.DATA.MAX_BAD_SHARE "
            f"allows. Check CONFIG.DATA.TRAIN_DATA_PATH:\n{listed}"
        )

    @property
    def annotation_sha256(self) -> str:
        return self.table.sha256

    def protocol(self) -> dict[str, Any]:
        """Every resolved field of how clips are made, fit for JSON."""
        return self.pipeline.protocol() | {"seed": self.seed}


class MultiViewDataset(Dataset[EvalVideo]):
    """One item per video, without chance: its unique frames and the grid of its views.

    Args:
        table: the list of videos; `VideoTable.from_paths([path])` for a single one.
        clip_len, frame_stride, num_clips, num_crops, num_segments, short_side, crop_size, squeeze_to, decoder, reading: as in
            EvalPipeline.
    """

    def __init__(
        self,
        table: VideoTable,
        *,
        clip_len: int,
        frame_stride: int,
        num_clips: int = 1,
        num_crops: int = 1,
        num_segments: int = 1,
        short_side: int = 256,
        crop_size: int = 256,
        squeeze_to: tuple[int, ...] | None = None,
        decoder: str = "auto",
        reading: ReadOptions = DEFAULTS,
    ):
        self.table = table
        self.pipeline = EvalPipeline(
            clip_len=clip_len,
            frame_stride=frame_stride,
            num_clips=num_clips,
            num_crops=num_crops,
            num_segments=num_segments,
            short_side=short_side,
            crop_size=crop_size,
            squeeze_to=squeeze_to,
            decoder=decoder,
            reading=reading,
        )

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> EvalVideo:
        """The video of a row; one that cannot be read comes with its failure and is never replaced."""
        path, label = self.table.path(index), self.table.label(index)
        try:
            frames, views = self.pipeline(path)
        except VideoError as error:
            nothing = ViewGrid(np.empty((0, self.pipeline.clip_len), np.int64), np.empty((0, 4), np.int64))
            return EvalVideo(index, label, path, torch.empty((0, 0, 0, 3), dtype=torch.uint8), nothing, Failure(path, str(error)))
        return EvalVideo(index, label, path, frames, views, None)

    @property
    def annotation_sha256(self) -> str:
        return self.table.sha256

    def protocol(self) -> dict[str, Any]:
        """Every resolved field of how views are made, fit for JSON."""
        return self.pipeline.protocol() | {"num_views": self.pipeline.num_clips * self.pipeline.num_crops}


def collate_clips(samples: list[ClipSample]) -> ClipBatch:
    """Samples -> one batch, the failures of all of them together."""
    return ClipBatch(
        clips=torch.stack([sample.clip for sample in samples]),
        labels=torch.tensor([sample.label for sample in samples], dtype=torch.int64),
        indices=torch.tensor([sample.index for sample in samples], dtype=torch.int64),
        failures=[failure for sample in samples for failure in sample.failures],
    )
