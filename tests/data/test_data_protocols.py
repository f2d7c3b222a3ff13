"""Test views and training clips of a config, on real files: protocols, frame rates, short videos, mirrored crops."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from video_files import frame_numbers, write_video

from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.annotations import VideoTable
from vidrec.data.build import build_dataset
from vidrec.data.decoders import open_video
from vidrec.data.multiview import MultiViewDataset
from vidrec.data.samplers import SampleKey
from vidrec.data.timeline import read_timeline
from vidrec.data.transforms import cut_views
from vidrec.registry import Registry
from vidrec.utils.errors import ConfigError


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two videos of 25 frames per second: 25 frames, and 5; the upper left quarter is black."""
    path = tmp_path_factory.mktemp("videos")
    write_video(path / "long.mp4", 25, marked=True)
    write_video(path / "short.mp4", 5, marked=True)
    (path / "list.txt").write_text("long.mp4 0\nshort.mp4 1\n")
    return path


def make_cfg(folder: Path, *overrides):
    cfg = get_cfg_defaults()
    lists = str(folder / "list.txt")
    cfg.merge_from_list(["CONFIG.DATA.TRAIN_ANNO_PATH", lists, "CONFIG.DATA.VAL_ANNO_PATH", lists, "CONFIG.DATA.NUM_CLASSES", 2])
    data = {"CLIP_LEN": 4, "FRAME_RATE": 2, "SHORT_SIDE_SIZE": 40, "CROP_SIZE": 32, "KEEP_ASPECT_RATIO": True, "FLIP_PROB": 0.0}
    data |= {"TEST_NUM_SEGMENT": 2, "TEST_NUM_CROP": 1}
    for key, value in data.items():
        cfg.CONFIG.DATA[key] = value
    cfg.merge_from_list([f"CONFIG.{part}" if index % 2 == 0 else part for index, part in enumerate(overrides)])
    return cfg


def clips_of(video) -> list[list[int]]:
    """The frame numbers of each view, read off the lower right corner."""
    numbers = frame_numbers(video.frames.numpy()[:, -8:, -8:])
    return [[numbers[place] for place in places] for places in video.views.positions]


@pytest.mark.parametrize(
    ("name", "long", "short"),
    [
        ("reference", [[0, 2, 4, 6], [18, 20, 22, 24]], [0, 2, 4, 4]),
        ("reference_mxnet", [[4, 6, 8, 10], [13, 15, 17, 19]], [0, 2, 4, 4]),
        ("pyslowfast", [[0, 1, 3, 5], [9, 11, 12, 14]], [0, 1, 3, 4]),
        ("pyslowfast_offset", [[0, 1, 3, 5], [18, 19, 21, 23]], [0, 1, 3, 4]),
        ("mmaction2", [[0, 2, 4, 6], [18, 20, 22, 24]], [0, 2, 4, 1]),
        ("mmaction2_tsn", [[6, 8, 10, 12], [18, 20, 22, 24]], [1, 3, 0, 2]),
        ("tsm", [[1, 7, 14, 20], [4, 10, 17, 23]], [0, 1, 2, 4]),
        ("pytorchvideo", [[0, 2, 4, 6], [19, 20, 22, 24]], [0, 1, 2, 4]),
        ("torchvision", [[0, 3, 6, 10], [13, 16, 20, 23]], [0, 3, 3, 3]),
        ("videomae", [[0, 2, 4, 6], [18, 20, 22, 24]], [0, 2, 4, 4]),
        ("videomae_sthsthv2", [[0, 6, 12, 18], [3, 9, 15, 21]], [0, 1, 2, 3]),
    ],
)
def test_frames_of_two_clips_of_each_protocol(folder, name, long, short):
    dataset = build_dataset(make_cfg(folder, "TEST.PROTOCOL", name), "test")
    assert clips_of(dataset[0]) == long
    assert clips_of(dataset[1])[0] == short
    protocol = json.loads(json.dumps(dataset.protocol()))
    assert (protocol["num_views"], protocol["num_clips"], protocol["num_crops"]) == (2, 2, 1)


