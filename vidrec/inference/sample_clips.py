"""A few clips of a list of videos, always the same ones: to compare networks on, and to calibrate them with."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidrec.data.multiview import EvalVideo, Failure, MultiViewDataset
from vidrec.data.transforms import cut_views
from vidrec.utils.errors import DataError


class SampleClips(NamedTuple):
    """Clips [N, T, H, W, 3] uint8 of N videos, and what could not be read."""

    clips: Tensor
    failures: list[Failure]


def sample_clips(videos: MultiViewDataset, count: int) -> SampleClips:
    """The middle view of `count` videos spread evenly over a list; of a shorter list, that of all.

    A video that cannot be read is replaced by another one of the list, and reported.

    Raises:
        DataError: no video of the list can be read.
    """
    clips, failures = [], []
    for row in spread(len(videos), count):
        video = videos[row]
        if video.failure is not None:
            failures.append(video.failure)
        else:
            clips.append(middle_view(video))
        if len(clips) == count:
            break
    if not clips:
        shown = f" ({failures[0].path}: {failures[0].reason})" if failures else ""
        raise DataError(f"None of the {len(videos)} videos of the list can be read{shown}; at least one must be. Mend the list.")
    return SampleClips(torch.stack(clips), failures)


def spread(total: int, count: int) -> Iterator[int]:
    """Rows of a list: `count` of them spread evenly, then all others.

    Example: 6 rows, 3 wanted -> 0, 2, 5, then 1, 3, 4
    """
    first = np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist() if total else []
    yield from first
    yield from sorted(set(range(total)) - set(first))


def middle_view(video: EvalVideo) -> Tensor:
    """[T, H, W, 3] uint8: the view in the middle of a video's views."""
    middle = len(video.views) // 2
    return cut_views(video.frames, video.views, middle, middle + 1)[0]


def noise_clips(count: int, *, clip_len: int, size: int) -> Tensor:
    """[count, T, size, size, 3] uint8 random pixels, the same ones in every run."""
    return torch.randint(0, 256, (count, clip_len, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
