"""The frames of a video in time, and the same video at another frame rate (numpy only)."""

from typing import Any, NamedTuple

import numpy as np

NEARLY = 1e-6  # of a frame or a second: so much may a product of floats miss the whole number that it means


class Timeline(NamedTuple):
    """When the frames of a video are shown.

    Args:
        num_frames: at least 1.
        fps: mean frames per second, 0.0 unknown.
        times: [num_frames] seconds from the first frame on, rising; None: all frames last equally long.
    """

    num_frames: int
    fps: float = 0.0
    times: np.ndarray | None = None

    def seconds(self) -> np.ndarray:
        """[num_frames] seconds at which each frame is shown, from 0 on; an unknown rate counts as 1 frame per second."""
        return np.arange(self.num_frames) / (self.fps or 1.0) if self.times is None else self.times

    def duration(self) -> float:
        """Seconds until the end of the last frame, which lasts one frame of the mean rate."""
        return self.num_frames / (self.fps or 1.0) if self.times is None else float(self.times[-1]) + 1 / self.fps

    def part(self, first: int, num_frames: int) -> "Timeline":
        """The timeline of `num_frames` frames from frame `first` on, its time from that frame."""
        if self.times is None:
            return self._replace(num_frames=num_frames)
        times = self.times[first : first + num_frames]
        return Timeline(num_frames, self.fps, times - times[0])


def read_timeline(reader: Any, *, with_times: bool) -> Timeline:
    """The timeline of an open video.

    Args:
        with_times: take the times of its frames where the reader knows them (`frame_times()`), which matters where the rate varies;
            else, and where they do not rise or the file has no mean rate, frames of the mean rate.
    """
    num_frames, fps = len(reader), float(reader.fps)
    times = reader.frame_times() if with_times and fps > 0 and hasattr(reader, "frame_times") else None
    if times is None or len(times) != num_frames or not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        return Timeline(num_frames, fps)
    return Timeline(num_frames, fps, times - times[0])


def resampled_frames(video: Timeline, target_fps: float) -> np.ndarray:
    """The frame that is shown at each moment of a video played at `target_fps`: dropped or repeated, never mixed.

    Args:
        target_fps: 0 keeps the video's own frames; so does a video of unknown rate.

    Returns:
        [M] int64, each in [0, num_frames), not falling; M is the duration times target_fps, truncated, at least 1.

    Example: 10 frames of 30 fps at 15 -> [0, 2, 4, 6, 8]; 3 frames of 10 fps at 15 -> [0, 0, 1, 2]
    """
    if target_fps <= 0 or video.fps <= 0:
        return np.arange(video.num_frames, dtype=np.int64)
    count = max(int(video.duration() * target_fps + NEARLY), 1)
    moments = np.arange(count) / target_fps
    shown = np.searchsorted(video.seconds(), moments + NEARLY, side="right") - 1
    return np.clip(shown, 0, video.num_frames - 1).astype(np.int64)


def clip_seconds(video: Timeline, clips: np.ndarray, *, first: int = 0) -> np.ndarray:
    """[K, 2] float64: when the first shown frame of each clip begins and the last one ends, in seconds of the file; NaN at unknown rate.

    Args:
        video: the part of the file that begins with its frame `first`.
        clips: [K, T] frames of the part.

    Example: 10 fps, clips [[0, 2, 4], [4, 6, 8]] -> [[0, 0.5], [0.4, 0.9]]; the same from frame 20 on -> [[2, 2.5], [2.4, 2.9]]
    """
    if video.fps <= 0:
        return np.full((len(clips), 2), np.nan)
    begins = video.seconds() + first / video.fps
    ends = np.append(begins[1:], begins[-1] + 1 / video.fps)
    return np.stack([begins[clips.min(axis=1)], ends[clips.max(axis=1)]], axis=1)
