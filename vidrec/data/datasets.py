"""Videos as samples: one random clip each for training; all views of a video at once, for validation and test, are in multiview.py."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidrec.data.annotations import VideoTable
from vidrec.data.multiview import EvalVideo, Failure, MultiViewDataset
from vidrec.data.pipelines import TrainPipeline
from vidrec.data.samplers import SampleKey
from vidrec.utils.errors import DataError, VideoError
from vidrec.utils.signatures import passes_on

__all__ = ["ClipBatch", "ClipDataset", "ClipSample", "EvalVideo", "Failure", "MultiViewDataset", "collate_clips", "sample_rng"]

MAX_ATTEMPTS = 10  # unreadable videos in a row before a training sample is given up


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


def sample_rng(seed: int, epoch: int, position: int, attempt: int) -> np.random.Generator:
    """The generator of one attempt at one training sample; independent of all others."""
    return np.random.default_rng(np.random.SeedSequence((seed, epoch, position, attempt)))


@passes_on(TrainPipeline)
class ClipDataset(Dataset[ClipSample]):
    """Random training clips. An unreadable video is replaced by one drawn from (seed, epoch, position, attempt), and reported.

    Args:
        table: the list of videos.
        seed: of every choice.
        options: the arguments of TrainPipeline.
    """

    def __init__(self, table: VideoTable, *, seed: int = 0, **options: Any):
        self.table, self.seed = table, seed
        self.pipeline = TrainPipeline(**options)

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


def collate_clips(samples: list[ClipSample]) -> ClipBatch:
    """Samples -> one batch, the failures of all of them together."""
    return ClipBatch(
        clips=torch.stack([sample.clip for sample in samples]),
        labels=torch.tensor([sample.label for sample in samples], dtype=torch.int64),
        indices=torch.tensor([sample.index for sample in samples], dtype=torch.int64),
        failures=[failure for sample in samples for failure in sample.failures],
    )
