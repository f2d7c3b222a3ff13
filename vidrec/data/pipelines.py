"""From a file to a training clip: choose frames, decode them once, cut and resize on uint8. For test views: eval_pipeline.py."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidrec.data.clip_sampling import SamplingName, sampling_of
from vidrec.data.decoders import VideoReader, decoder_version, open_video
from vidrec.data.sampling import ShortVideo
from vidrec.data.timeline import Timeline, read_timeline
from vidrec.data.transforms import crop_clip
from vidrec.data.views import train_crop

PART_FRAMES = 16  # frames held at full size at a time, so that 300 frames of 1080p do not take 2 GB


def decoded_parts(reader: VideoReader, indices: np.ndarray) -> Iterator[np.ndarray]:
    """The frames of rising `indices`, decoded in parts of at most PART_FRAMES: [n, H, W, 3] uint8 each. Raises VideoError."""
    for start in range(0, len(indices), PART_FRAMES):
        yield reader.get_frames(indices[start : start + PART_FRAMES]).numpy()


@dataclass(frozen=True)
class TrainPipeline:
    """One random clip of a video: [num_segments * clip_len, crop_size, crop_size, 3] uint8.

    Args:
        clip_len: frames in a clip (in each segment).
        frame_stride: distance between frames, in frames.
        num_segments: temporal segments of a sample.
        short_side: of the resized frame before the random factor, pixels.
        scale_range: that factor is drawn from here.
        crop_size: side of the square crop, pixels.
        flip_prob: probability of mirroring left to right.
        squeeze_to: (height, width) that every frame is brought to first, aspect distorted; None keeps the aspect.
        decoder: a name of DECODERS.
        sampling, target_fps, short_video: how the frames are chosen, see ClipSampling.
    """

    clip_len: int
    frame_stride: int
    num_segments: int = 1
    short_side: int = 256
    scale_range: tuple[float, float] = (1.0, 1.25)
    crop_size: int = 224
    flip_prob: float = 0.5
    squeeze_to: tuple[int, int] | None = None
    decoder: str = "auto"
    sampling: SamplingName = "reference"
    target_fps: float = 0.0
    short_video: ShortVideo = "repeat_last"

    def __post_init__(self) -> None:
        sampling_of(self)  # says what does not go together
        if self.crop_size > round(self.short_side * self.scale_range[0]):
            raise ValueError(
                f"crop_size is {self.crop_size}; it must be at most short_side times the smallest scale, "
                f"{round(self.short_side * self.scale_range[0])} pixels."
            )

    def __call__(self, path: str, rng: np.random.Generator) -> Tensor:
        """The clip that the generator draws; the same generator state gives the same clip. Raises VideoError."""
        with open_video(path, self.decoder) as reader:
            indices = self.choose_frames(read_timeline(reader, with_times=self.target_fps > 0), rng)
            unique, places = np.unique(indices, return_inverse=True)  # the repeats of a short video are decoded and resized once
            clip = self.transform(decoded_parts(reader, unique), rng)
        return torch.from_numpy(clip[places] if len(unique) < len(indices) else clip)

    def choose_frames(self, video: Timeline, rng: np.random.Generator) -> np.ndarray:
        """[num_segments * clip_len] frame indices."""
        return sampling_of(self)(video, rng)

    def transform(self, parts: Iterator[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Parts [n, H, W, 3] uint8 of a clip -> [N, crop_size, crop_size, 3]; one crop for all frames."""
        crop, done = None, []
        for part in parts:
            if crop is None:
                crop = train_crop(
                    *part.shape[1:3],
                    short_side=self.short_side,
                    scale_range=self.scale_range,
                    crop_size=self.crop_size,
                    flip_prob=self.flip_prob,
                    squeeze_to=self.squeeze_to,
                    rng=rng,
                )
            done.append(crop_clip(part, crop, self.crop_size))
        return np.concatenate(done) if len(done) > 1 else done[0]

    def protocol(self) -> dict[str, Any]:
        """Every choice behind a clip, fit for JSON."""
        return asdict(self) | {"decoder": decoder_version(self.decoder), "resize": "cv2.INTER_LINEAR"}
