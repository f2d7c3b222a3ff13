"""configs/ has one file for each published row of the zoo, with the network, clip, views and accuracy of that row."""

import re

import pytest
from config_files import CONFIGS, FOLDER, ROOT, commands, header, name_of

from vidrec import load_config
from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import find_row
from vidrec.data.view_crops import make_crops
from vidrec.model_zoo import specs
from vidrec.model_zoo.labels import data_sets
from vidrec.model_zoo.weights import FILES, published

TWO_D = ("ResNet2D", "InceptionV1", "InceptionV3", "VGG16")


def path_of(file):
    """The first file of a name has the plain name, a further one its hashtag behind it."""
    first = published(file.name, file.section)[0]
    name = file.name if file is first else f"{file.name}-{file.hashtag}"
    return FOLDER / specs.row(file.name, file.section).data_set / ("mxnet" if file.section == "mxnet" else "") / f"{name}.yaml"


BY_PATH = {path_of(file): file for file in FILES}
every_row = pytest.mark.parametrize("path", BY_PATH, ids=name_of)


def clip_and_views(data):
    clip = [data.CLIP_LEN * data.NUM_SEGMENT, data.FRAME_RATE, data.CROP_SIZE]
    return clip, [data.TEST_NUM_SEGMENT, data.TEST_NUM_CROP]


# (section, crops) -> clip starts, crops of a 256 x 340 frame that are mirrored, what is averaged
SECTION_TESTS = {
    ("torch", 3): ("reference", 0, "logits_mean"),
    ("torch", 10): ("reference", 0, "logits_mean"),
    ("mxnet", 3): ("segment_centers", 0, "feature_mean"),
    ("mxnet", 10): ("segment_centers", 5, "feature_mean"),
}


def placed_views(config):
    test = resolve_protocol(config)
    crops = make_crops(test.crops, 256, 340, crop_size=224, num_crops=test.num_crops)
    return test.clip_starts, int(crops.flips.sum()), test.average


def test_every_published_row_has_exactly_one_config():
    assert len(BY_PATH) == len(FILES) == 72
    assert set(BY_PATH) == {path for path in CONFIGS if path.relative_to(FOLDER).parts[0] in data_sets()}


def test_where_the_configs_are():
    names = [name_of(path) for path in BY_PATH]
    assert "configs/kinetics400/tpn_resnet101_f32s2_kinetics400.yaml" in names
    assert "configs/kinetics700/mxnet/i3d_slow_resnet101_f16s4_kinetics700.yaml" in names
    assert "configs/hmdb51/mxnet/resnet50_v1b_hmdb51.yaml" in names
    assert "configs/hmdb51/mxnet/resnet50_v1b_hmdb51-ba66ee4b.yaml" in names


@every_row
def test_config_and_its_test_command_mean_the_row_and_its_file(path):
    file, (_, test) = BY_PATH[path], commands(path)
    for overrides in ([], test.overrides):
        model = load_config(path, overrides).CONFIG.MODEL
        assert find_row(model.NAME, zoo=model.ZOO, hashtag=model.PRETRAINED) is specs.row(file.name, file.section)
    found = [one for one in published(model.NAME, file.section) if model.PRETRAINED in (True, one.hashtag)]
    assert found[0] is file


@every_row
def test_training_command_starts_from_what_the_row_started_from(path):
    file, (train, _) = BY_PATH[path], commands(path)
    model = load_config(ROOT / train.config, train.overrides).CONFIG.MODEL
    assert model.PRETRAINED_BASE is file.pretrained.startswith("ImageNet")
    row = find_row(model.NAME, zoo=model.ZOO, hashtag=model.PRETRAINED)
    start = (row.name, model.PRETRAINED)
    assert start == (("i3d_resnet50_v1_custom", True) if file.pretrained == "ImageNet, K400" else (file.name, False))
    assert row.section == file.section and row.model == specs.row(file.name, file.section).model


