"""Which row of the model zoo a config means: name, section and hashtag, and what happens where they disagree."""

import pytest
from test_config_load import mistakes_of, write

from vidrec import get_cfg_defaults, load_config
from vidrec.commands.tested_results import _model_name
from vidrec.config.zoo import find_row, zoo_name
from vidrec.model_zoo import specs
from vidrec.utils.errors import ConfigError

BOTH, TORCH_ONLY, MXNET_ONLY = "i3d_resnet50_v1_kinetics400", "tpn_resnet50_f8s8_kinetics400", "c3d_kinetics400"
NONLOCAL = "i3d_nl5_resnet50_v1_kinetics400"  # the sections differ in NONLOCAL_MOMENTUM: 0.9 in torch, 0.1 in mxnet


@pytest.mark.parametrize(
    ("name", "zoo", "hashtag", "section"),
    [
        (BOTH, "", "", "torch"),
        (BOTH, "torch", "", "torch"),
        (BOTH, "mxnet", "", "mxnet"),
        (f"torch/{BOTH}", "", "", "torch"),
        (f"mxnet/{BOTH}", "", True, "mxnet"),
        (f"mxnet/{BOTH}", "mxnet", "568a722e", "mxnet"),
        (BOTH, "", "18545497", "torch"),
        (BOTH, "", "568a722e", "mxnet"),
        (BOTH, "", "568a722eb61da663e11b582886ddbef9ef8f6ac6", "mxnet"),
        (BOTH, "", "5", "mxnet"),
        (BOTH, "", False, "torch"),
        (MXNET_ONLY, "", "", "mxnet"),
        (TORCH_ONLY, "torch", True, "torch"),
        ("resnet50_v1b_hmdb51", "", "ba66ee4b", "mxnet"),
        ("i3d_resnet50_v1_custom", "", "568a722e", "mxnet"),
        ("i3d_resnet50_v1_custom", "", "18545497", "torch"),
        ("vgg16_ucf101_int8", "", "05e319d4", "mxnet"),
        ("resnet50_v1b_kinetics400_int8", "mxnet", "cc757e5c", "mxnet"),
    ],
)
def test_name_section_and_hashtag_find_the_row(name, zoo, hashtag, section):
    row = find_row(name, zoo=zoo, hashtag=hashtag)
    assert (row.name, row.section) == (name.rpartition("/")[2], section)