@pytest.mark.parametrize(
    ("name", "num_crops", "size", "crop"),
    [
        ("reference", 3, (40, 53), 40),
        ("reference_mxnet", 10, (40, 53), 32),
        ("pyslowfast", 3, (40, 53), 40),
        ("mmaction2", 3, (40, 53), 40),
        ("mmaction2_tsn", 10, (40, 53), 32),
        ("tsm", 5, (40, 53), 32),
        ("pytorchvideo", 1, (40, 53), 40),
        ("torchvision", 1, (128, 171), 112),
        ("videomae", 3, (32, 42), 32),
    ],
)
def test_sizes_of_frames_and_views_of_each_protocol(folder, name, num_crops, size, crop):
    video = build_dataset(make_cfg(folder, "TEST.PROTOCOL", name, "DATA.TEST_NUM_CROP", num_crops), "test")[0]
    assert tuple(video.frames.shape[1:3]) == size
    views = cut_views(video.frames, video.views, 0, len(video.views))
    assert tuple(views.shape) == (2 * num_crops, 4, crop, crop, 3)
    assert (video.views.flips is not None) == (num_crops == 10)


def test_half_of_ten_crops_are_mirrored(folder):
    overrides = ("TEST.PROTOCOL", "mmaction2_tsn", "DATA.TEST_NUM_SEGMENT", 25, "DATA.TEST_NUM_CROP", 10, "DATA.CLIP_LEN", 1)
    video = build_dataset(make_cfg(folder, *overrides), "test")[0]
    assert len(video.views) == 250
    last = cut_views(video.frames, video.views, 240, 250)
    assert torch.equal(last[5:], last[:5].flip(3))
    assert int(last[0, 0, 4, 1].max()) < 20 and int(last[5, 0, 4, 1].min()) > 180  # the black quarter changes sides


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reference", [8, 10, 12, 14]),
        ("reference_mxnet", [9, 11, 13, 15]),
        ("mmaction2", [9, 11, 13, 15]),
        ("pyslowfast_offset", [9, 10, 12, 14]),
    ],
)
def test_one_view_is_one_clip_and_one_crop(folder, name, expected):
    one = ("DATA.TEST_NUM_SEGMENT", 1, "DATA.TEST_NUM_CROP", 1)
    assert clips_of(build_dataset(make_cfg(folder, "TEST.PROTOCOL", name, *one), "test")[0]) == [expected]


def test_what_the_test_sets_goes_before_the_component_and_the_protocol(folder):
    cfg = make_cfg(folder, "TEST.PROTOCOL", "mmaction2", "TEST.SHORT_VIDEO", "center", "TEST.CROP_SIZE", 24, "TEST.RESIZE", "30x50")
    cfg.CONFIG.DATA.VAL_DATASET.CROP_SIZE = 28
    cfg.CONFIG.DATA.VAL_DATASET.SHORT_SIDE = 36
    video = build_dataset(cfg, "test")[1]
    assert clips_of(video)[0] == [0, 2, 4, 4]
    assert tuple(video.frames.shape[1:3]) == (30, 50)
    assert video.views.boxes[0].tolist() == [3, 27, 13, 37]
    assert build_dataset(cfg, "val").pipeline.crop_size == 28


def test_training_and_validation_choose_frames_by_the_same_rule(folder):
    cfg = make_cfg(folder, "DATA.SAMPLING", "uniform", "DATA.NUM_SEGMENT", 2, "DATA.SHORT_VIDEO", "loop", "DATA.TARGET_FPS", 12.5)
    train, val = build_dataset(cfg, "train"), build_dataset(cfg, "val")
    assert clips_of(val[0]) == [[0, 4, 6, 10, 12, 16, 18, 22]]  # 8 shares of the 12 frames that 12.5 fps leaves: 0, 2, 4, ...
    drawn = frame_numbers(train[SampleKey(0, 0, 0)].clip.numpy()[:, -8:, -8:])
    assert len(drawn) == 8 and all(number % 2 == 0 for number in drawn) and drawn == sorted(drawn)
    assert (train.pipeline.sampling, train.pipeline.short_video, train.pipeline.target_fps) == ("uniform", "loop", 12.5)


