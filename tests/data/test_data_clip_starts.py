"""Test clips by the rule of each published project: the tables of how the same video is cut, and the edges."""

import json
from pathlib import Path

import numpy as np
import pytest

from vidrec.data.clip_starts import RULES, TIMED_RULES, place_clips
from vidrec.data.timeline import Timeline, clip_seconds

GOLDEN = json.loads((Path(__file__).parent / "golden" / "data_semantics.json").read_text())
TEN_SECONDS = Timeline(300, 30.0)

# N 300 at 30 fps, T 32, S 2, K 10: first and last frame of each clip.
TABLE = {
    "reference": "0-62, 26-88, 52-114, 78-140, 104-166, 130-192, 156-218, 182-244, 208-270, 236-298",
    "segment_centers": "11-73, 35-97, 59-121, 82-144, 106-168, 130-192, 154-216, 177-239, 201-263, 225-287",
    "pyslowfast": "0-63, 23-86, 47-110, 70-133, 94-157, 118-181, 141-204, 165-228, 188-251, 212-275",
    "pyslowfast_offset": "0-63, 26-89, 52-115, 78-141, 104-167, 130-193, 156-219, 182-245, 208-271, 234-297",
    "mmaction2": "0-62, 26-88, 53-115, 79-141, 105-167, 132-194, 158-220, 184-246, 211-273, 237-299",
    "pytorchvideo": "0-63, 27-90, 53-116, 79-142, 105-168, 132-195, 158-221, 184-247, 210-273, 237-299",
    "torchvision": "0-62, 26-88, 52-114, 79-141, 105-167, 131-193, 158-220, 184-246, 210-272, 237-299",
}


def place(rule, video=TEN_SECONDS, *, num_clips=1, clip_len=4, frame_stride=2, **options):
    options.setdefault("target_fps", 30.0 if rule in TIMED_RULES else 0.0)
    return place_clips(rule, video, num_clips=num_clips, clip_len=clip_len, frame_stride=frame_stride, **options)


@pytest.mark.parametrize("rule", TABLE)
def test_ten_clips_of_a_ten_second_video(rule):
    clips = place(rule, num_clips=10, clip_len=32)
    assert ", ".join(f"{clip[0]}-{clip[-1]}" for clip in clips) == TABLE[rule]
    steps = {"pyslowfast": {2, 3}, "pyslowfast_offset": {2, 3}, "pytorchvideo": {1, 2, 3}}.get(rule, {2})
    assert set(np.diff(clips).ravel().tolist()) <= steps


@pytest.mark.parametrize(
    ("rule", "start", "end"),
    [
        ("reference", [0, 12, 24, 37], [286, 299]),
        ("segment_centers", [6, 18, 30, 42], [282, 294]),
        ("mmaction2_tsn", [6, 18, 30, 42], [282, 294]),
    ],
)
def test_25_single_frames_of_a_ten_second_video(rule, start, end):
    frames = place(rule, num_clips=25, clip_len=1, frame_stride=1).ravel().tolist()
    assert (frames[:4], frames[-2:], len(frames)) == (start, end, 25)


@pytest.mark.parametrize("case", GOLDEN["test"], ids=lambda case: case["config"])
def test_reference_rule_equals_the_measured_tables(case):
    for length, table in case["temporal"].items():
        clips = place(
            "reference",
            Timeline(int(length), 25.0),
            num_clips=case["num_clips"],
            clip_len=case["clip_len"],
            frame_stride=case["frame_stride"],
        )
        assert clips.tolist() == table, length


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("reference", [146, 148, 150, 152]),
        ("segment_centers", [146, 148, 150, 152]),
        ("pyslowfast", [0, 2, 4, 7]),
        ("pyslowfast_offset", [146, 148, 150, 153]),
        ("mmaction2", [146, 148, 150, 152]),
        ("mmaction2_tsn", [150, 152, 154, 156]),
        ("tsm", [37, 112, 187, 262]),
        ("tsm_dense", [118, 134, 150, 166]),
        ("pytorchvideo", [0, 2, 4, 7]),
        ("torchvision", [0, 2, 4, 6]),
        ("videomae_sthsthv2", [0, 75, 150, 225]),
    ],
)
def test_a_single_clip(rule, expected):
    assert place(rule).tolist() == [expected]


def test_a_single_clip_has_been_tested_for_every_rule():
    names = {*RULES, *TIMED_RULES}
    assert names == {*TABLE, "mmaction2_tsn", "tsm", "tsm_dense", "videomae_sthsthv2"}