@pytest.mark.parametrize(
    ("name", "zoo", "hashtag", "message"),
    [
        (BOTH, "caffe", "", "CONFIG.MODEL.ZOO is 'caffe'; it must be one of torch, mxnet, or '' for whichever has the name."),
        (
            "caffe/c3d_kinetics400",
            "",
            "",
            "CONFIG.MODEL.NAME is 'caffe/c3d_kinetics400'; before the / stands a section, torch or mxnet."
            " Write torch/c3d_kinetics400 or mxnet/c3d_kinetics400.",
        ),
        (
            f"mxnet/{BOTH}",
            "torch",
            "",
            f"CONFIG.MODEL.ZOO is 'torch' and CONFIG.MODEL.NAME is 'mxnet/{BOTH}'; both must mean the same section."
            " Leave CONFIG.MODEL.ZOO empty.",
        ),
        (
            "c3d_kinetic400",
            "",
            "",
            "CONFIG.MODEL.NAME is 'c3d_kinetic400'; it must be a name of the model zoo, see vidrec.list_models()."
            " Did you mean 'c3d_kinetics400' or 'vgg16_kinetics400' or 'inceptionv3_kinetics400'?",
        ),
        ("zzz", "", "", "CONFIG.MODEL.NAME is 'zzz'; it must be a name of the model zoo, see vidrec.list_models()."),
        (
            MXNET_ONLY,
            "torch",
            "",
            "CONFIG.MODEL.ZOO asks for the torch section, which has no 'c3d_kinetics400'; the mxnet section has it. Ask for that.",
        ),
        (
            f"mxnet/{TORCH_ONLY}",
            "",
            "",
            f"CONFIG.MODEL.NAME asks for the mxnet section, which has no '{TORCH_ONLY}'; the torch section has it. Ask for that.",
        ),
        (
            BOTH,
            "",
            "12345678",
            f"CONFIG.MODEL.PRETRAINED is '12345678', which no published file of {BOTH} has; it must be one of"
            " '18545497' (torch), '568a722e' (mxnet). Take one of those, or True.",
        ),
        (
            "resnet50_v1b_hmdb51",
            "",
            "x",
            "CONFIG.MODEL.PRETRAINED is 'x', which no published file of resnet50_v1b_hmdb51 has; it must be one of"
            " '682591e2' (mxnet), 'ba66ee4b' (mxnet). Take one of those, or True.",
        ),
        (
            "slowfast_16x8_resnet101_kinetics400",
            "",
            "18545497",
            "CONFIG.MODEL.PRETRAINED is '18545497', but slowfast_16x8_resnet101_kinetics400 has no published weights."
            " Set CONFIG.MODEL.PRETRAINED False.",
        ),
        (
            BOTH,
            "torch",
            "568a722e",
            "CONFIG.MODEL.PRETRAINED is '568a722e', a file of the mxnet section, and CONFIG.MODEL.ZOO asks for torch; they must agree."
            " Change one.",
        ),
        (
            f"mxnet/{BOTH}",
            "",
            "18545497",
            "CONFIG.MODEL.PRETRAINED is '18545497', a file of the torch section, and CONFIG.MODEL.NAME asks for mxnet; they must agree."
            " Change one.",
        ),
        (
            "i3d_nl10_resnet101_v1_kinetics400",
            "",
            "5",
            "CONFIG.MODEL.PRETRAINED is '5', with which several published files of i3d_nl10_resnet101_v1_kinetics400 begin:"
            " '526a2ed0' (torch), '59186c31' (mxnet). Write more digits.",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_message(name, zoo, hashtag, message):
    with pytest.raises(ConfigError) as caught:
        find_row(name, zoo=zoo, hashtag=hashtag)
    assert caught.value.mistakes == [message]


def test_section_is_said_only_where_the_name_alone_means_another_row():
    names = [zoo_name(find_row(name, zoo=zoo)) for name, zoo in ((BOTH, "torch"), (BOTH, "mxnet"), (MXNET_ONLY, "mxnet"))]
    assert names == [BOTH, f"mxnet/{BOTH}", MXNET_ONLY]
    assert all(find_row(zoo_name(row)) is row for row in specs.ROWS)


def momentum(cfg):
    return cfg.CONFIG.MODEL.BACKBONE.NONLOCAL_MOMENTUM


def test_config_takes_the_row_of_its_section(tmp_path):
    path = write(tmp_path, f"CONFIG: {{MODEL: {{NAME: {NONLOCAL}}}}}")
    assert momentum(load_config(path)) == 0.9
    assert momentum(load_config(path, ["CONFIG.MODEL.ZOO", "mxnet"])) == 0.1
    assert momentum(load_config(path, ["CONFIG.MODEL.NAME", f"mxnet/{NONLOCAL}"])) == 0.1
    assert momentum(load_config(path, ["CONFIG.MODEL.PRETRAINED", "3c0e47ea"])) == 0.1
    assert momentum(load_config(path, ["CONFIG.MODEL.PRETRAINED", "3c0e47ea", "CONFIG.MODEL.PRETRAINED", "True"])) == 0.9


def test_section_of_any_layer_decides_the_row_of_the_last_name(tmp_path):
    write(tmp_path, "CONFIG: {MODEL: {ZOO: mxnet}}", "mxnet.yaml")
    path = write(tmp_path, f"_BASE_: mxnet.yaml\nCONFIG: {{MODEL: {{NAME: {BOTH}, BACKBONE: {{NONLOCAL_MOMENTUM: 0.5}}}}}}")
    assert momentum(load_config(path, ["CONFIG.MODEL.NAME", NONLOCAL])) == 0.1
    assert momentum(load_config(path, ["CONFIG.MODEL.NAME", NONLOCAL, "CONFIG.MODEL.ZOO", ""])) == 0.9
    assert momentum(load_config(path)) == 0.5


@pytest.mark.parametrize(
    ("model", "overrides", "words"),
    [
        ("    NAME: zzz\n", [], "run.yaml:3: CONFIG.MODEL.NAME is 'zzz'"),
        (f"    NAME: {MXNET_ONLY}\n    ZOO: torch\n", [], "run.yaml:4: CONFIG.MODEL.ZOO asks for the torch section"),
        (f"    NAME: mxnet/{TORCH_ONLY}\n", [], "run.yaml:3: CONFIG.MODEL.NAME asks for the mxnet section"),
        (f"    NAME: {BOTH}\n", ["CONFIG.MODEL.PRETRAINED", "ba66ee4b"], "command line: CONFIG.MODEL.PRETRAINED is 'ba66ee4b'"),
        (f"    NAME: {BOTH}\n    ZOO: caffe\n", [], "run.yaml:4: CONFIG.MODEL.ZOO is 'caffe'; it must be one of torch, mxnet, or ''"),
        (f"    NAME: {BOTH}\n    ZOO: [mxnet]\n", [], "run.yaml:4: CONFIG.MODEL.ZOO is ['mxnet'] (list); it must be text."),
        (f"    NAME: {BOTH}\n    FROZEN_STAGES: -2\n", [], "run.yaml:4: CONFIG.MODEL.FROZEN_STAGES is -2; it must be at least -1"),
    ],
)
def test_mistake_has_the_place_of_the_key_in_play(tmp_path, model, overrides, words):
    found = mistakes_of(write(tmp_path, f"CONFIG:\n  MODEL:\n{model}"), *overrides)
    assert words in found[0]
    assert [mistake for mistake in found[1:] if "no network is named" not in mistake] == []


def test_section_that_comes_after_the_name_changes_the_row_below_the_users_keys(tmp_path):
    cfg = get_cfg_defaults()
    cfg.merge_from_file(write(tmp_path, f"CONFIG: {{MODEL: {{NAME: {NONLOCAL}, HEAD: {{DROPOUT: 0.3}}}}}}"))
    cfg.merge_from_list(["CONFIG.MODEL.ZOO", "mxnet", "CONFIG.MODEL.BACKBONE.DEPTH", 101])
    assert (momentum(cfg), cfg.CONFIG.MODEL.BACKBONE.DEPTH, cfg.CONFIG.MODEL.HEAD.DROPOUT) == (0.1, 101, 0.3)
    cfg.merge_from_list(["CONFIG.MODEL.ZOO", "torch"])
    assert (momentum(cfg), cfg.CONFIG.MODEL.BACKBONE.DEPTH, cfg.CONFIG.MODEL.HEAD.DROPOUT) == (0.9, 101, 0.3)
    with pytest.raises(ConfigError, match=r"command line: CONFIG.MODEL.PRETRAINED is '3c0e47ea', a file of the mxnet section"):
        cfg.merge_from_list(["CONFIG.MODEL.PRETRAINED", "3c0e47ea"])


def test_component_of_another_type_stays_when_the_section_comes_after_the_name(tmp_path):
    cfg = get_cfg_defaults()
    cfg.merge_from_file(write(tmp_path, f"CONFIG: {{MODEL: {{NAME: {NONLOCAL}, BACKBONE: {{TYPE: ResNet2D, DEPTH: 18}}}}}}"))
    cfg.merge_from_list(["CONFIG.MODEL.ZOO", "mxnet"])
    assert dict(cfg.CONFIG.MODEL.BACKBONE) == {"TYPE": "ResNet2D", "DEPTH": 18}
    assert dict(cfg.CONFIG.MODEL.HEAD) == {"TYPE": "PoolHead", "DROPOUT": 0.5}


def test_key_of_a_neck_changes_the_rows_neck(tmp_path):
    path = write(tmp_path, f"CONFIG: {{MODEL: {{NAME: {TORCH_ONLY}, NECK: {{DOWN_POOL: 2}}}}}}")
    assert dict(load_config(path).CONFIG.MODEL.NECK) == {"TYPE": "TPN", "TEMPORAL_POOLS": [8, 8], "DOWN_POOL": 2, "FUSION_POOLS": [1, 1]}


def test_name_without_a_neck_leaves_none_of_an_earlier_one(tmp_path):
    write(tmp_path, f"CONFIG: {{MODEL: {{NAME: {TORCH_ONLY}, NECK: {{DOWN_POOL: 2}}}}}}", "base.yaml")
    model = load_config(write(tmp_path, f"_BASE_: base.yaml\nCONFIG: {{MODEL: {{NAME: {BOTH}}}}}")).CONFIG.MODEL
    assert (dict(model.NECK), model.BACKBONE.get("OUT_STAGES")) == ({}, None)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (f"{{NAME: {BOTH}}}", BOTH),
        (f"{{NAME: torch/{BOTH}}}", BOTH),
        (f"{{NAME: {BOTH}, PRETRAINED: '568a722e'}}", f"mxnet/{BOTH}"),
        (f"{{NAME: {TORCH_ONLY}, NECK: {{DOWN_POOL: 2}}}}", f"{TORCH_ONLY} with another NECK"),
        (f"{{NAME: {NONLOCAL}, ZOO: mxnet, BACKBONE: {{NONLOCAL_MOMENTUM: 0.9}}}}", f"mxnet/{NONLOCAL} with another BACKBONE"),
        ("{BACKBONE: {TYPE: I3DResNet}, HEAD: {TYPE: PoolHead}}", "I3DResNet"),
    ],
)
def test_result_of_a_test_names_the_row_and_what_differs_from_it(tmp_path, model, name):
    assert _model_name(load_config(write(tmp_path, f"CONFIG: {{MODEL: {model}}}"))) == name
