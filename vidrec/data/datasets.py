"""Videos as samples: one random clip each for training; all views of a video at once, for validation and test, are in multiview.py."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vidrec.data.annotations import VideoTable
from vidrec.data.augment import AugmentPlan, ClipAugment
from vidrec.data.augment_ops import apply_plan
from vidrec.data.multiview import EvalVideo, Failure, MultiViewDataset
from vidrec.data.pipelines import TrainClip, TrainPipeline
from vidrec.data.samplers import SampleKey
from vidrec.data.views import TrainCrop
from vidrec.data.watch import watched
from vidrec.registry import hands_on
from vidrec.utils.errors import DataError, VideoError

__all__ = ["ClipBatch", "ClipDataset", "ClipSample", "EvalVideo", "Failure", "MultiViewDataset", "collate_clips", "pair_rng", "sample_rng"]

MAX_ATTEMPTS = 10  # unreadable videos in a row before a training sample is given up
PAIR = 0x6D6978  # in the seed of what is drawn for two clips together, so that it is no clip's own


class ClipSample(NamedTuple):
    """A training sample. `index` is the row that was read: a substitute's where the drawn video is unreadable."""

    clip: Tensor  # [T, H, W, 3] uint8
    label: int
    index: int
    failures: tuple[Failure, ...]
    crop: TrainCrop  # where it was cut, and whether it is mirrored
    plan: AugmentPlan  # of what happens to the pixels after that
    targets: Tensor | None = None  # [K] float32, 1 for each class; None where every video of the list has one label


class ClipBatch(NamedTuple):
    clips: Tensor  # [B, T, H, W, 3] uint8
    labels: Tensor  # [B] int64; [B, K] float32 where videos have several labels (1 for each) or clips are mixed (shares)
    indices: Tensor  # [B] int64
    failures: list[Failure]
    crops: tuple[TrainCrop, ...] = ()
    plans: tuple[AugmentPlan, ...] = ()


def sample_rng(seed: int, epoch: int, position: int, attempt: int, repeat: int = 0) -> np.random.Generator:
    """The generator of one attempt at one training sample; independent of all others. Repeat 0 has that of a run without repeats."""
    return np.random.default_rng(np.random.SeedSequence((seed, epoch, position, attempt, *((repeat,) if repeat else ()))))


def pair_rng(seed: int, key: SampleKey) -> np.random.Generator:
    """The generator of the pair of clips that are mixed with each other, at positions 2p and 2p + 1; in the same state for both."""
    return np.random.default_rng(np.random.SeedSequence((seed, key.epoch, key.position // 2, 0, key.repeat, PAIR)))


@hands_on(TrainPipeline)
class ClipDataset(Dataset[ClipSample]):
    """Random training clips. An unreadable video is replaced by one drawn from (seed, epoch, position, attempt), and reported.

    Args:
        table: the list of videos.
        seed: of every choice.
        augment: what is drawn for the pixels of a clip.
        mean: RGB in [0, 1], the color of boxes that are erased without noise.
        augment_here: apply it to the samples, all but the mixing of clips; False leaves everything to who gets the batch.
        flip_labels: label -> label of a clip that is mirrored, for those that change (left becomes right).
        pipeline: as in TrainPipeline.
    """

    def __init__(
        self,
        table: VideoTable,
        *,
        seed: int = 0,
        augment: ClipAugment = ClipAugment(),  # noqa: B008  it is frozen
        augment_here: bool = True,
        mean: tuple[float, ...] = (0.0, 0.0, 0.0),
        flip_labels: Mapping[int, int] = MappingProxyType({}),
        **pipeline: Any,
    ):
        self.table, self.seed, self.augment, self.augment_here, self.mean = table, seed, augment, augment_here, mean
        self.flip_labels = dict(flip_labels)
        self.pipeline = TrainPipeline(**pipeline)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, key: SampleKey) -> ClipSample:
        """The sample of a key. Raises DataError where MAX_ATTEMPTS videos in a row cannot be read."""
        return self._samples([key])[0]

    def __getitems__(self, keys: list[SampleKey]) -> list[ClipSample]:
        """The samples of a batch; the clips of one video, whose keys stand beside each other, come from one decode."""
        videos = groupby(keys, key=lambda key: (key.epoch, key.position))
        return [sample for _, group in videos for sample in self._samples(list(group))]

    def _samples(self, keys: list[SampleKey]) -> list[ClipSample]:
        """The samples of keys that differ in `repeat` only. Failures are reported with the first of them."""
        failures: list[Failure] = []
        pipeline = self.pipeline.shaped(keys[0].shape)
        for attempt in range(MAX_ATTEMPTS):
            index, rngs = self._draw_video(keys, attempt)
            path = self.table.path(index)
            try:
                with watched(path):
                    clips = pipeline(self.table.source(index), *rngs, span=self.table.span(index))
            except VideoError as error:
                failures.append(Failure(path, str(error)))
                continue
            told = [tuple(failures), *[()] * (len(keys) - 1)]
            return [self._sample(*parts, index=index) for parts in zip(keys, clips, rngs, told, strict=True)]
        listed = "\n".join(f"  - {failure.reason}" for failure in failures)
        raise DataError(
            f"{MAX_ATTEMPTS} videos in a row cannot be read; a run ends at {MAX_ATTEMPTS} in a row, whatever CONFIG.DATA.MAX_BAD_SHARE "
            f"allows. Check CONFIG.DATA.TRAIN_DATA_PATH:\n{listed}"
        )

    def _draw_video(self, keys: list[SampleKey], attempt: int) -> tuple[int, list[np.random.Generator]]:
        """The row to read: the key's, then substitutes; and the generators of the clips, which choose frames next."""
        epoch, position = keys[0].epoch, keys[0].position
        first = sample_rng(self.seed, epoch, position, attempt)
        index = keys[0].index if attempt == 0 else int(first.integers(len(self.table)))
        return index, [sample_rng(self.seed, epoch, position, attempt, key.repeat) if key.repeat else first for key in keys]

    def _sample(
        self, key: SampleKey, clip: TrainClip, rng: np.random.Generator, failures: tuple[Failure, ...], *, index: int
    ) -> ClipSample:
        plan = self.augment.draw(rng, clip.frames.shape[1], pair_rng=pair_rng(self.seed, key))
        frames = apply_plan(clip.frames, plan, self.mean) if self.augment_here else clip.frames
        swap = self.flip_labels if clip.crop.flip else {}
        label, targets = self.table.label(index), None
        if self.table.multi_label:
            targets = self.table.multi_hot(index)
            targets[list(swap)] = targets[list(swap.values())]  # the map goes both ways
        return ClipSample(frames, swap.get(label, label), index, failures, clip.crop, plan, targets)

    @property
    def annotation_sha256(self) -> str:
        return self.table.sha256

    def protocol(self) -> dict[str, Any]:
        """Every resolved field of how clips are made, fit for JSON."""
        return self.pipeline.protocol() | {"seed": self.seed, "augment": asdict(self.augment), "flip_labels": self.flip_labels}


def collate_clips(samples: list[ClipSample]) -> ClipBatch:
    """Samples -> one batch, the failures of all of them together."""
    several = samples[0].targets is not None
    return ClipBatch(
        clips=torch.stack([sample.clip for sample in samples]),
        labels=torch.stack([sample.targets for sample in samples]) if several else torch.tensor([sample.label for sample in samples]),
        indices=torch.tensor([sample.index for sample in samples], dtype=torch.int64),
        failures=[failure for sample in samples for failure in sample.failures],
        crops=tuple(sample.crop for sample in samples),
        plans=tuple(sample.plan for sample in samples),
    )
