"""Windows that slide over a long video: where they lie, what they show, and how little they keep."""

from dataclasses import replace

import numpy as np
import pytest
from video_files import frame_numbers, write_video

from vidrec.data.eval_pipeline import EvalPipeline
from vidrec.data.live import Camera, live_windows, open_live
from vidrec.data.spans import Span
from vidrec.data.windows import plan_windows, read_windows, sliding, window_frames
from vidrec.utils.ahead import ahead
from vidrec.utils.errors import VideoError

PIPELINE = EvalPipeline(clip_len=3, frame_stride=2, num_clips=10, num_crops=3, short_side=32, crop_size=32)


@pytest.mark.parametrize(
    ("num_frames", "length", "stride", "firsts"),
    [(10, 4, 3, [0, 3, 6]), (11, 4, 3, [0, 3, 6, 7]), (3, 4, 3, [0]), (4, 4, 3, [0]), (1, 1, 1, [0]), (5, 2, 9, [0, 3])],
)
def test_windows_cover_a_video(num_frames, length, stride, firsts):
    plan = plan_windows(num_frames, length=length, stride=stride)
    assert plan.firsts.tolist() == firsts and plan.length == min(length, num_frames)


def test_window_is_what_a_clip_spans_or_so_many_seconds():
    assert window_frames(PIPELINE, 25.0) == 5
    assert window_frames(PIPELINE, 25.0, 2.0) == 50
    at_half_rate = EvalPipeline(clip_len=32, frame_stride=2, target_fps=15.0)
    assert window_frames(at_half_rate, 30.0) == 126


def shown(window):
    """The frame numbers of a window's view."""
    return frame_numbers(window.video.frames[window.video.views.positions[0]])


def test_each_window_shows_the_frames_of_its_clip(tmp_path):
    path = write_video(tmp_path / "a.mp4", 14)
    windows = list(read_windows(path, sliding(PIPELINE), stride_s=3 / 25))
    assert [shown(window) for window in windows] == [[0, 2, 4], [3, 5, 7], [6, 8, 10], [9, 11, 13]]
    assert [round(window.start_s * 25) for window in windows] == [0, 3, 6, 9]
    assert [round(window.stop_s * 25) for window in windows] == [5, 8, 11, 14]
    assert [window.total for window in windows] == [4] * 4 and len(windows[0].video.views) == 1
    assert len(next(iter(read_windows(path, sliding(PIPELINE, crops=3), stride_s=1))).video.views) == 3


def test_windows_of_a_part_count_seconds_from_the_start_of_the_whole(tmp_path):
    path = write_video(tmp_path / "a.mp4", 14)
    windows = list(read_windows(path, sliding(PIPELINE), stride_s=3 / 25, span=Span(4, 12)))
    assert [shown(window) for window in windows] == [[4, 6, 8], [7, 9, 11]]
    assert [round(window.start_s * 25) for window in windows] == [4, 7]


def test_window_has_the_views_of_a_part_of_its_length(tmp_path):
    """A window is cut as a test cuts a video of that part alone."""
    path = write_video(tmp_path / "a.mp4", 14)
    for window, first in zip(read_windows(path, sliding(PIPELINE, crops=3), stride_s=3 / 25), (0, 3, 6, 9), strict=True):
        frames, views = sliding(PIPELINE, crops=3)(str(path), Span(first, first + 5))
        assert np.array_equal(frames, window.video.frames) and np.array_equal(views.boxes, window.video.views.boxes)


def test_short_video_is_one_window_that_repeats_its_last_frame(tmp_path):
    windows = list(read_windows(write_video(tmp_path / "a.mp4", 3), sliding(PIPELINE), stride_s=1.0))
    assert [shown(window) for window in windows] == [[0, 2, 2]]


def test_windows_that_would_keep_too_many_frames_are_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", 14)
    few = replace(sliding(PIPELINE), reading=replace(PIPELINE.reading, max_clip_frames=4))
    assert len(list(read_windows(path, few, stride_s=5 / 25))) == 3
    with pytest.raises(VideoError, match=r"5 different frames; CONFIG\.DATA\.MAX_CLIP_FRAMES allows 4"):
        list(read_windows(path, few, stride_s=1 / 25))


def test_broken_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(VideoError, match="cannot be read"):
        next(iter(read_windows(tmp_path / "a.mp4", sliding(PIPELINE), stride_s=1.0)))


def test_camera_reads_what_opencv_opens_in_windows_as_they_fill(tmp_path):
    """A file in place of a camera: it goes through the same reader."""
    camera = Camera(str(write_video(tmp_path / "a.mp4", 14, width=64, height=64)))
    windows = list(live_windows(camera, sliding(PIPELINE), "camera", stride_s=3 / 25))
    camera.close()
    assert camera.fps == 25.0
    assert [shown(window) for window in windows] == [[0, 2, 4], [3, 5, 7], [6, 8, 10], [9, 11, 13]]


def test_stream_is_watched_for_so_many_seconds_of_its_own_time(tmp_path):
    stream = open_live(str(write_video(tmp_path / "a.mp4", 14, width=64, height=64)))
    windows = list(live_windows(stream, sliding(PIPELINE), "stream", stride_s=3 / 25, seconds=7 / 25))
    stream.close()
    assert [shown(window) for window in windows] == [[0, 2, 4], [3, 5, 7]]
    assert [round(25 * window.stop_s) for window in windows] == [5, 8]


def test_stream_that_nobody_sends_is_refused():
    with pytest.raises(VideoError, match=r"rtsp://127.0.0.1:9/x cannot be watched: .*Check the address"):
        open_live("rtsp://127.0.0.1:9/x")
    with pytest.raises(VideoError, match="there is no /dev/video98 on this machine"):
        open_live("98")


def test_items_come_in_order_with_their_error_in_its_place():
    def items():
        yield from range(5)
        raise ValueError("the sixth")

    found = []
    with pytest.raises(ValueError, match="the sixth"):
        found.extend(ahead(items(), 2))
    assert list(ahead(range(100), 3)) == list(range(100))


def test_thread_ends_with_an_iterator_that_is_left_early():
    made = []

    def items():
        for number in range(1000):
            made.append(number)
            yield number

    taken = ahead(items(), 2)
    assert next(taken) == 0
    taken.close()
    assert len(made) <= 5


def test_newest_items_push_out_those_that_wait():
    import threading

    all_made = threading.Event()

    def items():
        yield from range(10)
        all_made.set()

    taken = ahead(items(), 2, newest=True)
    first = next(taken)
    assert all_made.wait(10)
    rest = list(taken)
    found = [first, *rest]
    assert len(rest) <= 2 and found == sorted(found) and found[-1] == 9
