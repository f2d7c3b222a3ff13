"""Training clips by rule: dense, segments, uniform, dense-sample, another frame rate, short videos, several clips of one decode."""

import numpy as np
import pytest

from vidrec.data.clip_sampling import ClipSampling
from vidrec.data.sampling import clip_frames, dense_frames, dense_sample_frames, fold_frames, segment_frames, spread_frames
from vidrec.data.timeline import Timeline, read_timeline, resampled_frames


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("repeat_last", [0, 2, 4, 4, 4, 4]), ("loop", [0, 2, 4, 1, 3, 0]), ("center", [0, 0, 2, 4, 4, 4])],
)
def test_frames_past_the_end_follow_the_policy(policy, expected):
    assert fold_frames(np.array([0, 2, 4, 6, 8, 10]), 5, policy).tolist() == expected
    assert fold_frames(np.array([[1, 2, 3], [2, 3, 4]]), 5, policy).tolist() == [[1, 2, 3], [2, 3, 4]]  # nothing past the end


def test_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="short_video is 'mirror'; it must be repeat_last, loop or center"):
        fold_frames(np.arange(3), 2, "mirror")


@pytest.mark.parametrize(
    ("num_frames", "clip_len", "stride", "policy", "expected"),
    [
        (10, 3, 2, "repeat_last", [2, 4, 6]),
        (300, 4, 8, "repeat_last", [137, 145, 153, 161]),
        (4, 3, 2, "repeat_last", [0, 2, 3]),
        (4, 3, 2, "loop", [0, 2, 0]),
        (3, 7, 1, "center", [0, 0, 0, 1, 2, 2, 2]),
        (1, 3, 5, "loop", [0, 0, 0]),
    ],
)
def test_dense_clip_has_the_exact_stride(num_frames, clip_len, stride, policy, expected):
    assert dense_frames(num_frames, clip_len=clip_len, frame_stride=stride, short_video=policy).tolist() == expected


def test_drawn_dense_clips_reach_both_ends():
    rng = np.random.default_rng(0)
    clips = [dense_frames(12, clip_len=4, frame_stride=2, rng=rng) for _ in range(200)]
    assert {int(clip[0]) for clip in clips} == {0, 1, 2, 3, 4, 5}
    assert {tuple(np.diff(clip)) for clip in clips} == {(2, 2, 2)}


@pytest.mark.parametrize(
    ("num_frames", "segments", "clip_len", "stride", "expected"),
    [
        (10, 3, 1, 1, [1, 5, 8]),
        (2, 3, 1, 1, [0, 1, 1]),
        (300, 8, 1, 1, [18, 56, 93, 131, 168, 206, 243, 281]),
        (20, 2, 3, 2, [4, 6, 8, 12, 14, 16]),
        (3, 2, 3, 2, [0, 2, 2, 0, 2, 2]),
    ],
)
def test_segments_spread_over_every_start(num_frames, segments, clip_len, stride, expected):
    frames = spread_frames(num_frames, num_segments=segments, clip_len=clip_len, frame_stride=stride)
    assert frames.tolist() == expected


def test_each_drawn_segment_stays_in_its_share_and_reaches_all_of_it():
    rng = np.random.default_rng(0)
    drawn = np.stack([spread_frames(10, num_segments=3, rng=rng) for _ in range(300)])
    assert [sorted(set(column.tolist())) for column in drawn.T] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    few = np.stack([spread_frames(2, num_segments=4, rng=rng) for _ in range(20)])
    assert {tuple(row) for row in few.tolist()} == {(0, 0, 1, 1)}


@pytest.mark.parametrize(
    ("num_frames", "clip_len", "expected"),
    [
        (100, 8, [18, 26, 34, 42, 50, 58, 66, 74]),
        (20, 4, [0, 16, 12, 8]),
        (64, 16, list(range(0, 64, 4))),
        (1, 2, [0, 0]),
    ],
)
def test_dense_sample_spreads_over_64_frames_and_wraps(num_frames, clip_len, expected):
    assert dense_sample_frames(num_frames, clip_len=clip_len).tolist() == expected


def test_drawn_dense_samples_start_anywhere_in_their_room():
    rng = np.random.default_rng(0)
    assert {int(dense_sample_frames(67, clip_len=8, rng=rng)[0]) for _ in range(100)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("repeat_last", [0, 4, 4, 4, 4]), ("loop", [0, 4, 0, 4, 0]), ("center", [0, 0, 4, 4, 4])],
)
def test_reference_clip_of_a_short_video_follows_the_policy(policy, expected):
    assert clip_frames(5, clip_len=5, frame_stride=2, short_video=policy).tolist() == expected
    assert segment_frames(10, num_segments=2, clip_len=5, frame_stride=2, short_video=policy).tolist() == [
        *expected,
        *(frame + 5 for frame in expected),
    ]


