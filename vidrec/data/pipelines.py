"""From a file to what a dataset returns: choose frames, decode them once, cut and resize on uint8."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidrec.data.decoders import DEFAULTS, ReadOptions, VideoReader, decoder_version, open_video
from vidrec.data.sampling import segment_frames, view_frames
from vidrec.data.transforms import crop_clip, resize_clip
from vidrec.data.views import ViewGrid, crop_boxes, make_views, resized_size, train_crop

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
        reading: limits on what is read, and names of frame files.
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
    reading: ReadOptions = DEFAULTS

    def __post_init__(self) -> None:
        if self.crop_size > round(self.short_side * self.scale_range[0]):
            raise ValueError(
                f"crop_size is {self.crop_size}; it must be at most short_side times the smallest scale, "
                f"{round(self.short_side * self.scale_range[0])} pixels."
            )

    def __call__(self, path: str, rng: np.random.Generator) -> Tensor:
        """The clip that the generator draws; the same generator state gives the same clip. Raises VideoError."""
        with open_video(path, self.decoder, self.reading) as reader:
            indices = self.choose_frames(len(reader), rng)
            unique, places = np.unique(indices, return_inverse=True)  # the repeats of a short video are decoded and resized once
            clip = self.transform(decoded_parts(reader, unique), rng)
        return torch.from_numpy(clip[places] if len(unique) < len(indices) else clip)

    def choose_frames(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """[num_segments * clip_len] frame indices."""
        return segment_frames(num_frames, num_segments=self.num_segments, clip_len=self.clip_len, frame_stride=self.frame_stride, rng=rng)

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


@dataclass(frozen=True)
class EvalPipeline:
    """All views of a video without chance: its unique frames, resized, and the grid of views.

    Args:
        num_clips: temporal clips, from the first frame to the last; 1 is the center.
        num_crops: square crops sliding along the long side; 1 is the center.
        num_segments: above 1, the one clip has clip_len frames from the center of each of so many segments; num_clips must be 1.
        short_side: of the resized frame, pixels.
        crop_size: side of the square crops, pixels.
        clip_len, frame_stride, squeeze_to, decoder, reading: as in TrainPipeline.

    Example: 10 clips x 3 crops -> 30 views of clip_len frames; frames that clips share are decoded and kept once.
    """

    clip_len: int
    frame_stride: int
    num_clips: int = 1
    num_crops: int = 1
    num_segments: int = 1
    short_side: int = 256
    crop_size: int = 256
    squeeze_to: tuple[int, int] | None = None
    decoder: str = "auto"
    reading: ReadOptions = DEFAULTS

    def __post_init__(self) -> None:
        if self.num_segments > 1 and self.num_clips > 1:
            raise ValueError(f"num_clips is {self.num_clips} with {self.num_segments} segments in a clip; one of the two must be 1.")
        if self.crop_size > self.short_side:
            raise ValueError(f"crop_size is {self.crop_size}; it must be at most short_side, {self.short_side} pixels.")

    def __call__(self, path: str) -> tuple[Tensor, ViewGrid]:
        """Unique frames [N, h, w, 3] uint8 and the views cut from them. Raises VideoError."""
        size = partial(resized_size, short_side=self.short_side, squeeze_to=self.squeeze_to)
        with open_video(path, self.decoder, self.reading, size=size) as reader:
            clips = self.choose_frames(len(reader))
            resized = self.transform(decoded_parts(reader, np.unique(clips)))
        boxes = crop_boxes(*resized.shape[1:3], crop_size=self.crop_size, num_crops=self.num_crops)
        return torch.from_numpy(resized), make_views(clips, boxes)[1]

    def choose_frames(self, num_frames: int) -> np.ndarray:
        """[num_clips, T] frame indices."""
        common = {"num_frames": num_frames, "clip_len": self.clip_len, "frame_stride": self.frame_stride}
        if self.num_segments > 1:
            return segment_frames(**common, num_segments=self.num_segments)[None]
        return view_frames(**common, num_segments=self.num_clips)

    def transform(self, parts: Iterator[np.ndarray]) -> np.ndarray:
        """Parts [n, H, W, 3] uint8 of the unique frames -> [N, h, w, 3], resized where the reader has not done it."""
        done = []
        for part in parts:
            size = resized_size(*part.shape[1:3], short_side=self.short_side, squeeze_to=self.squeeze_to)
            done.append(resize_clip(part, *size))
        return np.concatenate(done) if len(done) > 1 else done[0]

    def protocol(self) -> dict[str, Any]:
        """Every choice behind the views, fit for JSON."""
        return asdict(self) | {"decoder": decoder_version(self.decoder), "resize": "cv2.INTER_LINEAR"}