@every_row
def test_clip_and_views_are_those_of_the_row(path):
    file, cfg = BY_PATH[path], load_config(path).CONFIG
    clip = specs.row(file.name, file.section).clip
    frames, views = (file.segments, [25, 10]) if cfg.MODEL.BACKBONE.TYPE in TWO_D else (clip.num_frames, [10, 3])
    assert clip_and_views(cfg.DATA) == ([frames, clip.frame_stride, clip.crop_size], views)
    assert file.segments == cfg.DATA.NUM_SEGMENT
    assert placed_views(cfg) == SECTION_TESTS[file.section, views[1]]
    assert resolve_protocol(cfg).crop_size == (clip.crop_size if file.section == "mxnet" else cfg.DATA.SHORT_SIDE_SIZE)


@every_row
def test_header_has_the_published_accuracy_with_its_views(path):
    file, cfg = BY_PATH[path], load_config(path).CONFIG
    views = "250 views, 25 x 10" if cfg.MODEL.BACKBONE.TYPE in TWO_D else "30 views, 10 x 3"
    if file.top1 is None:
        assert file.name == "slowfast_16x8_resnet50_sthsthv2"
        expected = f"Expected: no top-1 is published by the reference zoo; not yet measured here ({views})."
    else:
        expected = f"Expected: top-1 {file.top1} % AS PUBLISHED by the reference zoo ({views}); not yet measured here."
    assert expected in header(path).splitlines()[-1]
    assert re.findall(r"[0-9.]+ %", path.read_text()) == ([] if file.top1 is None else [f"{file.top1} %"])


@every_row
def test_data_set_is_that_of_the_row(path):
    file, data = BY_PATH[path], load_config(path).CONFIG.DATA
    row = specs.row(file.name, file.section)
    flip = 0.0 if row.data_set == "sthsthv2" else 0.5
    classes, lists = [data.CLASS_NAMES, data.NUM_CLASSES, data.FLIP_PROB], [data.TRAIN_ANNO_PATH, data.VAL_ANNO_PATH]
    assert classes == [row.data_set, row.num_classes, flip]
    assert lists == [f"data/{row.data_set}/train.txt", f"data/{row.data_set}/val.txt"]


def sizes(name):
    config = load_config(FOLDER / f"{name}.yaml").CONFIG
    data = config.DATA
    return (
        data.KEEP_ASPECT_RATIO,
        (data.NEW_HEIGHT, data.NEW_WIDTH),
        data.SHORT_SIDE_SIZE,
        data.CROP_SIZE,
        resolve_protocol(config).crop_size,
    )


def test_sizes_of_frames_and_crops():
    assert sizes("kinetics400/i3d_resnet50_v1_kinetics400") == (False, (256, 340), 256, 224, 256)
    assert sizes("kinetics400/r2plus1d_v1_resnet18_kinetics400") == (False, (128, 171), 128, 112, 128)
    assert sizes("kinetics400/r2plus1d_v2_resnet152_kinetics400") == (True, (128, 171), 128, 112, 128)
    assert sizes("kinetics400/mxnet/i3d_resnet50_v1_kinetics400")[2:] == (256, 224, 224)
    assert sizes("kinetics400/mxnet/c3d_kinetics400")[2:] == (128, 112, 112)
    assert sizes("ucf101/mxnet/inceptionv3_ucf101")[2:] == (340, 299, 299)


def test_three_names_of_the_torch_section_keep_the_aspect_ratio_and_all_of_the_mxnet_section():
    keeping = [file for path, file in BY_PATH.items() if load_config(path).CONFIG.DATA.KEEP_ASPECT_RATIO]
    assert {file.name for file in keeping if file.section == "torch"} == {
        "i3d_slow_resnet101_f16s4_kinetics700",
        "ircsn_v2_resnet152_f32s2_kinetics400",
        "r2plus1d_v2_resnet152_kinetics400",
    }
    assert sum(file.section == "mxnet" for file in keeping) == 37


