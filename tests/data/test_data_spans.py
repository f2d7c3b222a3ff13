"""Parts of videos: the arithmetic, and that clips and views keep to them."""

import numpy as np
import pytest
from video_files import frame_numbers

from vidrec.data.annotations import read_table
from vidrec.data.datasets import ClipDataset, MultiViewDataset
from vidrec.data.decoders import open_video
from vidrec.data.eval_pipeline import EvalPipeline
from vidrec.data.samplers import SampleKey
from vidrec.data.spans import Span, span_frames
from vidrec.data.timeline import Timeline
from vidrec.utils.errors import VideoError


@pytest.mark.parametrize(
    ("span", "num_frames", "fps", "expected"),
    [
        (None, 100, 25.0, (0, 100)),
        (Span(0, 100), 100, 0.0, (0, 100)),
        (Span(10, 20), 100, 0.0, (10, 10)),
        (Span(90, 120), 100, 25.0, (90, 10)),  # the video ends before the span
        (Span(99, 200), 100, 25.0, (99, 1)),
        (Span(1.0, 2.0, seconds=True), 100, 25.0, (25, 25)),
        (Span(0.28, 0.56, seconds=True), 100, 25.0, (7, 7)),  # 0.28 * 25 is 7.000000000000001
        (Span(0.0, 0.01, seconds=True), 100, 25.0, (0, 1)),
        (Span(0.05, 0.06, seconds=True), 100, 25.0, (1, 1)),  # inside frame 1
        (Span(3.0, 9.0, seconds=True), 100, 25.0, (75, 25)),
        (Span(10.0, 20.0, seconds=True), 600, 29.97, (300, 300)),
    ],
)
def test_first_frame_and_length_of_a_span(span, num_frames, fps, expected):
    assert span_frames(span, num_frames, fps) == expected


def test_span_that_the_video_does_not_have():
    with pytest.raises(ValueError, match=r"the list gives it as 10 to 20 frames, and the video has 10 frames; correct the list."):
        span_frames(Span(10, 20), 10, 25.0)
    with pytest.raises(ValueError, match=r"the list gives it as 1 to 2.5 seconds, and the video has 25 frames at 25 a second; correct"):
        span_frames(Span(1.0, 2.5, seconds=True), 25, 25.0)
    with pytest.raises(ValueError, match=r"as 0 to 1 seconds, and the file does not tell its frame rate; give frames instead."):
        span_frames(Span(0.0, 1.0, seconds=True), 25, 0.0)


def listed(tmp_path, make_video, text: str):
    make_video("v.mp4", 20, noisy=True)
    (tmp_path / "list.txt").write_text(text)
    return read_table(tmp_path / "list.txt", num_classes=3)


def test_training_clips_lie_in_the_span(tmp_path, make_video):
    table = listed(tmp_path, make_video, "v.mp4 5 11 0\nv.mp4 12 20 1\n")
    dataset = ClipDataset(table, clip_len=3, frame_stride=1, short_side=40, crop_size=32)
    seen = [set(), set()]
    for position in range(40):
        sample = dataset[SampleKey(0, position, position % 2)]
        assert (sample.label, sample.targets) == (position % 2, None)
        seen[position % 2] |= set(frame_numbers(sample.clip.numpy() - 4.5))
    assert seen == [set(range(5, 11)), set(range(12, 20))]


def test_views_lie_in_the_span_and_seconds_follow_the_frame_rate(tmp_path, make_video):
    table = listed(tmp_path, make_video, "v.mp4 0.2 0.4 0\nv.mp4 0.0 99.5 1\n")  # 25 frames a second
    dataset = MultiViewDataset(table, clip_len=2, frame_stride=1, num_clips=2, short_side=40, crop_size=40)
    assert frame_numbers(dataset[0].frames.numpy() - 4.5) == [5, 6, 8, 9]
    assert frame_numbers(dataset[1].frames.numpy() - 4.5) == [0, 1, 18, 19]
    np.testing.assert_allclose(dataset[0].views.seconds, [[0.2, 0.28], [0.32, 0.4]])
    np.testing.assert_allclose(dataset[1].views.seconds, [[0.0, 0.08], [0.72, 0.8]])


def test_span_shorter_than_the_clip_repeats_its_own_last_frame(tmp_path, make_video):
    table = listed(tmp_path, make_video, "v.mp4 5 7 0\nv.mp4 2 3 0\n")
    dataset = MultiViewDataset(table, clip_len=4, frame_stride=1, short_side=40, crop_size=40)
    assert [np.asarray(frame_numbers(dataset[row].frames.numpy() - 4.5)).tolist() for row in (0, 1)] == [[5, 6], [2]]
    assert dataset[0].views.positions.tolist() == [[0, 1, 1, 1]]


def test_span_beyond_the_video_is_a_failure_of_that_video(tmp_path, make_video):
    table = listed(tmp_path, make_video, "v.mp4 20 30 0\nv.mp4 0 5 0\n")
    dataset = MultiViewDataset(table, clip_len=4, frame_stride=1, short_side=40, crop_size=40)
    message = (
        f"{tmp_path}/v.mp4 has no frame in its span: the list gives it as 20 to 30 frames, and the video has 20 frames; correct the list."
    )
    assert dataset[0].failure.reason == message
    assert dataset[1].failure is None
    with pytest.raises(VideoError, match="has no frame in its span"):
        EvalPipeline(clip_len=4, frame_stride=1, short_side=40, crop_size=40)(str(tmp_path / "v.mp4"), Span(50, 60))


def test_equal_paths_with_other_spans_are_no_repeats(tmp_path, make_video):
    table = listed(tmp_path, make_video, "v.mp4 0 5 0\nv.mp4 5 9 0\nv.mp4 0 5 1\n")
    assert table.repeats().tolist() == [[0, 2]]


def test_the_time_of_a_span_counts_from_its_first_frame():
    even, uneven = Timeline(40, 20.0), Timeline(4, 10.0, np.array([0.0, 0.1, 0.3, 0.4]))
    assert even.part(10, 5) == Timeline(5, 20.0)
    part = uneven.part(1, 2)
    assert part.num_frames == 2 and part.times.tolist() == pytest.approx([0.0, 0.2])


def test_a_target_rate_chooses_within_the_span(make_video):
    """At half the rate: every second frame of the span, none outside it."""
    path = str(make_video("v.mp4", 20, noisy=True))
    with open_video(path) as reader:
        half = reader.fps / 2
    pipeline = EvalPipeline(clip_len=4, frame_stride=1, short_side=40, crop_size=32, sampling="dense", target_fps=half)
    frames, _ = pipeline(path, Span(6, 14))
    assert sorted(set(frame_numbers(frames.numpy() - 4.5))) == [6, 8, 10, 12]