@pytest.mark.parametrize(
    ("num_frames", "fps", "target", "expected"),
    [
        (10, 30.0, 15.0, [0, 2, 4, 6, 8]),
        (3, 10.0, 15.0, [0, 0, 1, 2]),
        (10, 29.97, 29.97, list(range(10))),
        (10, 25.0, 10.0, [0, 2, 5, 7]),
        (10, 0.0, 15.0, list(range(10))),
        (10, 30.0, 0.0, list(range(10))),
        (1, 30.0, 1.0, [0]),
    ],
)
def test_another_frame_rate_drops_or_repeats_frames(num_frames, fps, target, expected):
    assert resampled_frames(Timeline(num_frames, fps), target).tolist() == expected


def test_times_of_frames_decide_where_the_rate_varies():
    slow_then_fast = Timeline(6, 6 / 1.6, np.array([0.0, 0.5, 1.0, 1.1, 1.2, 1.3]))
    assert resampled_frames(slow_then_fast, 4.0).tolist() == [0, 0, 1, 1, 2, 4]  # shown at 0, 0.25, 0.5, 0.75, 1.0, 1.25 s
    assert resampled_frames(slow_then_fast._replace(times=None), 4.0).tolist() == [0, 0, 1, 2, 3, 4]


class Reader:
    """A reader of three frames that gives the times it was made with."""

    fps = 2.0

    def __init__(self, times):
        self.times = times

    def __len__(self):
        return 3

    def frame_times(self):
        return self.times


@pytest.mark.parametrize(
    ("times", "expected"), [([4.0, 4.5, 6.0], [0.0, 0.5, 2.0]), ([0.0, 2.0, 1.0], None), ([0.0, 1.0], None), ([0.0, np.nan, 1.0], None)]
)
def test_times_that_do_not_rise_give_way_to_the_mean_rate(times, expected):
    video = read_timeline(Reader(np.array(times)), with_times=True)
    assert video[:2] == (3, 2.0)
    assert (None if video.times is None else video.times.tolist()) == expected
    assert read_timeline(Reader(None), with_times=True).times is None


@pytest.mark.parametrize(
    ("sampling", "segments", "clip_len", "expected"),
    [
        ("reference", 1, 4, [46, 48, 51, 53]),
        ("reference", 2, 2, [23, 26, 73, 76]),
        ("dense", 1, 4, [46, 48, 50, 52]),
        ("segments", 2, 2, [24, 26, 73, 75]),
        ("uniform", 2, 2, [12, 37, 62, 87]),
        ("dense_sample", 2, 2, [18, 34, 50, 66]),
    ],
)
def test_each_rule_by_its_name_without_chance(sampling, segments, clip_len, expected):
    sample = ClipSampling(clip_len=clip_len, frame_stride=2, num_segments=segments, sampling=sampling)
    assert sample(Timeline(100)).tolist() == expected


def test_stride_counts_frames_of_the_target_rate():
    dense = {"clip_len": 3, "frame_stride": 2, "sampling": "dense"}
    assert ClipSampling(**dense)(Timeline(100, 30.0)).tolist() == [47, 49, 51]
    assert ClipSampling(**dense, target_fps=15.0)(Timeline(100, 30.0)).tolist() == [44, 48, 52]
    assert ClipSampling(**dense, target_fps=15.0)(Timeline(5, 30.0)).tolist() == [0, 2, 2]  # 0 and 2 are all there is at 15 fps
    assert ClipSampling(**dense, target_fps=15.0, short_video="loop")(Timeline(5, 30.0)).tolist() == [0, 0, 0]


def test_rules_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="num_segments is 2 with dense sampling, which takes 1; segments takes more"):
        ClipSampling(clip_len=4, frame_stride=1, num_segments=2, sampling="dense")
    with pytest.raises(ValueError, match="clip_len is 65; a dense sample takes at most 64 frames"):
        ClipSampling(clip_len=65, frame_stride=1, sampling="dense_sample")
    with pytest.raises(ValueError, match="clip_len is 0; it must be at least 1"):
        ClipSampling(clip_len=0, frame_stride=1, sampling="dense")(Timeline(10))
