"""A long video as windows that slide over it, each cut into views as a video of its own, decoded once and in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from vidrec.data.decoders import VideoReader, open_video
from vidrec.data.eval_pipeline import EvalPipeline
from vidrec.data.multiview import EvalVideo
from vidrec.data.pipelines import part_of
from vidrec.data.spans import Span
from vidrec.data.timeline import Timeline
from vidrec.data.transforms import resize_clip
from vidrec.data.view_crops import make_crops
from vidrec.data.views import frame_order, make_views, resized_size

PART_FRAMES = 16  # frames held at full size at a time
FPS = 25.0  # of what does not tell its rate, such as a folder of frames


class Window(NamedTuple):
    """A part of a video: seconds from its start, its views, and how many windows there are (0: nobody knows)."""

    start_s: float
    stop_s: float
    video: EvalVideo
    total: int = 0


class WindowPlan(NamedTuple):
    """Where the windows of a video lie.

    Attributes:
        length: of a window, frames.
        firsts: [W] int64, the first frame of each.
    """

    length: int
    firsts: np.ndarray


def plan_windows(num_frames: int, *, length: int, stride: int) -> WindowPlan:
    """Windows that cover a video: one every `stride` frames, and a last one that ends where the video does.

    A video shorter than a window is one window of its own length.

    Example: 10 frames, length 4, stride 3 -> first frames 0, 3, 6; 11 frames -> 0, 3, 6, 7
    """
    length = min(length, num_frames)
    firsts = np.arange(0, num_frames - length + 1, stride, dtype=np.int64)
    return WindowPlan(length, firsts if firsts[-1] == num_frames - length else np.append(firsts, num_frames - length))


def window_frames(pipeline: EvalPipeline, fps: float, seconds: float = 0.0) -> int:
    """Frames of a window of so many seconds; 0: those that one clip spans.

    Example: clips of 32 frames, 2 apart -> 63; at target_fps 15 in a video of 30 fps -> 126
    """
    if seconds:
        return max(round(seconds * fps), 1)
    span = (pipeline.clip_len - 1) * pipeline.frame_stride + 1
    return max(round(span * fps / pipeline.target_fps), 1) if pipeline.target_fps > 0 else span


def sliding(pipeline: EvalPipeline, *, crops: int = 1) -> EvalPipeline:
    """The pipeline for one window: one clip, and the crop of the middle or all of a test, without a limit on the time that decoding
    takes."""
    return replace(pipeline, num_clips=1, num_crops=crops, reading=replace(pipeline.reading, max_seconds=0.0))


def read_windows(
    path: str | Path, pipeline: EvalPipeline, *, stride_s: float, window_s: float = 0.0, span: Span | None = None
) -> Iterator[Window]:
    """The windows of a video in the order of time.

    Only the frames of the windows at hand are in memory, resized; those that windows share are decoded once.

    Args:
        pipeline: of one window, see `sliding`.
        stride_s: seconds from the start of a window to that of the next; at least one frame.
        window_s: seconds of a window; 0: what one clip spans.
        span: the part of the video; seconds count from the start of the whole.

    Raises:
        VideoError: the video cannot be read, at the first window or on the way.
    """
    size = partial(resized_size, short_side=pipeline.short_side, squeeze_to=pipeline.squeeze_to)
    with open_video(path, pipeline.decoder, pipeline.reading, size=size) as reader:
        start, times = part_of(reader, span, str(path), with_times=True)
        fps = times.fps or FPS
        seconds = (times.seconds() if times.fps else np.arange(times.num_frames) / fps) + start / fps
        plan = plan_windows(times.num_frames, length=window_frames(pipeline, fps, window_s), stride=max(round(stride_s * fps), 1))
        chosen = [start + first + pipeline.choose_frames(_part(pipeline, times, int(first), plan.length)) for first in plan.firsts]
        wanted = np.unique(np.concatenate(chosen))
        most = int((np.searchsorted(wanted, start + plan.firsts + plan.length) - np.searchsorted(wanted, start + plan.firsts)).max())
        frames = _Frames(reader, pipeline, wanted, check=partial(pipeline.reading.check_clip, str(path), most))
        for index, (first, clips) in enumerate(zip(plan.firsts.tolist(), chosen, strict=True)):
            frames.forget_before(int(clips.min()))
            video = views_of(pipeline, frames.get(clips), clips, str(path), index)
            yield Window(float(seconds[first]), float(seconds[first + plan.length - 1]) + 1 / fps, video, len(plan.firsts))


def _part(pipeline: EvalPipeline, times: Timeline, first: int, length: int) -> Timeline:
    part = times.part(first, length)
    return part if pipeline.target_fps > 0 else part._replace(times=None)


def views_of(pipeline: EvalPipeline, frames: np.ndarray, clips: np.ndarray, path: str, index: int) -> EvalVideo:
    """The views of clips [K, T] of frame numbers, from their frames [N, h, w, 3], each once in their `frame_order`."""
    boxes, flips = make_crops(pipeline.crops, *frames.shape[1:3], crop_size=pipeline.crop_size, num_crops=pipeline.num_crops)
    return EvalVideo(index, -1, path, torch.from_numpy(frames), make_views(clips, boxes, flips)[1], None)


class _Frames:
    """The wanted frames of an open video, decoded in rising order as they are asked for, and kept until they are forgotten."""

    def __init__(self, reader: VideoReader, pipeline: EvalPipeline, wanted: np.ndarray, *, check: Callable[[tuple[int, int]], None]):
        self._reader, self._pipeline, self._wanted, self._check = reader, pipeline, wanted, check
        self._next = 0  # place in wanted of the next frame to decode
        self._kept: dict[int, np.ndarray] = {}

    def forget_before(self, first: int) -> None:
        self._kept = {number: frame for number, frame in self._kept.items() if number >= first}

    def get(self, clips: np.ndarray) -> np.ndarray:
        """The frames of clips [K, T], each once in their `frame_order`: [N, h, w, 3] uint8."""
        last, pipeline = int(clips.max()), self._pipeline
        while self._next < len(self._wanted) and self._wanted[self._next] <= last:
            part = self._wanted[self._next : self._next + PART_FRAMES]
            decoded = self._reader.get_frames(part).numpy()
            size = resized_size(*decoded.shape[1:3], short_side=pipeline.short_side, squeeze_to=pipeline.squeeze_to)
            self._check(size)
            self._kept |= dict(zip(part.tolist(), resize_clip(decoded, *size), strict=True))
            self._next += len(part)
        return np.stack([self._kept[number] for number in frame_order(clips).tolist()])
