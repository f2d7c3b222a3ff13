"""Frame indices: tables measured on the reference, and the edges."""

import json
from pathlib import Path

import numpy as np
import pytest

from vidrec.data.sampling import clip_frames, segment_frames, view_frames

GOLDEN = json.loads((Path(__file__).parent / "golden" / "data_semantics.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["test"], ids=lambda case: case["config"])
def test_test_clips_equal_the_reference_tables(case):
    for length, table in case["temporal"].items():
        frames = view_frames(
            int(length), num_segments=case["num_clips"], clip_len=case["clip_len"], frame_stride=case["frame_stride"]
        )
        assert frames.tolist() == table, length


@pytest.mark.parametrize("case", GOLDEN["train"], ids=lambda case: case["config"])
def test_training_clips_without_choice_equal_the_reference_tables(case):
    for length, table in case["deterministic"].items():
        frames = segment_frames(
            int(length), num_segments=case["num_segments"], clip_len=case["clip_len"], frame_stride=case["frame_stride"],
            rng=np.random.default_rng(int(length)),
        )
        assert frames.tolist() == table, length


@pytest.mark.parametrize("case", [case for case in GOLDEN["train"] if case["num_segments"] == 1], ids=lambda case: case["config"])
def test_drawn_training_clips_have_the_steps_of_the_reference(case):
    for length, tables in case["drawn"].items():
        for table in tables:
            frames = clip_frames(int(length), clip_len=case["clip_len"], frame_stride=case["frame_stride"], rng=np.random.default_rng(0))
            assert (frames - frames[0]).tolist() == (np.array(table) - table[0]).tolist()


@pytest.mark.parametrize(
    ("num_frames", "num_clips", "clip_len", "stride", "expected"),
    [
        (10, 2, 3, 2, [[0, 2, 4], [4, 6, 8]]),
        (10, 1, 3, 2, [[2, 4, 6]]),
        (300, 1, 4, 8, [[136, 144, 152, 160]]),
        (2, 1, 4, 1, [[0, 1, 1, 1]]),
        (1, 2, 2, 5, [[0, 0], [0, 0]]),
        (9, 3, 1, 1, [[0], [4], [8]]),
    ],
)
def test_test_clips(num_frames, num_clips, clip_len, stride, expected):
    assert view_frames(num_frames, num_segments=num_clips, clip_len=clip_len, frame_stride=stride).tolist() == expected


@pytest.mark.parametrize(
    ("num_frames", "clip_len", "stride", "expected"),
    [
        (10, 3, 2, [2, 5, 7]),
        (100, 4, 2, [46, 48, 51, 53]),
        (7, 8, 1, [0, 1, 2, 3, 4, 5, 6, 6]),
        (1, 4, 2, [0, 0, 0, 0]),
        (3, 2, 8, [2, 2]),
        (9, 1, 1, [4]),
    ],
)
def test_center_clip(num_frames, clip_len, stride, expected):
    assert clip_frames(num_frames, clip_len=clip_len, frame_stride=stride).tolist() == expected


@pytest.mark.parametrize(
    ("num_frames", "segments", "clip_len", "expected"),
    [(9, 3, 1, [1, 4, 7]), (2, 3, 1, [0, 0, 1]), (5, 7, 1, [0, 0, 1, 2, 2, 3, 4]), (12, 2, 2, [2, 3, 8, 9]), (1, 2, 2, [0, 0, 0, 0])],
)
def test_segment_centers(num_frames, segments, clip_len, expected):
    assert segment_frames(num_frames, num_segments=segments, clip_len=clip_len, frame_stride=1).tolist() == expected


def test_random_clip_reaches_the_first_and_the_last_frame():
    rng = np.random.default_rng(0)
    starts = {int(clip_frames(12, clip_len=4, frame_stride=2, rng=rng)[0]) for _ in range(200)}
    assert starts == {0, 1, 2, 3, 4}
    singles = {int(segment_frames(6, num_segments=2, clip_len=1, frame_stride=1, rng=rng)[1]) for _ in range(200)}
    assert singles == {3, 4, 5}


def test_counts_below_one_are_refused():
    with pytest.raises(ValueError, match="num_frames is 0; it must be at least 1"):
        clip_frames(0, clip_len=4, frame_stride=1)
    with pytest.raises(ValueError, match="num_segments is 0; it must be at least 1"):
        view_frames(5, num_segments=0, clip_len=4, frame_stride=1)
