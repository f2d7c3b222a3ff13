"""Where the clips of a test lie, by the rule of a published project (numpy only). docs/protocols.md has the table."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vidrec.data.sampling import (
    ShortVideo,
    check_counts,
    dense_starts,
    dense_stride,
    fold_frames,
    segment_middles,
    view_frames,
)
from vidrec.data.timeline import NEARLY, Timeline, resampled_frames


class WantedClips(NamedTuple):
    """How many clips of how many frames are wanted; see `place_clips`."""

    num_clips: int
    clip_len: int
    frame_stride: int
    short_video: ShortVideo
    target_fps: float


def place_clips(
    rule: str,
    video: Timeline,
    *,
    num_clips: int,
    clip_len: int,
    frame_stride: int,
    short_video: ShortVideo = "repeat_last",
    target_fps: float = 0.0,
) -> np.ndarray:
    """Frame indices of the clips of a test, [num_clips, clip_len] int64, each in [0, num_frames).

    Args:
        rule: a name of RULES or TIMED_RULES.
        frame_stride: distance between frames inside a clip, in frames of the rate target_fps.
        short_video: what follows where the video ends before a clip, see `fold_frames`.
        target_fps: rules of RULES see the video resampled to this rate (0: its own); those of TIMED_RULES give a clip the seconds
            that clip_len * frame_stride frames last at this rate, and take frames of the file.

    Example: reference, 10 frames, 2 clips of 3 frames, stride 2 -> [[0, 2, 4], [4, 6, 8]]
    """
    check_counts(num_frames=video.num_frames, num_clips=num_clips, clip_len=clip_len, frame_stride=frame_stride)
    shape = WantedClips(num_clips, clip_len, frame_stride, short_video, max(target_fps, 0.0))
    if rule in TIMED_RULES:
        return TIMED_RULES[rule](video, shape)
    frames = resampled_frames(video, target_fps)
    return frames[RULES[rule](len(frames), shape)]


def _reference(num_frames: int, shape: WantedClips) -> np.ndarray:
    return view_frames(
        num_frames,
        num_segments=shape.num_clips,
        clip_len=shape.clip_len,
        frame_stride=shape.frame_stride,
        short_video=shape.short_video,
    )


def _segment_centers(num_frames: int, shape: WantedClips) -> np.ndarray:
    """A clip takes clip_len * frame_stride frames; its start is the middle of its share of all starts. Short: all start at 0."""
    count = num_frames - shape.clip_len * shape.frame_stride + 1
    if count < 1:
        return _reference(num_frames, shape)  # the list of every frame_stride-th frame has no more than clip_len, so all start at 0
    return _strided(segment_middles(count, shape.num_clips), num_frames, shape)


def _mmaction2(num_frames: int, shape: WantedClips) -> np.ndarray:
    room = _last_start(num_frames, shape)
    if shape.num_clips == 1:
        return _strided(np.array([room // 2]), num_frames, shape)
    starts = np.round(np.arange(shape.num_clips) * room / (shape.num_clips - 1)).astype(np.int64)
    return _strided(starts, num_frames, shape)


def _mmaction2_tsn(num_frames: int, shape: WantedClips) -> np.ndarray:
    return _strided(segment_middles(num_frames, shape.num_clips), num_frames, shape)


def _tsm(num_frames: int, shape: WantedClips) -> np.ndarray:
    """A clip is one frame of each share of the video; clip k of K takes the places (2 k + 1) / 2 K of them, one clip the middles."""
    tick, clips = num_frames / shape.clip_len, np.arange(shape.num_clips)[:, None]
    return (tick * (2 * clips + 1) / (2 * shape.num_clips) + tick * np.arange(shape.clip_len)).astype(np.int64)


def _tsm_dense(num_frames: int, shape: WantedClips) -> np.ndarray:
    last = dense_starts(num_frames)
    starts = np.linspace(0, last, shape.num_clips) if shape.num_clips > 1 else np.array([last // 2])
    frames = starts.astype(np.int64)[:, None] + dense_stride(shape.clip_len) * np.arange(shape.clip_len)
    return fold_frames(frames, num_frames, shape.short_video)


def _torchvision(num_frames: int, shape: WantedClips) -> np.ndarray:
    starts = np.floor(np.linspace(0, _last_start(num_frames, shape), shape.num_clips) + NEARLY).astype(np.int64)
    return _strided(starts, num_frames, shape)


def _videomae_sthsthv2(num_frames: int, shape: WantedClips) -> np.ndarray:
    """A clip is one frame of each share of the video; clip k of K takes the places k / K of them: 2 clips the starts and centers."""
    tick, clips = num_frames / shape.clip_len, np.arange(shape.num_clips)[:, None]
    return (tick * clips / shape.num_clips + tick * np.arange(shape.clip_len)).astype(np.int64)


def _pyslowfast(video: Timeline, shape: WantedClips) -> np.ndarray:
    length = _timed_length(video, shape)
    starts = max(video.num_frames - length, 0) * np.arange(shape.num_clips) / shape.num_clips
    return _linspaced(starts, length, video.num_frames, shape)


def _pyslowfast_offset(video: Timeline, shape: WantedClips) -> np.ndarray:
    length = _timed_length(video, shape)
    room = max(video.num_frames - length, 0)
    starts = np.arange(shape.num_clips) * (room // (shape.num_clips - 1)) if shape.num_clips > 1 else np.array([room // 2])
    return _linspaced(starts, length, video.num_frames, shape)


def _pytorchvideo(video: Timeline, shape: WantedClips) -> np.ndarray:
    """Clips in seconds, cut to two digits as that project's recipes write them (64 frames at 30 fps: 2.13 s).

    The clip_len frames are spread over those shown from its start on and before its end, so that a short video repeats frames in
    order, whatever the policy for short videos.
    """
    rate = video.fps if shape.target_fps <= 0 or video.fps <= 0 else shape.target_fps
    length = max(int(shape.clip_len * shape.frame_stride / (rate or 1.0) * 100 + NEARLY), 1) / 100
    starts = np.arange(shape.num_clips) * max(video.duration() - length, 0) / max(shape.num_clips - 1, 1)
    times = video.seconds()
    first = np.minimum(np.searchsorted(times, starts - NEARLY), video.num_frames - 1)
    last = np.maximum(np.searchsorted(times, starts + length - NEARLY) - 1, first)
    return np.floor(np.linspace(first, last, shape.clip_len, axis=1) + NEARLY).astype(np.int64)


def _last_start(num_frames: int, shape: WantedClips) -> int:
    """The last frame at which a clip of the exact stride can start; 0 for a shorter video."""
    return max(num_frames - (shape.clip_len - 1) * shape.frame_stride - 1, 0)


def _strided(starts: np.ndarray, num_frames: int, shape: WantedClips) -> np.ndarray:
    frames = starts[:, None] + shape.frame_stride * np.arange(shape.clip_len)
    return fold_frames(frames, num_frames, shape.short_video)


def _timed_length(video: Timeline, shape: WantedClips) -> float:
    """Frames of the file that last as long as the clip does at the target rate; where a rate is unknown, that of the clip."""
    frames = float(shape.clip_len * shape.frame_stride)
    return max(frames * video.fps / shape.target_fps, 1.0) if video.fps > 0 and shape.target_fps > 0 else frames


def _linspaced(starts: np.ndarray, length: float, num_frames: int, shape: WantedClips) -> np.ndarray:
    frames = np.floor(np.linspace(starts, starts + length - 1, shape.clip_len, axis=1) + NEARLY)
    return fold_frames(frames.astype(np.int64), num_frames, shape.short_video)


RULES: dict[str, Callable[[int, WantedClips], np.ndarray]] = {
    "reference": _reference,
    "segment_centers": _segment_centers,
    "mmaction2": _mmaction2,
    "mmaction2_tsn": _mmaction2_tsn,
    "tsm": _tsm,
    "tsm_dense": _tsm_dense,
    "torchvision": _torchvision,
    "videomae_sthsthv2": _videomae_sthsthv2,
}
TIMED_RULES: dict[str, Callable[[Timeline, WantedClips], np.ndarray]] = {
    "pyslowfast": _pyslowfast,
    "pyslowfast_offset": _pyslowfast_offset,
    "pytorchvideo": _pytorchvideo,
}