def test_short_training_video_starts_again_where_it_is_asked_to(folder):
    cfg = make_cfg(folder, "DATA.SAMPLING", "dense", "DATA.SHORT_VIDEO", "loop", "DATA.CLIP_LEN", 8, "DATA.FRAME_RATE", 1)
    clip = build_dataset(cfg, "train")[SampleKey(0, 0, 1)].clip.numpy()
    assert frame_numbers(clip[:, -8:, -8:]) == [0, 1, 2, 3, 4, 0, 1, 2]
    assert clips_of(build_dataset(cfg, "val")[1]) == [[0, 1, 2, 3, 4, 0, 1, 2]]


def write_varying(path: Path, container: str) -> Path:
    """8 frames at 0, 0.4, 0.8, 1.2 s and, five times as fast, 1.6, 1.68, 1.76, 1.84 s."""
    path = path / f"varying.{container}"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, pts in enumerate([0, 10, 20, 30, 40, 42, 44, 46]):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 + 8 * number, np.uint8), format="rgb24")
            frame.pts = pts
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_times_of_frames_are_read_from_the_file(tmp_path, container, decoder):
    path = write_varying(tmp_path, container)
    with open_video(path, decoder) as reader:
        times = read_timeline(reader, with_times=True).times
        assert read_timeline(reader, with_times=False).times is None
    assert times.tolist() == pytest.approx([0, 0.4, 0.8, 1.2, 1.6, 1.68, 1.76, 1.84], abs=1e-3)


def test_counted_frames_have_times_too(folder, tmp_path):
    path = write_video(tmp_path / "counted.webm", 10, codec="libvpx")
    with open_video(path) as reader:
        assert read_timeline(reader, with_times=True).times.tolist() == pytest.approx(np.arange(10) / 25, abs=2e-3)


def test_varying_rate_is_resampled_by_time(tmp_path):
    table = VideoTable.from_paths([str(write_varying(tmp_path, "mp4"))])
    options = {"clip_len": 10, "frame_stride": 1, "short_side": 40, "crop_size": 40}
    assert clips_of(MultiViewDataset(table, **options, target_fps=5.0)[0]) == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 6]]  # shown at 0, 0.2, ... 1.8 s
    assert clips_of(MultiViewDataset(table, **options)[0]) == [[0, 1, 2, 3, 4, 5, 6, 7, 7, 7]]


def test_views_that_do_not_go_together_are_refused(folder):
    table = VideoTable.from_paths(["long.mp4"], folder=str(folder))
    options = {"clip_len": 4, "frame_stride": 2, "short_side": 40, "crop_size": 40}
    with pytest.raises(ValueError, match="num_clips is 2 with dense sampling, which gives one clip; it must be 1"):
        MultiViewDataset(table, **options, num_clips=2, sampling="dense")
    with pytest.raises(ValueError, match="num_crops is 2; uniform has 1, 3"):
        MultiViewDataset(table, **options, num_crops=2, crops="uniform")
    with pytest.raises(ConfigError, match=r"CONFIG.DATA \(train\): num_segments is 2 with dense sampling"):
        build_dataset(make_cfg(folder, "DATA.SAMPLING", "dense", "DATA.NUM_SEGMENT", 2), "train")


def test_a_dataset_shows_the_arguments_of_its_pipeline():
    registry = Registry(
        "dataset", {"MultiViewDataset": "vidrec.data.multiview:MultiViewDataset", "ClipDataset": "vidrec.data.datasets:ClipDataset"}
    )
    given = ("table", "clip_len", "frame_stride")
    assert registry.mistakes({"TYPE": "MultiViewDataset", "CROPS": "uniform", "SHORT_VIDEO": "loop"}, "X", given) == []
    assert registry.mistakes({"TYPE": "ClipDataset", "SEED": 3, "SAMPLING": "dense"}, "X", given) == []
    (unknown,) = registry.mistakes({"TYPE": "MultiViewDataset", "SEED": 3}, "X", given)
    assert unknown.startswith("X.SEED is not an argument of MultiViewDataset; it takes TABLE, CLIP_LEN, FRAME_STRIDE, NUM_CLIPS,")
    (wrong,) = registry.mistakes({"TYPE": "MultiViewDataset", "SHORT_VIDEO": "pad"}, "X", given)
    assert wrong == "X.SHORT_VIDEO is 'pad' (str); MultiViewDataset takes one of 'repeat_last', 'loop', 'center' there."
