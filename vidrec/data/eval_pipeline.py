"""From a file to all views of a video: choose the frames of all clips, decode each once, resize, and lay the grid of crops."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidrec.data.clip_sampling import SamplingName, sampling_of
from vidrec.data.clip_starts import place_clips
from vidrec.data.decoders import DEFAULTS, ReadOptions, VideoBytes, decoder_version, open_video
from vidrec.data.pipelines import decoded_parts, name_of, part_of
from vidrec.data.sampling import ShortVideo
from vidrec.data.spans import Span
from vidrec.data.timeline import Timeline, clip_seconds
from vidrec.data.transforms import resize_clip
from vidrec.data.view_crops import make_crops
from vidrec.data.views import ViewGrid, frame_order, make_views, resized_size


@dataclass(frozen=True)
class EvalPipeline:
    """All views of a video without chance: its unique frames, resized, and the grid of views.

    Args:
        num_clips: temporal clips, placed as `clip_starts` says.
        num_crops: square crops, placed as `crops` says.
        num_segments: above 1, the one clip is that of training without chance, from so many segments; num_clips must be 1.
        short_side: of the resized frame, pixels.
        crop_size: side of the square crops, pixels.
        sampling: another than reference takes the one clip as training does, without chance; num_clips must be 1.
        clip_starts: a rule of `place_clips`.
        target_fps: the rate that frame_stride counts, frames per second; 0: the video's own. See `place_clips`.
        short_video: what follows where the video ends before a clip, see `fold_frames`.
        crops: a scheme of `make_crops`.
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
    sampling: SamplingName = "reference"
    clip_starts: str = "reference"
    target_fps: float = 0.0
    short_video: ShortVideo = "repeat_last"
    crops: str = "slides"

    def __post_init__(self) -> None:
        if self.num_segments > 1 and self.num_clips > 1:
            raise ValueError(f"num_clips is {self.num_clips} with {self.num_segments} segments in a clip; one of the two must be 1.")
        if self.sampling != "reference" and self.num_clips > 1:
            raise ValueError(f"num_clips is {self.num_clips} with {self.sampling} sampling, which gives one clip; it must be 1.")
        if self.crop_size > self.short_side:
            raise ValueError(f"crop_size is {self.crop_size}; it must be at most short_side, {self.short_side} pixels.")
        make_crops(self.crops, self.short_side, self.short_side, crop_size=self.crop_size, num_crops=self.num_crops)  # says what is wrong
        sampling_of(self)

    def __call__(self, path: str | VideoBytes, span: Span | None = None) -> tuple[Tensor, ViewGrid]:
        """Unique frames [N, h, w, 3] uint8 of the span, in their `frame_order`, and the views cut from them. Raises VideoError."""
        size = partial(resized_size, short_side=self.short_side, squeeze_to=self.squeeze_to)
        with open_video(path, self.decoder, self.reading, size=size) as reader:
            first, video = part_of(reader, span, path, with_times=self.target_fps > 0)
            chosen = self.choose_frames(video)
            seconds, clips = clip_seconds(video, chosen, first=first), first + chosen
            frames = frame_order(clips)
            keep = partial(self.reading.check_clip, name_of(path), len(frames))
            keep()
            parts = decoded_parts(reader, np.sort(frames), lambda height, width: keep(size(height, width)))
            resized = self.transform(parts, np.argsort(frames))
        boxes, flips = make_crops(self.crops, *resized.shape[1:3], crop_size=self.crop_size, num_crops=self.num_crops)
        return torch.from_numpy(resized), make_views(clips, boxes, flips, seconds)[1]

    def choose_frames(self, video: Timeline) -> np.ndarray:
        """[num_clips, T] frame indices."""
        if self.num_segments > 1 or self.sampling != "reference":
            return sampling_of(self)(video)[None]
        return place_clips(
            self.clip_starts,
            video,
            num_clips=self.num_clips,
            clip_len=self.clip_len,
            frame_stride=self.frame_stride,
            short_video=self.short_video,
            target_fps=self.target_fps,
        )

    def transform(self, parts: Iterator[np.ndarray], slots: np.ndarray) -> np.ndarray:
        """Parts [n, H, W, 3] uint8 of N frames -> [N, h, w, 3], resized if not yet, frame n in slots[n]; never twice in memory."""
        resized, done = np.empty((0, 0, 0, 3), dtype=np.uint8), 0
        for part in parts:
            size = resized_size(*part.shape[1:3], short_side=self.short_side, squeeze_to=self.squeeze_to)
            if done == 0:
                resized = np.empty((len(slots), *size, 3), dtype=np.uint8)
            resized[slots[done : done + len(part)]] = resize_clip(part, *size)
            done += len(part)
        return resized

    def protocol(self) -> dict[str, Any]:
        """Every choice behind the views, fit for JSON."""
        return asdict(self) | {"decoder": decoder_version(self.decoder), "resize": "cv2.INTER_LINEAR"}
