"""Limits of pixels, frames and seconds, each a VideoError that names file, value, limit and key."""

import time

import numpy as np
import pytest
from PIL import Image
from video_files import frame_numbers, need

from vidrec.config import load_config
from vidrec.data.decoders import ReadOptions, open_video
from vidrec.data.decoders.pyav_reader import PyAVReader
from vidrec.utils.errors import ConfigError, VideoError

FILE_DECODERS = ["auto", "decord", "opencv", "pyav", "torchcodec"]


@pytest.mark.parametrize("decoder", FILE_DECODERS)
def test_a_frame_of_too_many_pixels_is_refused_before_it_is_decoded(make_video, decoder):
    need(decoder)
    path = make_video(num_frames=6, width=256, height=192)
    with open_video(path, decoder, ReadOptions(max_pixels=256 * 192)) as reader:
        assert frame_numbers(reader.get_frames([5])) == [5]
    message = (
        f"^{path} cannot be read: its frames have 256x192 = 49152 pixels; CONFIG.DATA.MAX_PIXELS allows 49151 at the most. "
        "Raise the key if the file is trusted, or leave the file out.$"
    )
    with pytest.raises(VideoError, match=message):
        open_video(path, decoder, ReadOptions(max_pixels=256 * 192 - 1))


@pytest.mark.parametrize("decoder", FILE_DECODERS)
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4")])
def test_a_file_of_too_many_frames_is_refused(make_video, decoder, name, codec):
    need(decoder)
    path = make_video(name, 12, width=256, height=192, codec=codec)
    with open_video(path, decoder, ReadOptions(max_frames=12)) as reader:
        assert len(reader) == 12
    with pytest.raises(VideoError, match=rf"{name} cannot be read: it has \d+ frames or more; CONFIG.DATA.MAX_FRAMES allows 11 at"):
        open_video(path, decoder, ReadOptions(max_frames=11))


@pytest.mark.parametrize("decoder", FILE_DECODERS)
def test_a_file_that_takes_too_long_is_refused(make_video, decoder):
    need(decoder)
    path = make_video(num_frames=20, width=256, height=192)
    message = r"video.mp4 cannot be read: its decoding has taken 0.0 seconds and is not finished; CONFIG.DATA.MAX_SECONDS allows 1e-09 at"
    with pytest.raises(VideoError, match=message), open_video(path, decoder, ReadOptions(max_seconds=1e-9)) as reader:
        reader.get_frames(range(20))


def test_the_clock_stands_still_while_a_reader_lies_open(make_video):
    with open_video(make_video(num_frames=4), "pyav", ReadOptions(max_seconds=5.0)) as reader:
        reader.get_frames([0])
        spent = reader._guard._spent
        time.sleep(0.05)
        assert reader._guard._spent == spent > 0
        reader.get_frames([3])
        assert spent < reader._guard._spent < 5


def test_a_frame_that_grows_in_the_middle_is_held_to_the_limit(make_video, monkeypatch):
    with PyAVReader(str(make_video(num_frames=4)), ReadOptions(max_pixels=64 * 48)) as reader:
        grown = av_frame(96, 64)
        monkeypatch.setattr(reader._frames, "frame", lambda number: grown)
        with pytest.raises(VideoError, match="its frames have 96x64 = 6144 pixels"):
            reader.get_frames([1])


def av_frame(width: int, height: int):
    import av

    return av.VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), format="rgb24")


def test_folders_of_frames_have_the_same_limits(tmp_path):
    for number in (1, 2, 3):
        Image.new("RGB", (40, 30)).save(tmp_path / f"img_{number:05d}.jpg")
    with pytest.raises(VideoError, match=r"its frames have 40x30 = 1200 pixels; CONFIG.DATA.MAX_PIXELS allows 1199"):
        open_video(tmp_path, reading=ReadOptions(max_pixels=1199)).get_frames([0])
    with pytest.raises(VideoError, match=r"it has 3 frames or more; CONFIG.DATA.MAX_FRAMES allows 2"):
        open_video(tmp_path, reading=ReadOptions(max_frames=2))
    with pytest.raises(VideoError, match=r"CONFIG.DATA.MAX_SECONDS allows 1e-09"):
        open_video(tmp_path, reading=ReadOptions(max_seconds=1e-9)).get_frames([0, 1, 2])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MAX_PIXELS", "0", "CONFIG.DATA.MAX_PIXELS is 0; it must be at least 1 pixel"),
        ("MAX_FRAMES", "0", "CONFIG.DATA.MAX_FRAMES is 0; it must be at least 1 frame"),
        ("MAX_SECONDS", "-1", "CONFIG.DATA.MAX_SECONDS is -1"),
        ("FRAME_OFFSET", "-1", "CONFIG.DATA.FRAME_OFFSET is -1; it must be at least 0"),
        ("FRAME_TEMPLATE", "img.jpg", "CONFIG.DATA.FRAME_TEMPLATE is 'img.jpg'; it must be a file name with one place for the number"),
        ("FRAME_TEMPLATE", "a/%d.jpg", "CONFIG.DATA.FRAME_TEMPLATE is 'a/%d.jpg'"),
        ("FRAME_TEMPLATE", "a%d_%d.jpg", "CONFIG.DATA.FRAME_TEMPLATE is 'a%d_%d.jpg'"),
    ],
)
def test_keys_are_checked(tmp_path, key, value, message):
    path = tmp_path / "a.yaml"
    path.write_text("CONFIG:\n  MODEL: {NAME: i3d_resnet50_v1_kinetics400}\n")
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        load_config(str(path), [f"CONFIG.DATA.{key}", value])
