"""Test protocols by name: what each fixes, what replaces its fields, and what does not go together."""

import pytest

from vidrec import get_cfg_defaults, load_config
from vidrec.config.protocols import AVERAGES, CLIP_STARTS, CROPS, DENSE_WINDOW, PROTOCOLS, SAMPLINGS, SHORT_VIDEO, resolve_protocol
from vidrec.data import clip_sampling, clip_starts, sampling, view_crops
from vidrec.engine import averages
from vidrec.utils.errors import ConfigError

NETWORK = "CONFIG:\n  MODEL:\n    BACKBONE: {TYPE: I3DResNet, DEPTH: 50}\n    HEAD: {TYPE: PoolHead}\n"

# clip starts, target fps, short video, squeezed to, short side, crop size, crops, average; for the sizes of the defaults
FIELDS = {
    "reference": ("reference", 0.0, "repeat_last", (256, 340), 256, 256, "slides", "logits_mean"),
    "reference_mxnet": ("segment_centers", 0.0, "repeat_last", (256, 340), 256, 224, "corners", "feature_mean"),
    "pyslowfast": ("pyslowfast", 30.0, "repeat_last", None, 256, 256, "uniform", "prob_sum"),
    "pyslowfast_offset": ("pyslowfast_offset", 30.0, "repeat_last", None, 256, 256, "uniform", "prob_sum"),
    "mmaction2": ("mmaction2", 0.0, "loop", None, 256, 256, "steps", "prob_mean"),
    "mmaction2_tsn": ("mmaction2_tsn", 0.0, "loop", None, 256, 224, "steps", "feature_mean"),
    "tsm": ("tsm", 0.0, "loop", None, 256, 224, "corners", "logits_mean"),
    "pytorchvideo": ("pytorchvideo", 30.0, "repeat_last", None, 256, 256, "uniform", "prob_mean"),
    "torchvision": ("torchvision", 15.0, "repeat_last", (128, 171), 128, 112, "slides", "prob_sum"),
    "videomae": ("reference", 0.0, "repeat_last", None, 224, 224, "slides", "prob_mean"),
    "videomae_sthsthv2": ("videomae_sthsthv2", 0.0, "repeat_last", None, 224, 224, "slides", "prob_mean"),
}


def resolve(*overrides):
    cfg = get_cfg_defaults()
    cfg.merge_from_list(overrides)
    return resolve_protocol(cfg.CONFIG)


def fields(test):
    sizes = (test.squeeze_to, test.short_side, test.crop_size)
    return (test.clip_starts, test.target_fps, test.short_video, *sizes, test.crops, test.average)


@pytest.mark.parametrize("name", FIELDS)
def test_what_a_protocol_fixes(name):
    test = resolve("CONFIG.TEST.PROTOCOL", name)
    assert fields(test) == FIELDS[name]
    assert (test.name, test.overridden, test.num_clips, test.num_crops, test.num_views) == (name, (), 10, 3, 30)
    assert (test.clip_len, test.frame_stride) == (16, 2)


def test_these_are_all_protocols():
    assert list(PROTOCOLS) == list(FIELDS)


def test_names_of_the_schema_are_those_of_the_code():
    assert sorted(CLIP_STARTS) == sorted([*clip_starts.RULES, *clip_starts.TIMED_RULES])
    assert sorted(SAMPLINGS) == sorted(clip_sampling.SamplingName.__args__)
    assert sorted(SHORT_VIDEO) == sorted(sampling.ShortVideo.__args__)
    assert {name: counts for name, counts in CROPS.items() if counts} == {name: counts for name, (counts, _) in view_crops.SCHEMES.items()}
    assert sorted(AVERAGES) == sorted(averages.AVERAGES)
    assert DENSE_WINDOW == sampling.DENSE_WINDOW


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("CLIP_STARTS", "mmaction2", "clip_starts", "mmaction2"),
        ("TARGET_FPS", "25", "target_fps", 25.0),
        ("TARGET_FPS", "-1", "target_fps", 0.0),
        ("SHORT_VIDEO", "center", "short_video", "center"),
        ("RESIZE", "320", "short_side", 320),
        ("RESIZE", "300x400", "squeeze_to", (300, 400)),
        ("RESIZE", "300x400", "short_side", 300),
        ("RESIZE", "config", "squeeze_to", (256, 340)),
        ("RESIZE", "crop_size", "short_side", 224),
        ("CROP_SIZE", "200", "crop_size", 200),
        ("CROPS", "corners", "crops", "corners"),
        ("AVERAGE", "logits_mean", "average", "logits_mean"),
    ],
)
def test_any_field_is_replaced_by_a_key_of_its_own(key, value, field, expected):
    test = resolve("CONFIG.TEST.PROTOCOL", "pyslowfast", f"CONFIG.TEST.{key}", value)
    assert getattr(test, field) == expected
    assert test.overridden == (key.lower(),)


def test_crop_of_the_short_side_follows_it_and_the_short_side_of_the_crop_follows_that():
    assert resolve("CONFIG.TEST.PROTOCOL", "mmaction2", "CONFIG.TEST.RESIZE", "320").crop_size == 320
    assert resolve("CONFIG.TEST.PROTOCOL", "videomae", "CONFIG.TEST.CROP_SIZE", "320").short_side == 320