def test_partial_batchnorm_is_on_for_inception_v1_of_the_mxnet_section_alone():
    names = [name_of(path) for path in BY_PATH if load_config(path).CONFIG.MODEL.PARTIAL_BN]
    assert names == ["configs/kinetics400/mxnet/inceptionv1_kinetics400.yaml"]


def test_schedules_from_scratch_and_from_imagenet():
    scratch = load_config(FOLDER / "kinetics400/slowfast_4x16_resnet50_kinetics400.yaml").CONFIG.TRAIN
    assert (scratch.EPOCH_NUM, scratch.LR, scratch.LR_POLICY, scratch.USE_WARMUP, scratch.WARMUP_EPOCHS) == (196, 0.01, "Cosine", True, 34)
    imagenet = load_config(FOLDER / "kinetics400/i3d_resnet50_v1_kinetics400.yaml").CONFIG.TRAIN
    assert (imagenet.EPOCH_NUM, imagenet.LR, imagenet.LR_POLICY, imagenet.LR_MILESTONE) == (100, 0.01, "Step", [40, 80])


FINE_TUNED = {
    "c3d": "c3d_kinetics400",
    "i3d_inceptionv1": "i3d_inceptionv1_kinetics400",
    "i3d_inceptionv3": "i3d_inceptionv3_kinetics400",
    "i3d_nl5_resnet50_v1": "i3d_nl5_resnet50_v1_kinetics400",
    "i3d_resnet50_v1": "i3d_resnet50_v1_custom",
    "i3d_slow_resnet50_f32s2": "i3d_slow_resnet50_f32s2_custom",
    "i3d_slow_resnet50_f32s2_strong": "i3d_slow_resnet50_f32s2_custom",
    "inceptionv1": "inceptionv1_kinetics400",
    "inceptionv3": "inceptionv3_kinetics400",
    "ircsn_v2_resnet152": "ircsn_v2_resnet152_f32s2_kinetics400",
    "p3d_resnet50": "p3d_resnet50_kinetics400",
    "r2plus1d_v1_resnet50": "r2plus1d_v1_resnet50_custom",
    "resnet50_v1b": "resnet50_v1b_custom",
    "slowfast_4x16_resnet50": "slowfast_4x16_resnet50_custom",
    "tpn_resnet50_f32s2": "tpn_resnet50_f32s2_custom",
    "vgg16": "vgg16_ucf101",
}


@pytest.mark.parametrize(("file", "name"), FINE_TUNED.items())
def test_fine_tuning_takes_published_weights_and_the_users_classes(file, name):
    cfg = load_config(FOLDER / "custom" / f"{file}.yaml").CONFIG
    row = find_row(cfg.MODEL.NAME, zoo=cfg.MODEL.ZOO, hashtag=cfg.MODEL.PRETRAINED)
    assert (row.name, cfg.MODEL.PRETRAINED, cfg.DATA.NUM_CLASSES) == (name, True, 9)
    assert published(row.name, row.section)
    assert cfg.MODEL.RESET_HEAD is not row.name.endswith("_custom")
    views = [25, 10] if cfg.MODEL.BACKBONE.TYPE in TWO_D else [10, 3]
    assert clip_and_views(cfg.DATA) == (list(row.clip[:3]), views)
    assert placed_views(cfg) == SECTION_TESTS[row.section, views[1]]
    assert resolve_protocol(cfg).crop_size == (cfg.DATA.CROP_SIZE if row.section == "mxnet" else cfg.DATA.SHORT_SIDE_SIZE)


def test_every_family_has_a_file_for_fine_tuning():
    rows = [specs.row(name).model for name in FINE_TUNED.values()]
    kinds = {(row["BACKBONE"]["TYPE"], "NECK" in row) for row in rows}
    assert kinds == {(row.model["BACKBONE"]["TYPE"], "NECK" in row.model) for row in specs.ROWS}
    custom = [path.stem for path in CONFIGS if path.parent.name == "custom" and not path.stem.startswith("actions_")]
    assert sorted(FINE_TUNED) == sorted(custom)
