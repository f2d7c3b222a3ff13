"""Networks from YAML sections, zoo names and both; heads that do not fit; clips that are too short."""

import re
import subprocess
import sys

import pytest
import torch

from vidrec.config.defaults import get_cfg_defaults
from vidrec.model_zoo import specs
from vidrec.models.build import (
    BACKBONES,
    HEAD_GIVEN,
    HEADS,
    build_backbone,
    build_head,
    build_model,
    get_model,
    get_model_list,
    list_models,
)
from vidrec.utils.errors import ConfigError, UserError

TINY_I3D = {
    "TYPE": "I3DResNet",
    "STAGE_BLOCKS": [1, 1, 1, 1],
    "BLOCK": "basic",
    "WIDTH": 16,
    "STEM_TEMPORAL_KERNEL": 3,
    "STEM_STRIDE": [1, 2, 2],
    "POOL_STRIDE": [],
    "TEMPORAL_KERNELS": [[3], [3], [3], [3]],
    "TEMPORAL_POOLS": [2, 2, 2, 1],
}


def config(**model):
    """A config with the given keys of MODEL, sections merged, that loads nothing."""
    cfg = get_cfg_defaults()
    cfg.CONFIG.MODEL.PRETRAINED_BASE = False
    for key, value in model.items():
        if isinstance(value, dict):
            cfg.CONFIG.MODEL[key].update(value)
        else:
            cfg.CONFIG.MODEL[key] = value
    return cfg


def test_components_without_a_name_build():
    cfg = config(BACKBONE=TINY_I3D, HEAD={"TYPE": "PoolHead", "DROPOUT": 0.2})
    cfg.CONFIG.DATA.NUM_CLASSES = 8
    model = build_model(cfg)
    assert model.training
    assert model.head.dropout.p == 0.2
    assert [features.shape for features in model.backbone(torch.zeros(2, 3, 15, 64, 64))] == [(2, 128, 1, 4, 4)]
    assert model.eval()(torch.zeros(2, 3, 15, 64, 64)).shape == (2, 8)


def test_narrow_2d_network_builds():
    cfg = config(BACKBONE={"TYPE": "ResNet2D", "DEPTH": 18, "WIDTH": 16}, HEAD={"TYPE": "ConsensusHead"})
    cfg.CONFIG.DATA.NUM_CLASSES = 8
    model = build_model(cfg).eval()
    assert model.backbone.out_channels == (128,)
    assert model(torch.zeros(2, 3, 3, 64, 64)).shape == (2, 8)


