"""What one sample or test video may keep in memory: frames and gigabytes, each a VideoError that names file, value, limit and key."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from vidrec.config import load_config
from vidrec.data.annotations import VideoTable
from vidrec.data.decoders import ReadOptions, open_video
from vidrec.data.eval_pipeline import EvalPipeline
from vidrec.data.multiview import MultiViewDataset
from vidrec.data.pipelines import TrainPipeline
from vidrec.utils.errors import ConfigError, VideoError

SIZES = {"clip_len": 4, "frame_stride": 1, "short_side": 32, "crop_size": 32}


def test_a_test_video_whose_views_have_too_many_different_frames(make_video):
    path = make_video(num_frames=20)
    frames, _ = EvalPipeline(**SIZES, num_clips=3, reading=ReadOptions(max_clip_frames=12))(path)
    assert len(frames) == 12
    with pytest.raises(VideoError) as caught:
        EvalPipeline(**SIZES, num_clips=3, reading=ReadOptions(max_clip_frames=11))(path)
    assert str(caught.value) == (
        f"{path} cannot be read: the clips cut from it have 12 different frames; CONFIG.DATA.MAX_CLIP_FRAMES allows 11 at the most. Raise "
        "the key, or cut fewer clips (CONFIG.DATA.TEST_NUM_SEGMENT, CLIPS_PER_VIDEO)."
    )


def test_a_short_video_is_under_a_limit_that_a_long_one_exceeds(make_video):
    table = VideoTable.from_paths([make_video("short.mp4", 6), make_video("long.mp4", 20)], [0, 1])
    short, long = (MultiViewDataset(table, **SIZES, num_clips=3, reading=ReadOptions(max_clip_frames=6))[index] for index in (0, 1))
    assert (len(short.frames), short.failure) == (6, None)
    assert "long.mp4 cannot be read: the clips cut from it have 12 different frames" in long.failure.reason


def test_all_clips_of_a_training_sample_count_together(make_video):
    path = make_video(num_frames=20)
    pipeline = TrainPipeline(**SIZES, reading=ReadOptions(max_clip_frames=4))
    assert len(pipeline(path, np.random.default_rng(0))) == 1
    with pytest.raises(VideoError, match=r"have [5-8] different frames; CONFIG\.DATA\.MAX_CLIP_FRAMES allows 4"):
        pipeline(path, np.random.default_rng(0), np.random.default_rng(1))


@pytest.fixture
def strip(tmp_path):
    """A video of 4 frames, 8 pixels high and 2048 wide: small in the file, large once its short side is 256."""
    folder = tmp_path / "strip"
    folder.mkdir()
    for number in range(1, 5):
        Image.fromarray(np.full((8, 2048, 3), 40 * number, np.uint8)).save(folder / f"img_{number:05d}.jpg")
    return folder


def test_a_strip_that_grows_when_its_short_side_does(strip):
    pipeline = {"clip_len": 4, "frame_stride": 1, "short_side": 256, "crop_size": 256}
    frames, _ = EvalPipeline(**pipeline)(str(strip))
    assert frames.shape == (4, 256, 65536, 3)
    message = (
        f"{strip} cannot be read: 4 frames of it, resized to 65536x256, take 0.201 GB; CONFIG.DATA.MAX_CLIP_GB allows 0.2 at the most. "
        "Raise the key if the file is trusted, or leave it out."
    )
    with pytest.raises(VideoError, match=re.escape(message)):
        EvalPipeline(**pipeline, reading=ReadOptions(max_clip_gb=0.2))(str(strip))


def test_a_resized_frame_of_too_many_pixels_is_refused_before_it_is_made(strip):
    limits, huge = ReadOptions(max_pixels=8 * 2048), lambda height, width: (2**20, 2**20)
    with (
        open_video(strip, "auto", limits, size=huge) as reader,
        pytest.raises(
            VideoError,
            match=r"strip cannot be read: its frames resized would have 1048576x1048576 = 1099511627776 pixels; CONFIG.DATA.MAX_PIX",
        ),
    ):
        reader.get_frames([0])


def test_an_8k_video_takes_what_its_resized_frames_take(make_video):
    path = make_video("8k.mp4", 3, width=7680, height=4320)
    frames, _ = EvalPipeline(clip_len=2, frame_stride=1, short_side=32, crop_size=32, reading=ReadOptions(max_clip_gb=0.001))(path)
    assert frames.shape == torch.Size([2, 32, 56, 3])
    with pytest.raises(VideoError, match=r"8k.mp4 cannot be read: its frames have 7680x4320 = 33177600 pixels; CONFIG.DATA.MAX_PIXELS"):
        EvalPipeline(clip_len=2, frame_stride=1, short_side=32, crop_size=32, reading=ReadOptions(max_pixels=33177599))(path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["MAX_CLIP_FRAMES", "0"], "CONFIG.DATA.MAX_CLIP_FRAMES is 0; it must be at least 1 frame"),
        (["MAX_CLIP_GB", "0"], "CONFIG.DATA.MAX_CLIP_GB is 0"),
        (["CLIP_LEN", "16", "MAX_CLIP_FRAMES", "15"], "CONFIG.DATA.NUM_SEGMENT * CLIP_LEN is 16 frames and MAX_CLIP_FRAMES 15; one clip"),
        (
            ["CLIP_LEN", "16", "CROP_SIZE", "224", "SHORT_SIDE_SIZE", "256", "MAX_CLIP_GB", "0.003"],
            "A test clip of 16 frames of 256 pixels takes 0.00315 GB and CONFIG.DATA.MAX_CLIP_GB is 0.003; one clip must fit: raise it, or",
        ),
    ],
)
def test_a_config_whose_clip_alone_is_over_a_limit(tmp_path, overrides, message):
    file = tmp_path / "c.yaml"
    file.write_text("CONFIG: {MODEL: {NAME: i3d_resnet50_v1_kinetics400}}\n")
    keys = [f"CONFIG.DATA.{text}" if index % 2 == 0 else text for index, text in enumerate(overrides)]
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(file, keys)
