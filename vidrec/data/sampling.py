"""Which frames of a video enter the network: pure functions of its length and a generator (numpy only).

Test clips that lie as another project puts them are in clip_starts.py; what a config asks of training clips is in clip_sampling.py.
"""

from typing import Literal

import numpy as np

ShortVideo = Literal["repeat_last", "loop", "center"]

DENSE_WINDOW = 64  # frames that a dense sample is spread over (Lin et al., ICCV 2019, TSM)


def clip_frames(
    num_frames: int,
    *,
    clip_len: int,
    frame_stride: int,
    rng: np.random.Generator | None = None,
    short_video: ShortVideo = "repeat_last",
) -> np.ndarray:
    """Frame indices of one dense training clip, at a random place.

    The indices are truncated from a linspace over clip_len * frame_stride frames that includes the end point, as in the reference
    zoo whose weights depend on it: the step is slightly over the stride. Test clips (`view_frames`) keep the exact stride.

    Args:
        num_frames: length of the video in frames, at least 1.
        frame_stride: distance between frames inside the clip, in frames.
        rng: draws the start; without it the clip lies in the center.
        short_video: what follows where the video ends before the clip, see `fold_frames`.

    Returns:
        [clip_len] int64, each in [0, num_frames). A video not longer than clip_len * frame_stride frames is covered whole, then
        its last frame repeats (or what else short_video says).

    Example: 10 frames, clip_len 3, stride 2, center -> linspace(2, 8, 3) held below 8 -> [2, 5, 7]
    """
    check_counts(num_frames=num_frames, clip_len=clip_len, frame_stride=frame_stride)
    span = clip_len * frame_stride
    if num_frames <= span:
        covered = np.linspace(0, num_frames, num_frames // frame_stride)
        if short_video == "repeat_last" or not len(covered):
            indices = np.concatenate([covered, np.full(clip_len - len(covered), num_frames)])
            return np.minimum(indices, num_frames - 1).astype(np.int64)
        places = fold_frames(np.arange(clip_len), len(covered), short_video)
        return np.minimum(covered, num_frames - 1).astype(np.int64)[places]
    room = num_frames - span
    start = room // 2 if rng is None else int(rng.integers(room, endpoint=True))
    return np.minimum(np.linspace(start, start + span, clip_len), start + span - 1).astype(np.int64)


def segment_frames(
    num_frames: int,
    *,
    num_segments: int,
    clip_len: int,
    frame_stride: int,
    rng: np.random.Generator | None = None,
    short_video: ShortVideo = "repeat_last",
) -> np.ndarray:
    """Frame indices of one clip in each of `num_segments` equal parts of the video (Wang et al., ECCV 2016, TSN).

    Args:
        rng: draws the place of each clip in its part; without it each lies in the center of its part.
        short_video: what follows where a part ends before its clip, see `fold_frames`.

    Returns:
        [num_segments * clip_len] int64, each in [0, num_frames). A video with fewer frames than segments repeats frames in order.

    Example: 9 frames, 3 segments, clip_len 1, stride 1, center -> [1, 4, 7]; 2 frames -> [0, 0, 1]
    """
    check_counts(num_frames=num_frames, num_segments=num_segments, clip_len=clip_len, frame_stride=frame_stride)
    length = num_frames // num_segments
    parts = []
    for segment in range(num_segments):
        start = segment * length if length else segment * num_frames // num_segments
        clip = clip_frames(max(length, 1), clip_len=clip_len, frame_stride=frame_stride, rng=rng, short_video=short_video)
        parts.append(start + clip)
    return np.concatenate(parts)


def dense_frames(
    num_frames: int,
    *,
    clip_len: int,
    frame_stride: int,
    rng: np.random.Generator | None = None,
    short_video: ShortVideo = "repeat_last",
) -> np.ndarray:
    """Frame indices of one clip whose frames are exactly frame_stride apart, at a random place.

    Args:
        rng: draws the start; without it the clip lies in the center.
        short_video: what follows where the video ends before the clip, see `fold_frames`.

    Returns:
        [clip_len] int64, each in [0, num_frames).

    Example: 10 frames, clip_len 3, stride 2, center -> [2, 4, 6]; 4 frames -> [0, 2, 3]
    """
    check_counts(num_frames=num_frames, clip_len=clip_len, frame_stride=frame_stride)
    room = max(num_frames - (clip_len - 1) * frame_stride - 1, 0)
    start = room // 2 if rng is None else int(rng.integers(room, endpoint=True))
    return fold_frames(start + frame_stride * np.arange(clip_len), num_frames, short_video)


def spread_frames(
    num_frames: int,
    *,
    num_segments: int,
    clip_len: int = 1,
    frame_stride: int = 1,
    rng: np.random.Generator | None = None,
    short_video: ShortVideo = "repeat_last",
) -> np.ndarray:
    """Frame indices of `num_segments` clips with the exact stride, one from each equal share of all the places where one can start.

    Unlike `segment_frames` it loses no frame at the end of the video, and a clip may reach into the next share.

    Args:
        rng: draws the start of each clip in its share; without it each lies in the middle of its share.
        short_video: what follows where the video ends before a clip, see `fold_frames`.

    Returns:
        [num_segments * clip_len] int64, each in [0, num_frames). Where there are fewer starts than shares, starts repeat in order.

    Example: 10 frames, 3 segments of 1 frame, middle -> shares of 3.33 starts -> [1, 5, 8]; 2 frames -> [0, 1, 1]
    """
    check_counts(num_frames=num_frames, num_segments=num_segments, clip_len=clip_len, frame_stride=frame_stride)
    count = max(num_frames - (clip_len - 1) * frame_stride, 1)
    if rng is None:
        starts = segment_middles(count, num_segments)
    else:
        edges = np.arange(num_segments + 1) * count // num_segments
        starts = rng.integers(edges[:-1], np.maximum(edges[1:], edges[:-1] + 1))
    return fold_frames(starts[:, None] + frame_stride * np.arange(clip_len), num_frames, short_video).reshape(-1)


def segment_middles(count: int, num_segments: int) -> np.ndarray:
    """The middle of each of `num_segments` equal shares of `count` places, truncated: [num_segments] int64, each in [0, count).

    Example: 300 places, 25 shares -> [6, 18, 30, ..., 294]
    """
    tick = count / num_segments
    return (tick / 2 + tick * np.arange(num_segments)).astype(np.int64)


def dense_sample_frames(num_frames: int, *, clip_len: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Frame indices of a clip spread over DENSE_WINDOW frames that start at a random place (Lin et al., ICCV 2019, TSM).

    Args:
        clip_len: at most DENSE_WINDOW frames, DENSE_WINDOW // clip_len apart.
        rng: draws the start; without it the window lies in the center.

    Returns:
        [clip_len] int64, each in [0, num_frames). What lies beyond the end of the video starts again from its first frame.

    Example: 100 frames, clip_len 8, center -> start 18 -> [18, 26, ..., 74]; 20 frames, clip_len 4 -> 0, 16, 32, 48 -> [0, 16, 12, 8]
    """
    check_counts(num_frames=num_frames, clip_len=clip_len)
    last = dense_starts(num_frames)
    start = last // 2 if rng is None else int(rng.integers(last, endpoint=True))
    return (start + dense_stride(clip_len) * np.arange(clip_len)) % num_frames


def dense_starts(num_frames: int) -> int:
    """The last frame at which a window of DENSE_WINDOW frames can start; 0 for a shorter video."""
    return max(num_frames - DENSE_WINDOW, 0)


def dense_stride(clip_len: int) -> int:
    """Distance between the frames of a dense sample. Raises ValueError for a clip longer than its window."""
    if clip_len > DENSE_WINDOW:
        raise ValueError(f"clip_len is {clip_len}; a dense sample takes at most {DENSE_WINDOW} frames.")
    return DENSE_WINDOW // clip_len


def view_frames(
    num_frames: int, *, num_segments: int, clip_len: int, frame_stride: int, short_video: ShortVideo = "repeat_last"
) -> np.ndarray:
    """Frame indices of the test clips, spread evenly over the video from its first frame to its last.

    Clips are taken from the list of every frame_stride-th frame, so that start points are multiples of the stride.

    Args:
        num_frames: length of the video in frames, at least 1.
        num_segments: number of clips; a single one lies in the center.
        frame_stride: distance between frames inside a clip, in frames.
        short_video: what follows where that list ends before the clip, see `fold_frames`.

    Returns:
        [num_segments, clip_len] int64, each in [0, num_frames). A video shorter than one clip repeats its last frame, the last of
        the list (or what else short_video says).

    Example: 10 frames, clip_len 3, stride 2, 2 segments -> [[0, 2, 4], [4, 6, 8]]
    """
    check_counts(num_frames=num_frames, num_segments=num_segments, clip_len=clip_len, frame_stride=frame_stride)
    every = np.arange(0, num_frames, frame_stride, dtype=np.int64)
    room = max(len(every) - clip_len, 0)
    if num_segments == 1:
        starts = np.array([room // 2])
    else:
        step = room / (num_segments - 1)
        starts = np.array([int(segment * step) for segment in range(num_segments)])
    places = starts[:, None] + np.arange(clip_len)  # [num_segments, clip_len] into `every`
    return every[fold_frames(places, len(every), short_video)]


def fold_frames(frames: np.ndarray, num_frames: int, short_video: ShortVideo) -> np.ndarray:
    """Frame numbers that run past the end of a short video, brought into it.

    Args:
        frames: [..., T] rising numbers from 0; the first of each clip lies in the video.
        short_video: repeat_last: the video's last frame stands for every number past the end; loop: the video starts again from its
            first frame; center: the frames that exist lie in the middle of the clip, the first and the last of them repeat around.

    Returns:
        [..., T] int64, each in [0, num_frames); clips that end in the video are as they were.

    Example: [0, 2, 4, 6, 8, 10] in 5 frames -> repeat_last [0, 2, 4, 4, 4, 4], loop [0, 2, 4, 1, 3, 0], center [0, 0, 2, 4, 4, 4]
    """
    if short_video == "repeat_last":
        return np.minimum(frames, num_frames - 1).astype(np.int64)
    if short_video == "loop":
        return (frames % num_frames).astype(np.int64)
    if short_video == "center":
        there = (frames < num_frames).sum(-1, keepdims=True)
        before = (frames.shape[-1] - there) // 2
        places = np.clip(np.arange(frames.shape[-1]) - before, 0, there - 1)
        return np.take_along_axis(frames, places, axis=-1).astype(np.int64)
    raise ValueError(f"short_video is {short_video!r}; it must be repeat_last, loop or center.")


def check_counts(**counts: int) -> None:
    """Raises ValueError for the first count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1.")