def test_sizes_are_those_of_the_network():
    small = ("CONFIG.DATA.SHORT_SIDE_SIZE", "128", "CONFIG.DATA.CROP_SIZE", "112")
    found = {name: resolve("CONFIG.TEST.PROTOCOL", name, *small) for name in ("mmaction2", "tsm", "videomae")}
    assert {name: (test.short_side, test.crop_size) for name, test in found.items()} == {
        "mmaction2": (128, 128),
        "tsm": (128, 112),
        "videomae": (112, 112),
    }


def test_frame_rate_of_training_holds_where_a_protocol_has_none():
    rate = ("CONFIG.DATA.TARGET_FPS", "12.5")
    assert resolve(*rate).target_fps == 12.5
    assert resolve(*rate, "CONFIG.TEST.PROTOCOL", "torchvision").target_fps == 15.0
    assert resolve(*rate, "CONFIG.TEST.TARGET_FPS", "-1").target_fps == 0.0


def test_clips_over_the_whole_video_have_the_frames_of_all_segments():
    segments = ("CONFIG.DATA.NUM_SEGMENT", "8", "CONFIG.DATA.CLIP_LEN", "1")
    assert resolve(*segments).clip_len == 1
    assert resolve(*segments, "CONFIG.TEST.PROTOCOL", "tsm").clip_len == 8
    assert resolve(*segments, "CONFIG.TEST.CLIP_STARTS", "tsm_dense").clip_len == 8


def test_crop_size_of_the_component_stands_unless_the_test_has_its_own(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(NETWORK + "  DATA: {VAL_DATASET: {CROP_SIZE: 192}}\n")
    assert resolve_protocol(load_config(path).CONFIG).crop_size == 192
    assert resolve_protocol(load_config(path, ["CONFIG.TEST.CROP_SIZE", "160"]).CONFIG).crop_size == 160


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("TEST: {PROTOCOL: slowfast}", "CONFIG.TEST.PROTOCOL is 'slowfast'; it must be one of reference, reference_mxnet, pyslowfast"),
        ("TEST: {CLIP_STARTS: even}", "CONFIG.TEST.CLIP_STARTS is 'even'; it must be one of reference, segment_centers"),
        ("TEST: {TARGET_FPS: -2}", "CONFIG.TEST.TARGET_FPS is -2.0; it must be 0, -1 for the file's own, or frames per second"),
        ("TEST: {SHORT_VIDEO: pad}", "CONFIG.TEST.SHORT_VIDEO is 'pad'; it must be one of repeat_last, loop, center, or '' for"),
        ("TEST: {RESIZE: 256p}", "CONFIG.TEST.RESIZE is '256p'; it must be one of config, short_side, crop_size, pixels of the short"),
        ("TEST: {CROP_SIZE: -1}", "CONFIG.TEST.CROP_SIZE is -1; it must be at least 0"),
        ("TEST: {CROPS: ten}", "CONFIG.TEST.CROPS is 'ten'; it must be one of slides, uniform, corners, steps, or '' for the protocol's"),
        ("TEST: {AVERAGE: max}", "CONFIG.TEST.AVERAGE is 'max'; it must be one of logits_mean, prob_mean, prob_sum, feature_mean"),
        ("TEST: {CROP_SIZE: 300}", "has 300 pixels and its frame's short side 256; the crop must fit in the frame: lower"),
        ("TEST: {PROTOCOL: torchvision, CROP_SIZE: 224}", "PROTOCOL torchvision has 224 pixels and its frame's short side 128"),
        ("TEST: {PROTOCOL: pyslowfast}\n  DATA: {TEST_NUM_CROP: 10}", "TEST_NUM_CROP is 10; the crops of CONFIG.TEST.PROTOCOL pyslowfast"),
        ("TEST: {CLIP_STARTS: tsm_dense}\n  DATA: {CLIP_LEN: 65}", "is 65 frames; CONFIG.TEST.CLIP_STARTS tsm_dense spreads at most 64"),
        (
            "DATA: {SAMPLING: random}",
            "CONFIG.DATA.SAMPLING is 'random'; it must be one of reference, dense, segments, uniform, dense_sample",
        ),
        ("DATA: {TARGET_FPS: -1}", "CONFIG.DATA.TARGET_FPS is -1.0; it must be at least 0"),
        ("DATA: {SHORT_VIDEO: ''}", "CONFIG.DATA.SHORT_VIDEO is ''; it must be one of repeat_last, loop, center."),
        ("DATA: {SAMPLING: dense, NUM_SEGMENT: 3}", "SAMPLING is dense and NUM_SEGMENT is 3; dense is one clip: set 1, or take segments."),
        ("DATA: {SAMPLING: dense_sample, NUM_SEGMENT: 5}", "NUM_SEGMENT * CLIP_LEN is 80 frames; SAMPLING dense_sample spreads at most 64"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, line, words):
    path = tmp_path / "run.yaml"
    path.write_text(f"{NETWORK}  {line}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (mistake,) = caught.value.mistakes
    assert words in mistake and "run.yaml:" in mistake