def test_name_alone_builds_its_row():
    with torch.device("meta"):
        model = build_model(config(NAME="i3d_nl5_resnet50_v1_kinetics400"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 35_401_936


def test_name_with_another_head_keeps_the_backbone():
    with torch.device("meta"):
        model = build_model(config(NAME="resnet18_v1b_kinetics400", HEAD={"TYPE": "PoolHead", "DROPOUT": 0.1}))
    assert (type(model.backbone).__name__, type(model.head).__name__, model.head.dropout.p) == ("ResNet2D", "PoolHead", 0.1)


def test_name_with_one_argument_of_its_head_changed_is_merged():
    with torch.device("meta"):
        model = build_model(config(NAME="resnet18_v1b_kinetics400", HEAD={"DROPOUT": 0.8}))
    assert (type(model.head).__name__, model.head.dropout.p) == ("ConsensusHead", 0.8)


def test_expanded_fragment_builds_the_same_as_its_name():
    with torch.device("meta"):
        by_name = build_model(config(NAME="slowfast_4x16_resnet50_kinetics400"))
        by_parts = build_model(config(**specs.fragment("slowfast_4x16_resnet50_kinetics400")["MODEL"]))
    assert str(by_name) == str(by_parts)


def test_fragments_are_fresh_copies_with_the_classes_of_their_data_set():
    first = specs.fragment("resnet50_v1b_sthsthv2")
    assert first == {
        "MODEL": {"BACKBONE": {"TYPE": "ResNet2D", "DEPTH": 50}, "HEAD": {"TYPE": "ConsensusHead", "DROPOUT": 0.5}},
        "DATA": {"NUM_CLASSES": 174},
    }
    first["MODEL"]["BACKBONE"]["DEPTH"] = 18
    assert specs.fragment("resnet50_v1b_sthsthv2")["MODEL"]["BACKBONE"]["DEPTH"] == 50
    assert "DATA" not in specs.fragment("slowfast_4x16_resnet50_custom")


@pytest.mark.parametrize("name", specs.names())
def test_sections_of_every_row_have_no_mistakes(name):
    model = specs.fragment(name)["MODEL"]
    assert BACKBONES.mistakes(model["BACKBONE"], "CONFIG.MODEL.BACKBONE") == []
    assert HEADS.mistakes(model["HEAD"], "CONFIG.MODEL.HEAD", given=HEAD_GIVEN) == []


def test_clips_of_the_rows():
    assert specs.row("resnet50_v1b_sthsthv2").clip == (8, 1, 224, 8)
    assert specs.row("i3d_resnet50_v1_sthsthv2").clip == (16, 2, 224, 1)
    assert specs.row("slowfast_16x8_resnet50_sthsthv2").clip == (64, 2, 224, 1)


def test_lists_of_names():
    assert list_models("i3d_nl*101*") == ["i3d_nl10_resnet101_v1_kinetics400", "i3d_nl5_resnet101_v1_kinetics400"]
    assert get_model_list() == sorted(specs.names())


def test_get_model_takes_a_name_or_a_config():
    with torch.device("meta"):
        by_name = get_model("resnet18_v1b_kinetics400", num_classes=5, features_only=True, bn_frozen=True)
        by_config = get_model(config(NAME="resnet18_v1b_kinetics400"))
    assert by_name(torch.empty(2, 3, 4, 64, 64, device="meta")).shape == (2, 512)
    assert by_name.head.fc.out_features == 5
    assert not by_name.backbone.stem.norm.weight.requires_grad
    assert by_config.head.fc.out_features == 400


def test_unknown_name_gets_a_suggestion():
    name = "i3d_resnet50_v1_kinetic400"
    with pytest.raises(ConfigError, match=rf"CONFIG\.MODEL\.NAME is '{name}'; .* Did you mean 'i3d_resnet50_v1_kinetics400'"):
        get_model(name)
    with pytest.raises(ConfigError, match="Did you mean 'slowfast_4x16_resnet50_custom'"):
        build_model(config(NAME="slowfast_4x16_resnet50_costum"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": "9"}, "num_classes is '9'; it must be a whole number of at least 1."),
        ({"bn_evil": True}, "bn_evil is not an option of get_model; it takes features_only, .*. Did you mean 'bn_eval'"),
        ({"zoo": "gluon"}, "CONFIG.MODEL.ZOO is 'gluon'; it must be one of torch, mxnet"),
        ({"pretrained": 7}, "CONFIG.MODEL.PRETRAINED is '00000007', which no published file of resnet18_v1b_kinetics400 has"),
    ],
)
def test_wrong_arguments_of_get_model_are_one_clear_error(arguments, message):
    with pytest.raises(ConfigError, match=message):
        get_model("resnet18_v1b_kinetics400", **arguments)


def test_get_model_of_a_config_takes_nothing_beside_it():
    with pytest.raises(ConfigError, match="get_model was given a config and further arguments; a config says everything itself"):
        get_model(config(NAME="resnet18_v1b_kinetics400"), num_classes=7)


def test_list_models_takes_sections_in_the_pattern():
    assert list_models("mxnet/*ucf101") == ["i3d_resnet50_v1_ucf101", "inceptionv1_ucf101", "inceptionv3_ucf101", "resnet50_v1b_ucf101",
                                            "vgg16_ucf101"]  # fmt: skip
    assert list_models("*csn*", zoo="torch") == ["ircsn_v2_resnet152_f32s2_kinetics400"]
    with pytest.raises(ConfigError, match="zoo is 'gluon'; it must be one of torch, mxnet, or '' for both"):
        list_models(zoo="gluon")


def test_clips_of_another_shape_are_one_clear_error():
    with torch.device("meta"):
        model = get_model("resnet18_v1b_kinetics400")
        for shape in ((3, 8, 64, 64), (1, 4, 8, 64, 64)):
            with pytest.raises(UserError, match=re.escape(f"Clips have the shape {list(shape)}; it must be [B, 3, T, H, W]")):
                model(torch.empty(shape))


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ({"TYPE": "I3DResNet", "WIDTH": 1_000_000}, r"takes [\d,]+ GiB for its parameters alone; this machine has [\d,]+ GiB of memory"),
        ({"TYPE": "I3DResNet", "WIDTH": 10**11}, r"The network of CONFIG\.MODEL cannot be built \(.*\); its layers must fit into memory"),
        ({"TYPE": "I3DResNet", "STAGE_BLOCKS": [100_000, 1, 1, 1]}, r"every stage must have 1 to 1000 blocks"),
    ],
)
def test_network_larger_than_the_machine_is_one_clear_error(backbone, message):
    with pytest.raises(ConfigError, match=message):
        build_model(config(BACKBONE=backbone, HEAD={"TYPE": "PoolHead"}))


def test_report_is_printed_where_nobody_listens_to_the_log(capfd):
    code = (
        "import torch; from vidrec.models.weights.load import load_state; from vidrec import get_model;"
        " model = get_model('resnet18_v1b_kinetics400'); load_state(model, model.state_dict(), source='state', reset_head=True)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == (
        "weights: 100 of 102 tensors from state (vidrec names); kept fresh: head.fc.weight, head.fc.bias; "
        "left aside: head.fc.weight, head.fc.bias\n"
    )