@pytest.mark.parametrize(
    ("rule", "policy", "expected"),
    [
        ("reference", "repeat_last", [0, 2, 4, 4, 4]),
        ("segment_centers", "repeat_last", [0, 2, 4, 4, 4]),
        ("pyslowfast", "repeat_last", [0, 2, 4, 4, 4]),
        ("mmaction2", "loop", [0, 2, 4, 1, 3]),
        ("mmaction2", "repeat_last", [0, 2, 4, 4, 4]),
        ("mmaction2", "center", [0, 0, 2, 4, 4]),
        ("torchvision", "repeat_last", [0, 2, 4, 4, 4]),
        ("pytorchvideo", "repeat_last", [0, 1, 2, 3, 4]),
        ("tsm", "loop", [0, 1, 2, 3, 4]),
        ("tsm_dense", "loop", [0, 2, 4, 1, 3]),
        ("videomae_sthsthv2", "repeat_last", [0, 1, 2, 3, 4]),
    ],
)
def test_a_clip_longer_than_its_video(rule, policy, expected):
    clips = place(rule, Timeline(5, 30.0), num_clips=2, clip_len=5, short_video=policy)
    assert clips[0].tolist() == expected


def test_two_clips_of_something_something_take_starts_and_centers_in_turn():
    clips = place("videomae_sthsthv2", Timeline(40, 12.0), num_clips=2, clip_len=4)
    assert clips.tolist() == [[0, 10, 20, 30], [5, 15, 25, 35]]


def test_ten_dense_samples_reach_from_end_to_end_and_wrap():
    clips = place("tsm_dense", num_clips=10, clip_len=8, short_video="loop")
    assert clips[:, 0].tolist() == [0, 26, 52, 78, 104, 131, 157, 183, 209, 236]
    assert clips[-1].tolist() == [236, 244, 252, 260, 268, 276, 284, 292]
    assert place("tsm_dense", Timeline(50, 30.0), num_clips=2, clip_len=4, short_video="loop").tolist() == [[0, 16, 32, 48]] * 2


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(30.0, "0-63, 236-299"), (60.0, "0-127, 172-299"), (15.0, "0-31, 268-299"), (0.0, "0-63, 236-299")],
)
def test_clip_of_pyslowfast_lasts_as_long_at_any_rate(fps, expected):
    clips = place("pyslowfast_offset", Timeline(300, fps), num_clips=2, clip_len=32)
    assert ", ".join(f"{clip[0]}-{clip[-1]}" for clip in clips) == expected


def test_clip_of_pytorchvideo_follows_the_times_of_frames():
    halved = Timeline(150, 15.0)
    assert place("pytorchvideo", halved, num_clips=2, clip_len=32)[:, [0, -1]].tolist() == [[0, 31], [119, 149]]
    times = np.concatenate([np.arange(100) / 10, 10 + np.arange(200) / 100])  # 10 s at 10 fps, then 2 s at 100 fps
    varying = place("pytorchvideo", Timeline(300, 25.0, times), num_clips=2, clip_len=32)
    assert varying[:, [0, -1]].tolist() == [[0, 21], [99, 299]]


def test_torchvision_sees_the_video_at_15_frames_per_second():
    clips = place("torchvision", num_clips=5, clip_len=16, frame_stride=1, target_fps=15.0)
    assert clips[:, [0, -1]].tolist() == [[0, 30], [66, 96], [134, 164], [200, 230], [268, 298]]


@pytest.mark.parametrize("rule", [*RULES, *TIMED_RULES])
@pytest.mark.parametrize("num_frames", [1, 2, 7, 64, 65, 1000])
def test_every_clip_lies_in_its_video(rule, num_frames):
    for num_clips in (1, 2, 25):
        for fps in (0.0, 7.5, 60.0):
            clips = place(rule, Timeline(num_frames, fps), num_clips=num_clips, clip_len=16)
            assert clips.shape == (num_clips, 16) and clips.dtype == np.int64
            assert clips.min() >= 0 and clips.max() < num_frames


def test_counts_below_one_are_refused():
    with pytest.raises(ValueError, match="num_clips is 0; it must be at least 1"):
        place("mmaction2", num_clips=0)
    with pytest.raises(ValueError, match="clip_len is 65; a dense sample takes at most 64 frames"):
        place("tsm_dense", clip_len=65)


@pytest.mark.parametrize(
    ("video", "first", "expected"),
    [
        (Timeline(10, 10.0), 0, [[0, 0.5], [0.4, 1.0]]),
        (Timeline(10, 10.0), 20, [[2, 2.5], [2.4, 3.0]]),
        (Timeline(10, 10.0, np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9.5])), 0, [[0, 5], [4, 9.6]]),  # a frame lasts until the next
        (Timeline(10), 0, [[np.nan, np.nan]] * 2),
    ],
)
def test_seconds_of_clips(video, first, expected):
    clips = np.array([[0, 2, 4], [9, 9, 4]])  # the second one repeats the last frame
    np.testing.assert_allclose(clip_seconds(video, clips, first=first), expected, rtol=1e-12)
