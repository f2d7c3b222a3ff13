"""Samples, views, loader processes and what happens to unreadable videos."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from video_files import frame_numbers, write_video

from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.annotations import VideoTable
from vidrec.data.build import build_dataset, build_loader, build_sampler
from vidrec.data.datasets import ClipBatch, ClipDataset, MultiViewDataset, sample_rng
from vidrec.data.loaders import make_loader, worker_count
from vidrec.data.samplers import EvalSampler, SampleKey, TrainSampler
from vidrec.data.transforms import cut_views
from vidrec.utils.errors import ConfigError, DataError, UserError

CLIP = {"clip_len": 4, "frame_stride": 2, "short_side": 40, "crop_size": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """12 videos of 10 frames, of which video 5 is an HTML page."""
    path = tmp_path_factory.mktemp("videos")
    for number in range(12):
        write_video(path / f"v{number}.mp4", 10, noisy=True)
    (path / "v5.mp4").write_text("<html>not found</html>")
    (path / "list.txt").write_text("".join(f"v{number}.mp4 0 {number % 3}\n" for number in range(12)))
    return path


def table_of(folder: Path, count: int = 12) -> VideoTable:
    return VideoTable.from_paths([f"v{number}.mp4" for number in range(count)], [number % 3 for number in range(count)], folder=str(folder))


def make_cfg(folder: Path, **data):
    cfg = get_cfg_defaults()
    node = cfg.CONFIG.DATA
    node.TRAIN_ANNO_PATH = node.VAL_ANNO_PATH = str(folder / "list.txt")
    node.NUM_CLASSES, node.CLIP_LEN, node.FRAME_RATE, node.NUM_WORKERS = 3, 4, 2, 1
    node.SHORT_SIDE_SIZE, node.CROP_SIZE, node.KEEP_ASPECT_RATIO = 40, 32, True
    cfg.CONFIG.TRAIN.BATCH_SIZE = 4
    for key, value in data.items():
        node[key] = value
    return cfg


def train_batches(folder: Path, *, workers: int, world_size: int = 1, skip: int = 0) -> list[ClipBatch]:
    """The global batches of one epoch, of 4 samples each, put together from all ranks."""
    ranks = []
    for rank in range(world_size):
        dataset = ClipDataset(table_of(folder), **CLIP, seed=7)
        sampler = TrainSampler(len(dataset), 4 // world_size, rank=rank, world_size=world_size, seed=7)
        sampler.set_epoch(2)
        sampler.skip_batches(skip)
        ranks.append(list(make_loader(dataset, sampler, batch_size=4 // world_size, num_workers=workers)))
    return [
        ClipBatch(*(torch.cat(parts) for parts in list(zip(*batches, strict=True))[:3]), [f for batch in batches for f in batch.failures])
        for batches in zip(*ranks, strict=True)
    ]


def assert_same(first: list[ClipBatch], second: list[ClipBatch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.clips, other.clips)
        assert one.indices.tolist() == other.indices.tolist()
        assert one.labels.tolist() == other.labels.tolist()
        assert one.failures == other.failures


def test_samples_depend_on_neither_workers_nor_processes_nor_resumption(folder):
    expected = train_batches(folder, workers=0)
    assert [tuple(batch.clips.shape) for batch in expected] == [(4, 4, 32, 32, 3)] * 3
    assert [failure.path for batch in expected for failure in batch.failures] == [str(folder / "v5.mp4")]
    assert 5 not in torch.cat([batch.indices for batch in expected])
    for workers in (1, 3):
        assert_same(train_batches(folder, workers=workers), expected)
    for world_size in (2, 4):
        assert_same(train_batches(folder, workers=0, world_size=world_size), expected)
    assert_same(train_batches(folder, workers=1, skip=2), expected[2:])


def test_a_substitute_is_reported_and_keeps_its_own_label(folder):
    sample = ClipDataset(table_of(folder), **CLIP)[SampleKey(0, 3, 5)]
    assert sample.index != 5
    assert sample.label == sample.index % 3
    assert [failure.path for failure in sample.failures] == [str(folder / "v5.mp4")]
    assert "Invalid data found" in sample.failures[0].reason


def test_ten_unreadable_videos_in_a_row_end_the_run_with_their_paths(folder, tmp_path):
    dataset = ClipDataset(VideoTable.from_paths([f"gone{number}.mp4" for number in range(8)], folder=str(tmp_path)), **CLIP)
    for workers in (0, 1):
        with pytest.raises(DataError) as caught:
            list(make_loader(dataset, TrainSampler(8, 4), batch_size=4, num_workers=workers))
        lines = str(caught.value).splitlines()
        assert lines[0] == (
            "10 videos in a row cannot be read; a run ends at 10 in a row, whatever CONFIG.DATA.MAX_BAD_SHARE allows. "
            "Check CONFIG.DATA.TRAIN_DATA_PATH:"
        )
        assert len(lines) == 11
        assert all(f"{tmp_path}/gone" in line for line in lines[1:])


def test_other_errors_of_a_worker_are_not_taken_for_bad_videos(folder):
    dataset = MultiViewDataset(table_of(folder), clip_len=4, frame_stride=2, short_side=40, crop_size=40)
    with pytest.raises(TypeError):
        list(make_loader(dataset, ["no index"], batch_size=None, num_workers=1))


def test_generators_of_samples_differ_and_repeat():
    draws = {key: int(sample_rng(*key).integers(2**62)) for key in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]}
    assert len(set(draws.values())) == 5
    assert all(int(sample_rng(*key).integers(2**62)) == value for key, value in draws.items())


def test_training_clip_has_the_frames_that_were_drawn(folder):
    dataset = ClipDataset(table_of(folder), clip_len=4, frame_stride=1, short_side=40, crop_size=32, flip_prob=0.0)
    starts = set()
    for position in range(30):
        frames = frame_numbers(dataset[SampleKey(0, position, 1)].clip.numpy() - 4.5)
        assert frames == [frames[0] + step for step in (0, 1, 2, 3)]
        starts.add(frames[0])
    assert starts == set(range(7))


def test_video_shorter_than_the_clip_repeats_its_last_frame(folder):
    sample = ClipDataset(table_of(folder), clip_len=13, frame_stride=1, short_side=40, crop_size=32)[SampleKey(0, 0, 0)]
    assert frame_numbers(sample.clip.numpy() - 4.5) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]


def test_one_item_holds_all_views_of_a_video_and_each_frame_once(folder):
    dataset = MultiViewDataset(table_of(folder), clip_len=4, frame_stride=2, num_clips=3, num_crops=2, short_side=40, crop_size=40)
    video = dataset[1]
    assert (video.index, video.label, video.path, video.failure) == (1, 1, str(folder / "v1.mp4"), None)
    assert tuple(video.frames.shape) == (5, 40, 53, 3)  # every second of 10 frames; 48 x 64 to short side 40
    assert frame_numbers(video.frames.numpy() - 4.5) == [0, 2, 4, 6, 8]
    assert video.views.positions[::2].tolist() == [[0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 4]]
    assert video.views.boxes[:2].tolist() == [[0, 40, 0, 40], [0, 40, 13, 53]]
    assert tuple(cut_views(video.frames, video.views, 0, 6).shape) == (6, 4, 40, 40, 3)


def test_250_views_hold_only_the_frames_of_one_video(folder):
    dataset = MultiViewDataset(table_of(folder), clip_len=1, frame_stride=1, num_clips=25, num_crops=10, short_side=40, crop_size=40)
    video = dataset[0]
    assert len(video.views) == 250
    assert tuple(video.frames.shape) == (10, 40, 53, 3)


def test_segments_of_a_validation_clip_come_from_their_centers(folder):
    dataset = MultiViewDataset(table_of(folder), clip_len=1, frame_stride=1, num_segments=5, short_side=40, crop_size=32)
    video = dataset[0]
    assert len(video.views) == 1
    assert frame_numbers(video.frames.numpy() - 4.5) == [0, 2, 4, 6, 8]
    assert video.views.boxes.tolist() == [[4, 36, 10, 42]]


def test_squeezed_frames_have_the_size_of_new_width_and_height(folder):
    dataset = MultiViewDataset(table_of(folder), clip_len=4, frame_stride=2, short_side=40, crop_size=40, squeeze_to=(50, 100))
    assert tuple(dataset[0].frames.shape)[1:3] == (40, 80)


def test_unreadable_video_of_a_test_comes_with_its_failure(folder):
    dataset = MultiViewDataset(table_of(folder), clip_len=4, frame_stride=2, num_clips=2, short_side=40, crop_size=40)
    videos = list(make_loader(dataset, EvalSampler(12), batch_size=None, num_workers=2))
    assert [video.index for video in videos] == list(range(12))
    assert [video.index for video in videos if video.failure] == [5]
    assert videos[5].failure.path == str(folder / "v5.mp4")
    assert (tuple(videos[5].frames.shape), len(videos[5].views), videos[5].label) == ((0, 0, 0, 3), 0, 2)
    assert isinstance(videos[0].views.positions, np.ndarray)


def test_long_videos_are_read_in_parts(folder, monkeypatch):
    dataset = MultiViewDataset(table_of(folder), clip_len=8, frame_stride=1, num_clips=2, short_side=40, crop_size=40)
    whole = dataset[0].frames
    monkeypatch.setattr("vidrec.data.pipelines.PART_FRAMES", 3)
    assert torch.equal(dataset[0].frames, whole)


def test_protocol_names_every_choice_and_fits_json(folder):
    dataset = build_dataset(make_cfg(folder), "test")
    protocol = json.loads(json.dumps(dataset.protocol()))
    assert protocol["decoder"].startswith("auto (av ")
    del protocol["decoder"]
    assert protocol == {
        "clip_len": 4,
        "frame_stride": 2,
        "num_clips": 10,
        "num_crops": 3,
        "num_segments": 1,
        "short_side": 40,
        "crop_size": 40,
        "squeeze_to": None,
        "reading": {
            "max_pixels": 67108864,
            "max_frames": 1000000,
            "max_seconds": 300.0,
            "max_clip_frames": 8192,
            "max_clip_gb": 8.0,
            "frame_template": "img_%05d.jpg",
            "frame_offset": 1,
        },
        "resize": "cv2.INTER_LINEAR",
        "sampling": "reference",
        "clip_starts": "reference",
        "target_fps": 0.0,
        "short_video": "repeat_last",
        "crops": "slides",
        "num_views": 30,
    }
    assert len(dataset.annotation_sha256) == 64


def test_config_decides_the_splits(folder):
    cfg = make_cfg(folder, NUM_SEGMENT=2)
    train, val = build_dataset(cfg, "train"), build_dataset(cfg, "val")
    assert tuple(train[SampleKey(0, 0, 0)].clip.shape) == (8, 32, 32, 3)
    assert tuple(cut_views(val[0].frames, val[0].views, 0, 1).shape) == (1, 8, 32, 32, 3)
    squeezed = build_dataset(make_cfg(folder, KEEP_ASPECT_RATIO=False, NEW_HEIGHT=50, NEW_WIDTH=100), "test")
    assert tuple(squeezed[0].frames.shape)[1:3] == (40, 80)
    assert build_dataset(make_cfg(folder, FLIP_PROB=0.0, SCALE_RANGE=[1.0, 2.0]), "train").pipeline.scale_range == (1.0, 2.0)


def test_loaders_of_the_config(folder):
    cfg = make_cfg(folder)
    for split, count in (("train", 3), ("test", 12)):
        dataset = build_dataset(cfg, split)
        sampler = build_sampler(cfg, dataset, split, rank=0, world_size=1)
        loader = build_loader(cfg, dataset, sampler, split, local_world_size=1, pin_memory=False)
        assert (len(loader), loader.num_workers) == (count, 1)
    assert len(next(iter(loader)).views) == 30


def test_paths_that_an_evaluation_list_repeats_are_counted_and_named_once(folder, caplog):
    listed = folder / "repeats.txt"
    listed.write_text("v0.mp4 0\nv1.mp4 1\nv1.mp4 1\nv2.mp4 2\nv0.mp4 0\n")
    for split in ("train", "val", "test"):
        caplog.clear()
        dataset = build_dataset(make_cfg(folder, TRAIN_ANNO_PATH=str(listed), VAL_ANNO_PATH=str(listed)), split)
        message = (
            f"{listed} repeats a path in 2 of its 5 rows, first in rows 1 and 2 (counted from 0); each row counts as a video of its own. "
            "Take the repeats out if that is not meant."
        )
        assert caplog.record_tuples == ([] if split == "train" else [("vidrec", logging.WARNING, message)])
        assert len(dataset) == 5
    caplog.clear()
    build_dataset(make_cfg(folder), "val")
    assert caplog.record_tuples == []


def test_config_mistakes_are_found_before_the_first_batch(folder, tmp_path):
    with pytest.raises(DataError, match=r"list.txt:3: label 2 is outside \[0, 2\)"):
        build_dataset(make_cfg(folder, NUM_CLASSES=2), "train")
    with pytest.raises(DataError, match=r"The data folder .*none does not exist"):
        build_dataset(make_cfg(folder, TRAIN_DATA_PATH=str(tmp_path / "none")), "train")
    with pytest.raises(ConfigError, match=r"CONFIG.DATA \(train\): crop_size is 64; it must be at most .* 40 pixels"):
        build_dataset(make_cfg(folder, CROP_SIZE=64), "train")
    with pytest.raises(ConfigError, match="'vlc' is not a decoder"):
        build_dataset(make_cfg(folder, DECODER="vlc"), "test")
    cfg = make_cfg(folder)
    with pytest.raises(DataError, match=r"has 12 videos, but CONFIG.TRAIN.BATCH_SIZE 4 in 4 processes takes 16"):
        build_sampler(cfg, build_dataset(cfg, "train"), "train", rank=0, world_size=4)


def test_number_of_workers(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    assert [worker_count(asked, local_world_size=size) for asked, size in ((0, 1), (0, 4), (0, 32), (3, 4))] == [16, 4, 1, 3]


def test_no_more_workers_than_batches(folder):
    dataset = MultiViewDataset(table_of(folder, 2), clip_len=4, frame_stride=2, short_side=40, crop_size=40)
    assert make_loader(dataset, EvalSampler(2), batch_size=None, num_workers=8).num_workers == 2


def test_more_workers_than_cores_are_started_without_a_warning(folder, recwarn):
    dataset = MultiViewDataset(table_of(folder), clip_len=4, frame_stride=2, short_side=40, crop_size=40)
    loader = make_loader(dataset, EvalSampler(12), batch_size=None, num_workers=len(os.sched_getaffinity(0)) + 1)
    assert len(list(loader)) == 12
    assert [str(warning.message) for warning in recwarn if "worker processes" in str(warning.message)] == []


@pytest.mark.parametrize(("split", "stay"), [("train", True), ("val", False), ("test", False)])
def test_only_training_workers_outlive_a_pass(folder, split, stay):
    cfg = make_cfg(folder)
    dataset = build_dataset(cfg, split)
    sampler = build_sampler(cfg, dataset, split, rank=0, world_size=1)
    loader = build_loader(cfg, dataset, sampler, split, local_world_size=1, pin_memory=False)
    assert (loader.num_workers, loader.persistent_workers) == (1, stay)


def test_errors_come_whole_out_of_a_worker(folder):
    dataset = MultiViewDataset(table_of(folder), clip_len=4, frame_stride=2, short_side=40, crop_size=40, decoder="nothing")
    with pytest.raises(UserError) as caught:
        list(make_loader(dataset, EvalSampler(12), batch_size=None, num_workers=1))
    assert "Traceback" not in str(caught.value)
    assert "'nothing' is not a decoder" in str(caught.value)
