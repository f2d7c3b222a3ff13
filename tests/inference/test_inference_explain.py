"""An explanation of a video: which frames have which evidence, and the pictures of it."""

from functools import partial

import av
import numpy as np
import pytest
import torch
from PIL import Image
from test_inference_cam import averaging

from vidrec.commands.make_demo_data import encode_video
from vidrec.data.multiview import MultiViewDataset
from vidrec.engine.averages import ViewAverage
from vidrec.inference.cam_pictures import blend, draw_strip, hold_lengths, overlay, save_pictures, shown_places
from vidrec.inference.explain import explain, find_class, shown_frames, shown_size
from vidrec.inference.predictor import Predictor
from vidrec.utils.errors import UserError, VideoError

FPS = 30


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """12 frames of 36 x 48 pixels; frame i is green of value 10 + 20 * i."""
    path = tmp_path_factory.mktemp("green") / "green.mp4"
    frames = np.zeros((12, 36, 48, 3), dtype=np.uint8)
    frames[..., 1] = (10 + 20 * np.arange(12))[:, None, None]
    encode_video(path, frames, height=36, width=48)
    return path


def predictor(**pipeline) -> Predictor:
    """Its class `green` has as much evidence in a pixel as the pixel is green; `red` is red minus blue."""
    options = {"clip_len": 4, "frame_stride": 2, "num_clips": 3, "num_crops": 3, "short_side": 36, "crop_size": 36} | pipeline
    return Predictor(
        averaging((1, 1, 1)).eval(),
        class_names=["red", "green"],
        make_views=partial(MultiViewDataset, **options),
        average=ViewAverage("logits_mean"),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        device=torch.device("cpu"),
    )


def green_of(frames):
    """The evidence of green frames by their numbers, the largest of them 1."""
    values = 10 + 20 * np.array(frames)
    return values / values.max()


@pytest.mark.parametrize(
    ("options", "num_views", "frames"),
    [
        ({}, 1, [2, 4, 6, 8]),  # the middle of the video
        ({}, None, [0, 2, 4, 6, 8, 10]),  # two clips of 4 frames, for 8 in all; they share 4 and 6
        ({"clip_len": 1, "frame_stride": 1}, None, [0, 1, 3, 4, 6, 7, 9, 11]),  # single frames: eight
        ({"clip_len": 8}, None, [0, 2, 4, 6, 8, 10]),  # longer than the video: the last frame is seen three times
    ],
)
def test_evidence_stands_beside_the_number_and_time_of_its_frame(video, options, num_views, frames):
    found = explain(predictor(**options), video, label=1, num_views=num_views)
    assert found.frames.tolist() == frames
    assert found.seconds == pytest.approx(np.array(frames) / FPS, abs=1e-3)
    assert found.fps == pytest.approx(FPS)
    assert found.per_frame == pytest.approx(green_of(frames), abs=0.02)
    assert found.evidence.shape == (len(frames), 36, 36)
    assert found.box == pytest.approx((0, 1, 6 / 48, 42 / 48))
    assert found.name == "green"


def test_short_video_has_its_different_clips_looked_at_once(video):
    found = explain(predictor(), video, label=1, num_views=100)
    assert found.num_views == 3 and found.frames.tolist() == [0, 2, 4, 6, 8, 10]


def test_class_is_the_most_probable_of_the_clips_and_may_have_no_evidence(video):
    found = explain(predictor(), video)
    assert found.name == "red" and found.probability == pytest.approx(0.99, abs=0.01)  # its bias is 5
    assert not found.evidence.any() and not found.steady


def test_number_of_views_that_the_clips_do_not_have_is_a_mistake(video):
    with pytest.raises(UserError, match=r"The number of views is 2; this network's clips are spread over the video, so it must be 1"):
        explain(predictor(num_clips=1, num_crops=1, num_segments=2), video, num_views=2)
    with pytest.raises(UserError, match=r"The number of views is 0; it must be at least 1"):
        explain(predictor(), video, num_views=0)


def test_video_that_cannot_be_read_is_said_so(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match=r"a\.mp4 cannot be read: it is empty \(0 bytes\)"):
        explain(predictor(), tmp_path / "a.mp4")


@pytest.mark.parametrize(("wanted", "label"), [("jump", 1), ("JUMP", 1), ("0", 0), ("2", 2), ("7", 3)])
def test_class_is_found_by_name_before_number(wanted, label):
    assert find_class(wanted, ["run", "jump", "swim", "7"]) == label


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("jmp", r"The class is 'jmp'; it must be a name of the network's classes, or a number from 0 to 2\. Did you mean 'jump'\?"),
        ("3", r"The class is '3'; .* from 0 to 2\. The first names are run, jump, swim\."),
        ("-1", r"The class is '-1'; .* from 0 to 2\."),
    ],
)
def test_unknown_class_is_answered_with_close_names(wanted, words):
    with pytest.raises(UserError, match=words):
        find_class(wanted, ["run", "jump", "swim"])


