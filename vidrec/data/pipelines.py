"""From a file to training clips: choose frames, decode them once, cut and resize on uint8. For test views: eval_pipeline.py."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from vidrec.data.clip_sampling import SamplingName, sampling_of
from vidrec.data.crops import corner_crop, resized_crop
from vidrec.data.decoders import DEFAULTS, ReadOptions, VideoBytes, VideoReader, decoder_version, open_video
from vidrec.data.multigrid import ClipShape
from vidrec.data.sampling import ShortVideo
from vidrec.data.spans import Span, span_frames
from vidrec.data.timeline import Timeline, read_timeline
from vidrec.data.transforms import crop_clip
from vidrec.data.views import TrainCrop, train_crop
from vidrec.utils.errors import VideoError

PART_FRAMES = 16  # frames held at full size at a time, so that 300 frames of 1080p do not take 2 GB


def name_of(path: str | VideoBytes) -> str:
    """A video as messages speak of it."""
    return path.name if isinstance(path, VideoBytes) else str(path)


def decoded_parts(
    reader: VideoReader, indices: np.ndarray, check: Callable[[int, int], None] = lambda height, width: None
) -> Iterator[np.ndarray]:
    """The frames of rising `indices`, decoded in parts of at most PART_FRAMES: [n, H, W, 3] uint8 each. Raises VideoError.

    Args:
        check: gets height and width of the first part, before the next is decoded.
    """
    for start in range(0, len(indices), PART_FRAMES):
        part = reader.get_frames(indices[start : start + PART_FRAMES]).numpy()
        if start == 0:
            check(*part.shape[1:3])
        yield part


class TrainClip(NamedTuple):
    """A clip and where it was cut."""

    frames: Any  # [T, S, S, 3] uint8, a tensor where it leaves the pipeline
    crop: TrainCrop


def part_of(reader: VideoReader, span: Span | None, path: str | VideoBytes, *, with_times: bool) -> tuple[int, Timeline]:
    """First frame of the span of an open video, and the timeline of the span. Raises VideoError where the video has no such part."""
    try:
        first, num_frames = span_frames(span, len(reader), reader.fps)
    except ValueError as error:
        raise VideoError(f"{name_of(path)} has no frame in its span: {error}") from error
    return first, read_timeline(reader, with_times=with_times).part(first, num_frames)


@dataclass(frozen=True)
class TrainPipeline:
    """Random clips of a video: [num_segments * clip_len / frame_step, crop_size, crop_size, 3] uint8 each.

    Args:
        clip_len: frames in a clip (in each segment).
        frame_stride: distance between frames, in frames.
        frame_step: of the frames so chosen, every frame_step-th enters (multigrid training).
        num_segments: temporal segments of a sample.
        crop: `short_side`: a square of the frame whose short side is short_side times a random factor; `resized`: a box of random area
            and aspect; `corners`: a corner or the center, in one of several sizes.
        short_side: of the resized frame before the random factor, pixels; used by `short_side` only, as is scale_range.
        scale_range: that factor is drawn from here.
        crop_area, crop_aspect: as in `resized_crop`; used by `resized` only.
        corner_scales, corner_distort: as in `corner_crop`; used by `corners` only.
        crop_size: side of the square that comes out, pixels.
        flip_prob: probability of mirroring left to right.
        squeeze_to: (height, width) that every frame is brought to first, aspect distorted; None keeps the aspect.
        decoder: a name of DECODERS.
        reading: limits on what is read, and names of frame files.
        sampling, target_fps, short_video: how the frames are chosen, see ClipSampling.
    """

    clip_len: int
    frame_stride: int
    frame_step: int = 1
    num_segments: int = 1
    crop: Literal["short_side", "resized", "corners"] = "short_side"
    short_side: int = 256
    scale_range: tuple[float, float] = (1.0, 1.25)
    crop_area: tuple[float, float] = (0.08, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    corner_scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    corner_distort: int = 1
    crop_size: int = 224
    flip_prob: float = 0.5
    squeeze_to: tuple[int, int] | None = None
    decoder: str = "auto"
    reading: ReadOptions = DEFAULTS
    sampling: SamplingName = "reference"
    target_fps: float = 0.0
    short_video: ShortVideo = "repeat_last"

    def __post_init__(self) -> None:
        sampling_of(self)  # says what does not go together
        if self.crop == "short_side" and self.crop_size > round(self.short_side * self.scale_range[0]):
            raise ValueError(
                f"crop_size is {self.crop_size}; it must be at most short_side times the smallest scale, "
                f"{round(self.short_side * self.scale_range[0])} pixels."
            )

    def __call__(self, path: str | VideoBytes, *rngs: np.random.Generator, span: Span | None = None) -> list[TrainClip]:
        """A clip from the span for each generator, from one decode; the same generator state gives the same clip. Raises VideoError."""
        with open_video(path, self.decoder, self.reading) as reader:
            first, video = part_of(reader, span, path, with_times=self.target_fps > 0)
            indices = [first + self.choose_frames(video, rng) for rng in rngs]
            unique = np.unique(np.concatenate(indices))  # what clips share, and the repeats of a short video, is decoded once
            self.reading.check_clip(name_of(path), len(unique))
            cut = self.transform(decoded_parts(reader, unique), [np.isin(unique, each) for each in indices], rngs)
        return [TrainClip(torch.from_numpy(_in_order(clip.frames, each)), clip.crop) for clip, each in zip(cut, indices, strict=True)]

    def shaped(self, shape: ClipShape | None) -> "TrainPipeline":
        """This pipeline for clips of another shape; itself for None."""
        return self if shape is None else replace(self, **shape._asdict())

    def choose_frames(self, video: Timeline, rng: np.random.Generator) -> np.ndarray:
        """[num_segments * clip_len / frame_step] frame indices."""
        return sampling_of(self)(video, rng)[:: self.frame_step]

    def choose_crop(self, height: int, width: int, rng: np.random.Generator) -> TrainCrop:
        """One crop for all frames of a clip, in pixels of the source."""
        common = {"flip_prob": self.flip_prob, "squeeze_to": self.squeeze_to, "rng": rng}
        if self.crop == "resized":
            return resized_crop(height, width, area=self.crop_area, aspect=self.crop_aspect, **common)
        if self.crop == "corners":
            return corner_crop(height, width, scales=self.corner_scales, max_distort=self.corner_distort, **common)
        common |= {"short_side": self.short_side, "scale_range": self.scale_range, "crop_size": self.crop_size}
        return train_crop(height, width, **common)

    def transform(self, parts: Iterator[np.ndarray], masks: Sequence[np.ndarray], rngs: Sequence[np.random.Generator]) -> list[TrainClip]:
        """Parts [n, H, W, 3] uint8 of N frames -> for each generator those of its mask [N] bool: [M, crop_size, crop_size, 3]."""
        crops, done, start = [], [[] for _ in rngs], 0
        for part in parts:
            crops = crops or [self.choose_crop(*part.shape[1:3], rng) for rng in rngs]
            for frames, mask, crop in zip(done, masks, crops, strict=True):
                here = mask[start : start + len(part)]
                frames.append(crop_clip(part if here.all() else part[here], crop, self.crop_size))
            start += len(part)
        clips = (np.concatenate(frames) if len(frames) > 1 else frames[0] for frames in done)
        return [TrainClip(clip, crop) for clip, crop in zip(clips, crops, strict=True)]

    def protocol(self) -> dict[str, Any]:
        """Every choice behind a clip, fit for JSON."""
        return asdict(self) | {"decoder": decoder_version(self.decoder), "resize": "cv2.INTER_LINEAR"}


def _in_order(unique: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The unique frames [M, ...] in the order of `indices` [T], repeated where those repeat."""
    places = np.unique(indices, return_inverse=True)[1]
    return unique if np.array_equal(places, np.arange(len(unique))) else unique[places]
