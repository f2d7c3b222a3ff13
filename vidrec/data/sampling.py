"""Which frames of a video enter the network: pure functions of its length and a generator (numpy only)."""

import numpy as np


def clip_frames(num_frames: int, *, clip_len: int, frame_stride: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Frame indices of one dense training clip, at a random place.

    The indices are truncated from a linspace over clip_len * frame_stride frames that includes the end point, as in the reference
    zoo whose weights depend on it: the step is slightly over the stride. Test clips (`view_frames`) keep the exact stride.

    Args:
        num_frames: length of the video in frames, at least 1.
        frame_stride: distance between frames inside the clip, in frames.
        rng: draws the start; without it the clip lies in the center.

    Returns:
        [clip_len] int64, rising, each in [0, num_frames). A video not longer than clip_len * frame_stride frames is covered whole, then
        its last frame repeats.

    Example: 10 frames, clip_len 3, stride 2, center -> linspace(2, 8, 3) held below 8 -> [2, 5, 7]
    """
    _check(num_frames=num_frames, clip_len=clip_len, frame_stride=frame_stride)
    span = clip_len * frame_stride
    if num_frames <= span:
        covered = np.linspace(0, num_frames, num_frames // frame_stride)
        indices = np.concatenate([covered, np.full(clip_len - len(covered), num_frames)])
        return np.minimum(indices, num_frames - 1).astype(np.int64)
    room = num_frames - span
    start = room // 2 if rng is None else int(rng.integers(room, endpoint=True))
    return np.minimum(np.linspace(start, start + span, clip_len), start + span - 1).astype(np.int64)


def segment_frames(
    num_frames: int, *, num_segments: int, clip_len: int, frame_stride: int, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Frame indices of one clip in each of `num_segments` equal parts of the video (Wang et al., ECCV 2016, TSN).

    Args:
        rng: draws the place of each clip in its part; without it each lies in the center of its part.

    Returns:
        [num_segments * clip_len] int64, each in [0, num_frames). A video with fewer frames than segments repeats frames in order.

    Example: 9 frames, 3 segments, clip_len 1, stride 1, center -> [1, 4, 7]; 2 frames -> [0, 0, 1]
    """
    _check(num_frames=num_frames, num_segments=num_segments, clip_len=clip_len, frame_stride=frame_stride)
    length = num_frames // num_segments
    parts = []
    for segment in range(num_segments):
        start = segment * length if length else segment * num_frames // num_segments
        parts.append(start + clip_frames(max(length, 1), clip_len=clip_len, frame_stride=frame_stride, rng=rng))
    return np.concatenate(parts)


def view_frames(num_frames: int, *, num_segments: int, clip_len: int, frame_stride: int) -> np.ndarray:
    """Frame indices of the test clips, spread evenly over the video from its first frame to its last.

    Clips are taken from the list of every frame_stride-th frame, so that start points are multiples of the stride.

    Args:
        num_frames: length of the video in frames, at least 1.
        num_segments: number of clips; a single one lies in the center.
        frame_stride: distance between frames inside a clip, in frames.

    Returns:
        [num_segments, clip_len] int64, each in [0, num_frames). A video shorter than one clip repeats its last frame.

    Example: 10 frames, clip_len 3, stride 2, 2 segments -> [[0, 2, 4], [4, 6, 8]]
    """
    _check(num_frames=num_frames, num_segments=num_segments, clip_len=clip_len, frame_stride=frame_stride)
    every = np.arange(0, num_frames, frame_stride, dtype=np.int64)
    room = max(len(every) - clip_len, 0)
    if num_segments == 1:
        starts = np.array([room // 2])
    else:
        step = room / (num_segments - 1)
        starts = np.array([int(segment * step) for segment in range(num_segments)])
    places = starts[:, None] + np.arange(clip_len)  # [num_segments, clip_len] into `every`
    return every[np.minimum(places, len(every) - 1)]


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1.")