@pytest.mark.parametrize(
    ("size", "shown"),
    [((80, 80), (256, 256)), ((240, 320), (256, 340)), ((481, 641), (480, 640)), ((1080, 1920), (1080, 1920)), ((3840, 2160), (1920, 1080)),
     ((10, 4000), (4, 1920))],
)  # fmt: skip
def test_frames_are_shown_in_their_own_size_where_that_can_be_looked_at(size, shown):
    assert shown_size(*size) == shown


def test_overlay_is_gray_without_evidence_colored_with_it_and_dark_outside_of_the_box():
    frame = np.full((4, 8, 3), (100, 50, 0), dtype=np.uint8)  # 59.25 in gray
    shown = overlay(frame, np.array([[0.0, 1.0]] * 2, dtype=np.float32), (0, 1, 0.25, 0.75))
    assert shown[0, 0].tolist() == [23, 23, 23] and shown[0, 7].tolist() == [23, 23, 23]
    assert shown[0, 2].tolist() == [59, 59, 59]
    assert shown[0, 5].tolist() == blend(np.array([59, 59, 59]), np.array(1.0)).tolist() == [103, 20, 19]  # 0.3 gray + 0.7 dark red


def test_frame_stays_until_the_next_one_that_was_seen_or_half_a_second(video):
    found = explain(predictor(), video, label=1, num_views=1)
    assert hold_lengths(found).tolist() == [2, 2, 2, 2]
    found.frames[:] = [0, 2, 4, 100]
    assert hold_lengths(found).tolist() == [2, 2, 15, 2]
    assert shown_places(found, 2) == [0, 3] and shown_places(found, 8) == [0, 1, 2, 3]


def test_mp4_plays_everywhere_at_the_speed_of_the_video_and_the_strip_is_a_png(video, tmp_path):
    model = predictor()
    found = explain(model, video, label=1, num_views=1)
    save_pictures(found, shown_frames(model, found), strip=tmp_path / "a.png", video=str(tmp_path / "a.mp4"))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", FPS)
    assert len(frames) == 8 and frames[0].shape == (256, 340, 3)
    inside, outside = frames[-1][60:200, 60:280].mean((0, 1)), frames[-1][60:200, :30].mean((0, 1))
    assert inside[0] > 3 * inside[2] and outside.max() - outside.min() < 6  # the last frame has the most evidence: red; gray outside
    assert frames[-1][:12, 4:60].max() > 200 > 60 > frames[-1][:12, 4:60].min()  # a label, white on dark
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    assert picture.shape[1] > 700 and (picture.min(2) < 250).mean() > 0.3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.png"]


def test_strip_says_class_probability_layer_and_draws_evidence_against_time(video):
    model = predictor()
    found = explain(model, video, label=1, num_views=1)
    figure = draw_strip(found, dict(enumerate(shown_frames(model, found))))
    assert figure.get_suptitle().splitlines() == [
        f"green   {100 * found.probability:.1f} %",
        "green.mp4, 1 clip; evidence from backbone, 4 x 36 x 36 points (t x h x w)",
    ]
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == [
        f"{frame / FPS:.2f} s\nframe {frame}" for frame in (2, 4, 6, 8)
    ]
    curve = next(axes for axes in figure.axes if axes.get_xlabel() == "seconds").lines[0]
    assert curve.get_ydata() == pytest.approx(green_of([2, 4, 6, 8]), abs=0.02)
    nothing = draw_strip(explain(model, video, label=0, num_views=1), dict(enumerate(shown_frames(model, found))))
    assert nothing.get_suptitle().endswith("Nothing in these frames speaks for this class.")


def test_picture_that_cannot_be_written_is_one_clear_message(video, tmp_path):
    model = predictor()
    found = explain(model, video, label=1, num_views=1)
    with pytest.raises(UserError, match=r"nowhere/a\.mp4 cannot be written \(No such file or directory\); give a folder"):
        save_pictures(found, shown_frames(model, found), video=tmp_path / "nowhere" / "a.mp4")
    with pytest.raises(UserError, match=r"nowhere/a\.png cannot be written \(No such file or directory\); give a folder"):
        save_pictures(found, shown_frames(model, found), strip=tmp_path / "nowhere" / "a.png")