def test_switches_of_the_config_arrive():
    cfg = config(BACKBONE=TINY_I3D, HEAD={"TYPE": "PoolHead"}, BN_EVAL=True)
    cfg.CONFIG.INFERENCE.FEAT = True
    model = build_model(cfg)
    assert len(model.held_norms) == 1 + 4 * 2 + 3
    assert model(torch.zeros(2, 3, 16, 64, 64)).shape == (2, 128)


def test_unknown_types_name_what_is_known():
    with pytest.raises(
        ConfigError, match=r"'I3DResnet' is not a backbone; those known are C3D, I3DInceptionV1, .*\. Did you mean 'I3DResNet'"
    ):
        build_model(config(BACKBONE={"TYPE": "I3DResnet"}, HEAD={"TYPE": "PoolHead"}))
    with pytest.raises(ConfigError, match=r"'FPN' is not a neck; those known are TPN\. Did you mean 'TPN'"):
        build_model(config(BACKBONE=TINY_I3D, NECK={"TYPE": "FPN"}, HEAD={"TYPE": "PoolHead"}))
    with pytest.raises(ConfigError, match=r"WIDHT is not an argument of I3DResNet.*Did you mean 'WIDTH'"):
        build_backbone({"TYPE": "I3DResNet", "WIDHT": 16})


@pytest.mark.parametrize(
    ("section", "in_channels", "message"),
    [
        (
            {"TYPE": "SlowFastHead"},
            (2048,),
            "SlowFastHead got a feature map of 2048 channels; it takes the two pathways of SlowFast, [slow, fast]. "
            "Use CONFIG.MODEL.HEAD.TYPE PoolHead or ConsensusHead here.",
        ),
        (
            {"TYPE": "PoolHead"},
            (2048, 256),
            "PoolHead got feature maps of 2048 and 256 channels; it takes one feature map. "
            "Use CONFIG.MODEL.HEAD.TYPE SlowFastHead for the two pathways of SlowFast.",
        ),
        (
            {"TYPE": "PoolHead"},
            (1024, 2048),
            "PoolHead got feature maps of 1024 and 2048 channels; it takes one feature map. "
            "Set CONFIG.MODEL.BACKBONE.OUT_STAGES 1 or put a neck between them.",
        ),
        (
            {"TYPE": "ConsensusHead"},
            (256, 512, 1024),
            "ConsensusHead got feature maps of 256 and 512 and 1024 channels; it takes one feature map. "
            "Set CONFIG.MODEL.BACKBONE.OUT_STAGES 1 or put a neck between them.",
        ),
    ],
)
def test_head_that_does_not_fit_says_what_fits(section, in_channels, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_head(section, in_channels=in_channels, num_classes=4)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"TEMPORAL_KERNELS": [[3]]}, "TEMPORAL_KERNELS has 1 entries; the network has 4 stages. Give one entry per stage."),
        ({"TEMPORAL_KERNELS": [[3], [2], [3], []]}, "TEMPORAL_KERNELS of stage 1 is [2]; it must hold odd numbers, at least one."),
        ({"TEMPORAL_POOLS": [2, 1]}, "TEMPORAL_POOLS has 2 entries; the network has 4 stages."),
        ({"NONLOCAL_BLOCKS": [[], [4], [], []]}, "NONLOCAL_BLOCKS names block 4 of stage 1; that stage has blocks 0 to 3."),
        ({"OUT_STAGES": 5}, "OUT_STAGES is 5; it must be 1 to 4, the number of stages."),
        ({"STEM_TEMPORAL_KERNEL": 4}, "STEM_TEMPORAL_KERNEL is 4; it must be odd and at least 1."),
        ({"STEM_STRIDE": [2, 2]}, "STEM_STRIDE is [2, 2]; it must have 3 numbers, each at least 1. Give (t, h, w)."),
    ],
)
def test_numbers_that_do_not_fit_the_stages_are_mistakes(section, message):
    with torch.device("meta"), pytest.raises(ConfigError, match=re.escape(message)):
        build_backbone({"TYPE": "I3DResNet", **section})


def test_slowfast_numbers_that_do_not_fit_are_mistakes():
    with pytest.raises(ConfigError, match=r"BETA is 7; it must divide WIDTH \(64\)"):
        build_backbone({"TYPE": "SlowFast", "BETA": 7})
    with pytest.raises(ConfigError, match="FUSION_KERNEL is 4; it must be odd"):
        build_backbone({"TYPE": "SlowFast", "FUSION_KERNEL": 4})
    with torch.device("meta"), pytest.raises(ConfigError, match="TEMPORAL_KERNELS has 2 entries; the network has 4 stages"):
        build_backbone({"TYPE": "SlowFast", "SLOW_TEMPORAL_KERNELS": [[1], [3]]})


