"""Augmented training clips out of real files: repeats, flips with labels, shapes, and the two places where pixels are made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_data_datasets import make_cfg
from video_files import frame_numbers, write_video

from vidrec.data.build import build_batch_augment, build_dataset, build_loader, build_sampler
from vidrec.data.datasets import ClipBatch, collate_clips
from vidrec.data.samplers import SampleKey
from vidrec.utils.errors import ConfigError

ALL = {
    "AUG.COLOR_JITTER.PROB": 1.0,
    "AUG.RAND_AUGMENT.PROB": 1.0,
    "AUG.AUGMIX.PROB": 0.5,
    "AUG.ERASING.PROB": 0.5,
    "AUG.MIX.MIXUP_ALPHA": 0.8,
    "AUG.MIX.CUTMIX_ALPHA": 1.0,
    "AUG.CROP": "resized",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """24 videos of 10 frames, of which video 5 is an HTML page; file names tell left from right halves."""
    path = tmp_path_factory.mktemp("clips")
    for number in range(24):
        write_video(path / f"v{number}.mp4", 10, marked=True)
    (path / "v5.mp4").write_text("<html>not found</html>")
    (path / "list.txt").write_text("".join(f"v{number}.mp4 0 {number % 3}\n" for number in range(24)))
    (path / "names.txt").write_text("turn left\nturn right\nstand\n")
    return path


def config(folder, *, train=None, **data):
    """The small config of the data set tests, with keys below DATA and TRAIN as dotted names."""
    cfg = make_cfg(folder)
    cfg.CONFIG.DATA.NUM_WORKERS = 1
    for section, keys in ((cfg.CONFIG.DATA, data), (cfg.CONFIG.TRAIN, train or {})):
        for key, value in keys.items():
            *parts, last = key.split(".")
            node = section
            for part in parts:
                node = node[part]
            node[last] = value
    return cfg


def batches(cfg, *, world_size=1, workers=1, skip=0, epoch=1) -> list[ClipBatch]:
    """The global batches of an epoch as they reach the network, put together from all ranks."""
    cfg.CONFIG.DATA.NUM_WORKERS = workers
    cfg.CONFIG.TRAIN.BATCH_SIZE //= world_size
    device, ranks = build_batch_augment(cfg, "device"), []
    for rank in range(world_size):
        dataset = build_dataset(cfg, "train")
        sampler = build_sampler(cfg, dataset, "train", rank=rank, world_size=world_size)
        sampler.set_epoch(epoch)
        sampler.skip_batches(skip)
        found = []
        for batch in build_loader(cfg, dataset, sampler, "train", local_world_size=world_size, pin_memory=False):
            clips, labels = device(batch.clips, batch.labels, batch.plans) if device else batch[:2]
            found.append(batch._replace(clips=clips, labels=labels))
        ranks.append(found)
    cfg.CONFIG.TRAIN.BATCH_SIZE *= world_size
    return [ClipBatch(*(torch.cat([part[place] for part in parts]) for place in range(3)), []) for parts in zip(*ranks, strict=True)]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.clips, other.clips) and torch.equal(one.labels, other.labels) and torch.equal(one.indices, other.indices)


def test_everything_on_is_the_same_for_workers_processes_resumption_and_device(folder):
    expected = batches(config(folder, **ALL))
    assert expected[0].clips.shape == (4, 4, 32, 32, 3) and expected[0].clips.dtype == torch.uint8
    assert expected[0].labels.shape == (4, 3) and torch.allclose(expected[0].labels.sum(1), torch.ones(4))
    assert_same(batches(config(folder, **ALL), workers=2, skip=4), expected[4:])
    assert_same(batches(config(folder, **ALL, AUG_DEVICE="device"), world_size=2), expected)
    plain = batches(config(folder))
    assert not any(torch.equal(one.clips, other.clips) for one, other in zip(plain, expected, strict=True))
    assert all(torch.equal(one.indices, other.indices) for one, other in zip(plain, expected, strict=True))


@pytest.mark.gpu
def test_pixels_made_on_a_gpu_are_those_of_the_workers_within_rounding(folder):
    cfg = config(folder, **ALL, AUG_DEVICE="device")
    dataset, augment = build_dataset(cfg, "train"), build_batch_augment(cfg, "device")
    batch = collate_clips(dataset.__getitems__([SampleKey(0, position, position + 8) for position in range(12)]))
    here = augment(batch.clips, batch.labels, batch.plans)
    there = augment(batch.clips.cuda(), batch.labels.cuda(), batch.plans)
    difference = (here[0].int() - there[0].cpu().int()).abs()
    assert difference.float().mean() < 0.1 and (difference > 2).float().mean() < 0.001
    assert torch.equal(here[1], there[1].cpu())


def test_augmentation_that_is_off_changes_no_clip(folder):
    """The generator of a clip is asked for frames and crop first, so the default clip has the pixels that it always had."""
    plain, jittered = build_dataset(config(folder), "train"), build_dataset(config(folder, **{"AUG.COLOR_JITTER.PROB": 1.0}), "train")
    one, other = plain[SampleKey(0, 3, 7)], jittered[SampleKey(0, 3, 7)]
    assert one.crop == other.crop and not torch.equal(one.clip, other.clip)
    assert build_batch_augment(config(folder), "cpu") is None and build_batch_augment(config(folder), "device") is None


def test_clips_of_one_video_come_from_one_decode_and_differ(folder, monkeypatch):
    cfg = config(folder, CLIPS_PER_VIDEO=4, **{"SCALE_RANGE": [1.0, 2.0]})
    dataset, opened = build_dataset(cfg, "train"), []
    from vidrec.data import pipelines

    true_open = pipelines.open_video
    monkeypatch.setattr(pipelines, "open_video", lambda path, *given: opened.append(path) or true_open(path, *given))
    keys = [SampleKey(0, 2, 9, repeat) for repeat in range(4)]
    together = dataset.__getitems__(keys)
    assert len(opened) == 1
    assert all(torch.equal(one.clip, dataset[key].clip) for key, one in zip(keys, together, strict=True))
    assert len({sample.crop for sample in together}) > 1 and {sample.index for sample in together} == {9}
    assert torch.equal(together[0].clip, build_dataset(config(folder, SCALE_RANGE=[1.0, 2.0]), "train")[SampleKey(0, 2, 9)].clip)


def test_repeats_of_an_unreadable_video_have_one_substitute_and_one_failure(folder):
    samples = build_dataset(config(folder, CLIPS_PER_VIDEO=2), "train").__getitems__([SampleKey(0, 1, 5, repeat) for repeat in range(2)])
    assert samples[0].index == samples[1].index != 5
    assert [len(sample.failures) for sample in samples] == [1, 0]
    assert build_dataset(config(folder), "train")[SampleKey(0, 1, 5, 1)].index == samples[0].index


def test_mixing_with_repeats_takes_the_clip_of_another_video(folder):
    mixing = {"AUG.MIX.MIXUP_ALPHA": 1.0, "CLIPS_PER_VIDEO": 2}
    expected = batches(config(folder, train={"BATCH_SIZE": 8}, **mixing))
    assert expected[0].indices[::2].tolist() == expected[0].indices[1::2].tolist() and len(expected[0].indices.unique()) == 4
    assert_same(batches(config(folder, train={"BATCH_SIZE": 8}, **mixing), world_size=2), expected)


@pytest.mark.parametrize("pairs", [[[0, 1]], [["turn left", "turn right"]], [["turn left", 1]]])
def test_a_flipped_clip_changes_its_label_where_the_map_says(folder, pairs):
    cfg = config(folder, FLIP_LABEL_MAP=pairs, FLIP_PROB=0.5, CLASS_NAMES=str(folder / "names.txt"), SCALE_RANGE=[1.0, 1.0])
    samples = [build_dataset(cfg, "train")[SampleKey(0, position, position % 3)] for position in range(60)]
    swapped = {0: 1, 1: 0, 2: 2}
    for sample in samples:
        assert sample.label == (swapped[sample.index] if sample.crop.flip else sample.index)
        left, right = sample.clip[:, :10, :4].float().mean(), sample.clip[:, :10, -4:].float().mean()
        assert (right < left) == sample.crop.flip  # the dark quarter of the picture is the upper left one
    assert 15 < sum(sample.crop.flip for sample in samples) < 45


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [["turn lefft", 1]],
            r"FLIP_LABEL_MAP has 'turn lefft'; it must be a label in \[0, 3\) or a name of CONFIG.DATA.CLASS_NAMES.*'turn left'",
        ),
        ([[0, 3]], r"FLIP_LABEL_MAP has 3; it must be a label in \[0, 3\)"),
        ([[0, 1], [1, 2]], r"FLIP_LABEL_MAP has \[1, 2\]; a class changes places with one other. Take the pair out"),
        ([[1, 1]], r"FLIP_LABEL_MAP has \[1, 1\]; a class changes places"),
    ],
)
def test_pairs_of_the_flip_map_that_are_none_are_refused(folder, pairs, message):
    with pytest.raises(ConfigError, match=message):
        build_dataset(config(folder, FLIP_LABEL_MAP=pairs, CLASS_NAMES=str(folder / "names.txt")), "train")


def test_flips_under_class_names_with_sides_are_warned_of(folder, caplog):
    names = {"CLASS_NAMES": str(folder / "names.txt")}
    build_dataset(config(folder, **names), "train")
    (record,) = caplog.record_tuples
    assert record[2] == (
        "2 of the class names say left or right, first 'turn left', and CONFIG.DATA.FLIP_PROB is 0.5; a flipped clip keeps its label. "
        "Set it 0, or write the pairs that change places into CONFIG.DATA.FLIP_LABEL_MAP."
    )
    caplog.clear()
    build_dataset(config(folder, FLIP_PROB=0.0, **names), "train")
    build_dataset(config(folder, FLIP_LABEL_MAP=[[0, 1]], **names), "train")
    build_dataset(config(folder, **names), "val")
    assert caplog.record_tuples == []


def test_multigrid_batches_have_their_shapes_for_any_number_of_workers_and_processes(folder):
    grid = {"MULTIGRID.USE_LONG_CYCLE": True, "MULTIGRID.USE_SHORT_CYCLE": True, "MULTIGRID.LONG_CYCLE_EPOCH": [1], "BATCH_SIZE": 2}
    sizes = {"CROP_SIZE": 64, "SHORT_SIDE_SIZE": 64}
    coarse = batches(config(folder, train=grid, **sizes), epoch=0)
    assert [tuple(batch.clips.shape) for batch in coarse] == [(16, 2, 32, 32, 3), (8, 2, 48, 48, 3)]
    full = batches(config(folder, train=grid, **sizes))
    assert [tuple(batch.clips.shape) for batch in full] == [(8, 4, 32, 32, 3), (4, 4, 48, 48, 3), (2, 4, 64, 64, 3), (8, 4, 32, 32, 3)]
    assert_same(batches(config(folder, train=grid, **sizes), workers=2), full)
    assert_same(batches(config(folder, train=grid, **sizes), world_size=2, skip=1), full[1:])


def test_a_coarser_clip_spans_the_same_time(folder):
    cfg = config(folder, CLIP_LEN=8, FRAME_RATE=1, SHORT_SIDE_SIZE=64, CROP_SIZE=64, FLIP_PROB=0.0, SCALE_RANGE=[1.0, 1.0])
    dataset = build_dataset(cfg, "train")
    from vidrec.data.multigrid import ClipShape

    fine = frame_numbers(dataset[SampleKey(0, 0, 1)].clip[:, 40:])
    half = dataset[SampleKey(0, 0, 1, 0, ClipShape(2, 32, 32))].clip
    assert half.shape == (4, 32, 32, 3) and frame_numbers(half[:, 20:]) == fine[::2]


def test_balanced_sampler_of_the_config_takes_the_labels_of_the_list(folder):
    (folder / "skewed.txt").write_text("".join(f"v{number}.mp4 {int(number < 4)}\n" for number in range(24)))
    cfg = config(folder, TRAIN_ANNO_PATH=str(folder / "skewed.txt"), TRAIN_SAMPLER={"TYPE": "ClassBalancedSampler", "WEIGHTS": "equal"})
    dataset = build_dataset(cfg, "train")
    keys = list(build_sampler(cfg, dataset, "train", rank=0, world_size=1))
    assert np.bincount([dataset.table.label(key.index) for key in keys]).tolist() == [12, 12]
