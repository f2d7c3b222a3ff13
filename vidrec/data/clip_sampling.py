"""Which frames a training clip has, as a config asks for it: one rule by name, at the video's own rate or another (numpy only)."""

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from vidrec.data.sampling import (
    ShortVideo,
    dense_frames,
    dense_sample_frames,
    dense_stride,
    segment_frames,
    spread_frames,
)
from vidrec.data.timeline import Timeline, resampled_frames

SamplingName = Literal["reference", "dense", "segments", "uniform", "dense_sample"]


@dataclass(frozen=True)
class ClipSampling:
    """Frame indices of one clip of a video, [num_segments * clip_len] int64.

    Args:
        clip_len: frames in a clip (in each segment).
        frame_stride: distance between frames, in frames of the rate that `target_fps` names.
        num_segments: temporal segments of a clip.
        sampling: reference: `clip_frames` in each of the segments, with the reference zoo's steps; dense: one clip of the exact stride;
            segments: a clip of the exact stride from each share of the video; uniform: single frames, one from each of
            num_segments * clip_len equal shares (the stride has no effect); dense_sample: num_segments * clip_len frames spread over
            64 (the stride has no effect, and a short video starts again).
        target_fps: choose as if the video had this rate, frames per second; 0: its own.
        short_video: what follows where the video ends before the clip, see `fold_frames`.

    Raises:
        ValueError: several segments in a dense clip, or more frames than a dense sample has.
    """

    clip_len: int
    frame_stride: int
    num_segments: int = 1
    sampling: SamplingName = "reference"
    target_fps: float = 0.0
    short_video: ShortVideo = "repeat_last"

    def __post_init__(self) -> None:
        if self.sampling == "dense" and self.num_segments > 1:
            raise ValueError(f"num_segments is {self.num_segments} with dense sampling, which takes 1; segments takes more.")
        if self.sampling == "dense_sample":
            dense_stride(self.num_segments * self.clip_len)

    def __call__(self, video: Timeline, rng: np.random.Generator | None = None) -> np.ndarray:
        """The clip that the generator draws; without one that in the center."""
        frames = resampled_frames(video, self.target_fps)
        return frames[self._choose(len(frames), rng)]

    def _choose(self, num_frames: int, rng: np.random.Generator | None) -> np.ndarray:
        total = self.num_segments * self.clip_len
        if self.sampling == "dense_sample":
            return dense_sample_frames(num_frames, clip_len=total, rng=rng)
        if self.sampling == "uniform":
            return spread_frames(num_frames, num_segments=total, rng=rng)
        clip = {"clip_len": self.clip_len, "frame_stride": self.frame_stride, "short_video": self.short_video}
        if self.sampling == "dense":
            return dense_frames(num_frames, **clip, rng=rng)
        choose = {"reference": segment_frames, "segments": spread_frames}[self.sampling]
        return choose(num_frames, **clip, num_segments=self.num_segments, rng=rng)


def sampling_of(options: Any) -> ClipSampling:
    """The sampling of a pipeline: an object that has its fields among others."""
    return ClipSampling(**{field.name: getattr(options, field.name) for field in fields(ClipSampling)})