def test_clip_too_short_for_the_strides_in_time_is_one_clear_error():
    with torch.device("meta"):
        model = get_model("i3d_resnet50_v1_kinetics400")
    clips = torch.empty(1, 3, 5, 32, 32, device="meta")
    assert model.eval()(clips).shape == (1, 400)
    with pytest.raises(UserError, match=r"The clip has 4 frames; this I3DResNet needs at least 5, .* Raise CONFIG\.DATA\.CLIP_LEN"):
        model(clips[:, :, :4])
    cfg = config(NAME="i3d_resnet50_v1_kinetics400")
    cfg.CONFIG.DATA.CLIP_LEN = 4
    with torch.device("meta"), pytest.raises(ConfigError, match=r"The clip has 4 frames"):
        build_model(cfg)


@pytest.mark.parametrize("num_frames", [1, 7, 8, 9, 33])
def test_slowfast_takes_any_number_of_frames(num_frames):
    with torch.device("meta"):
        model = get_model("slowfast_4x16_resnet50_kinetics400").eval()
    assert model(torch.empty(1, 3, num_frames, 32, 32, device="meta")).shape == (1, 400)


def test_slowfast_returns_both_pathways_slow_first():
    with torch.device("meta"):
        model = get_model("slowfast_8x8_resnet50_kinetics400")
    slow, fast = model.backbone(torch.empty(2, 3, 32, 64, 64, device="meta"))
    assert (slow.shape, fast.shape) == ((2, 2048, 8, 2, 2), (2, 256, 32, 2, 2))
    assert model.backbone.out_channels == (2048, 256)


def test_out_stages_returns_the_coarsest_last():
    for kind in ("I3DResNet", "ResNet2D"):
        with torch.device("meta"):
            backbone = build_backbone({"TYPE": kind, "OUT_STAGES": 2}).eval()
        assert backbone.out_channels == (1024, 2048)
        assert [feature.shape[1] for feature in backbone(torch.empty(1, 3, 8, 64, 64, device="meta"))] == [1024, 2048]


def test_slow_pathway_alone_is_a_difference_of_numbers():
    section = {
        "TYPE": "I3DResNet",
        "STEM_TEMPORAL_KERNEL": 1,
        "STEM_STRIDE": [1, 2, 2],
        "POOL_STRIDE": [1, 2, 2],
        "TEMPORAL_KERNELS": [[1], [1], [3], [3]],
        "TEMPORAL_POOLS": [1, 1, 1, 1],
    }
    with torch.device("meta"):
        backbone = build_backbone(section)
    assert sum(parameter.numel() for parameter in backbone.parameters()) + 2049 * 400 == 32_454_096
    assert backbone.min_frames == 1


def test_frames_of_different_videos_do_not_mix():
    torch.manual_seed(0)
    model = build_model(config(BACKBONE={"TYPE": "ResNet2D", "DEPTH": 18, "WIDTH": 8}, HEAD={"TYPE": "ConsensusHead"})).eval()
    clips = torch.randn(3, 3, 4, 32, 32)
    together = model(clips)
    for index in range(3):
        torch.testing.assert_close(model(clips[index : index + 1]), together[index : index + 1], rtol=1e-4, atol=1e-6)


def test_consensus_drops_each_frame_on_its_own():
    head = build_head({"TYPE": "ConsensusHead", "DROPOUT": 0.5}, in_channels=(64,), num_classes=2).train()
    torch.manual_seed(0)
    pooled = head.pool([torch.ones(1, 64, 8, 2, 2)])
    # One mask for all frames would give 0 or 2 only; one mask per frame gives multiples of 2 / 8.
    assert len(pooled.unique()) > 3
    assert torch.equal(pooled * 4, (pooled * 4).round())


@pytest.mark.parametrize("name", ["tiny", "slowfast_4x16_resnet50_kinetics400"])
def test_forward_is_one_graph_for_compile_and_export(name):
    torch.manual_seed(0)
    if name == "tiny":
        model = build_model(config(BACKBONE={**TINY_I3D, "NONLOCAL_BLOCKS": [[], [0], [], []]}, HEAD={"TYPE": "PoolHead"})).eval()
    else:
        narrow = {"TYPE": "SlowFast", "WIDTH": 16, "STAGE_BLOCKS": [1, 1, 1, 1]}
        model = build_model(config(BACKBONE=narrow, HEAD={"TYPE": "SlowFastHead"})).eval()
    clips = torch.randn(1, 3, 16, 32, 32)
    wanted = model(clips)
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(clips), wanted)
    torch.testing.assert_close(torch.export.export(model, (clips,)).module()(clips), wanted)
