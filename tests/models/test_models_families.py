"""What sets the families apart: sizes they take, frames they look at, and what fits together."""

import re

import pytest
import torch
from models_narrow import FAMILIES, PLAIN, SLOW, narrow
from torch import nn

from vidrec.config.defaults import get_cfg_defaults
from vidrec.models.backbones.p3d import P3DBlock
from vidrec.models.backbones.r2plus1d import middle_channels
from vidrec.models.build import BACKBONES, assemble, build_backbone, build_head, build_model, build_neck, get_model
from vidrec.models.layers.nonlocal_block import NonLocal
from vidrec.utils.errors import ConfigError, UserError

SLOW_50 = {**SLOW, "TYPE": "I3DResNet", "TEMPORAL_KERNELS": [[1], [1], [3], [3]], "TEMPORAL_POOLS": [1, 1, 1, 1]}


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build_backbone({"TYPE": name}).eval()


def run(backbone: nn.Module, num_frames: int, size: int) -> list[torch.Tensor]:
    return backbone(torch.empty(1, 3, num_frames, size, size, device="meta"))


@pytest.mark.parametrize("name", BACKBONES.names())
def test_limits_of_a_backbone_are_the_tightest_that_run(name):
    backbone = on_meta(name)
    frames, size = backbone.min_frames, backbone.min_size
    assert min(run(backbone, frames, size)[-1].shape) >= 1
    if size > 1:
        with pytest.raises(RuntimeError):
            check_map(name, run(backbone, frames, size - 1))
    if frames > 1:
        with pytest.raises(RuntimeError):
            check_map(name, run(backbone, frames - 1, size))
    if name == "C3D":
        check_map(name, run(backbone, backbone.max_frames, backbone.max_size))
        for wrong in ((backbone.max_frames + 1, size), (frames, backbone.max_size + 1)):
            with pytest.raises(RuntimeError):
                check_map(name, run(backbone, *wrong))


def check_map(name: str, features: list[torch.Tensor]) -> None:
    """Raises RuntimeError for C3D's map where its head would not take it."""
    if name == "C3D" and features[0].shape[2:] != (1, 4, 4):
        raise RuntimeError(f"a map of {features[0].shape}")


@pytest.mark.parametrize(
    ("name", "clip", "message"),
    [
        ("c3d_kinetics400", (8, 112), "The clip has 8 frames; this C3D needs at least 16, because its strides"),
        ("c3d_kinetics400", (32, 112), "The clip has 32 frames; this C3D takes 16 to 31. Lower CONFIG.DATA.CLIP_LEN."),
        ("c3d_kinetics400", (16, 128), "The frames have 128 x 128 pixels; this C3D takes 96 to 127 on each side. Change CONFIG.DATA.CROP_"),
        ("p3d_resnet50_kinetics400", (15, 64), "The clip has 15 frames; this P3D needs at least 16"),
        ("i3d_inceptionv1_kinetics400", (4, 64), "The clip has 4 frames; this I3DInceptionV1 needs at least 5"),
        ("inceptionv3_kinetics400", (7, 74), "The frames have 74 x 74 pixels; this InceptionV3 takes at least 75 on each side."),
        ("vgg16_kinetics400", (3, 31), "The frames have 31 x 31 pixels; this VGG16 takes at least 32 on each side."),
        (
            "tpn_resnet101_f8s8_kinetics400",
            (16, 64),
            "CONFIG.MODEL.NECK.TEMPORAL_POOLS is [4, 8], DOWN_POOL 2 and FUSION_POOLS [2, 1]; they leave 16",
        ),
    ],
)
def test_clip_that_a_network_cannot_take_is_one_clear_error(name, clip, message):
    num_frames, size = clip
    with torch.device("meta"):
        model = get_model(name)
        with pytest.raises(UserError, match=re.escape(message)):
            model(torch.empty(1, 3, num_frames, size, size))


def test_config_whose_test_views_do_not_fit_is_refused_before_anything_is_read():
    cfg = get_cfg_defaults()
    cfg.CONFIG.MODEL.NAME, cfg.CONFIG.MODEL.PRETRAINED_BASE = "c3d_kinetics400", False
    cfg.CONFIG.DATA.CROP_SIZE, cfg.CONFIG.DATA.CLIP_LEN = 112, 16
    with pytest.raises(ConfigError) as caught:
        build_model(cfg)
    assert [mistake[:60] for mistake in caught.value.mistakes] == ["(test) The frames have 256 x 256 pixels; this C3D takes 96 t"]
    cfg.CONFIG.DATA.CLIP_LEN = 15
    with pytest.raises(ConfigError) as caught:
        build_model(cfg)
    assert [mistake[:36] for mistake in caught.value.mistakes] == [
        "(training) The clip has 15 frames; t",
        "(test) The clip has 15 frames; this ",
    ]


@pytest.mark.parametrize(
    ("in_channels", "width", "middle"),
    [(64, 64, 144), (256, 64, 177), (64, 128, 230), (128, 128, 288), (512, 256, 658), (2048, 512, 1417), (1024, 512, 1316)],
)
def test_middle_of_a_2plus1d_unit(in_channels, width, middle):
    assert middle_channels(in_channels, width) == middle


def test_both_units_of_a_basic_2plus1d_block_have_the_middle_of_the_block_input():
    with torch.device("meta"):
        block = build_backbone({"TYPE": "R2Plus1D", "DEPTH": 18}).stages[1][0]
        second = build_backbone({"TYPE": "R2Plus1D", "DEPTH": 152, "MIDDLE_FROM": "width"}).stages[1][0]
    assert [unit.norm.num_features for unit in block.convs] == [230, 230]
    assert second.convs[1].norm.num_features == 288
    assert (block.convs[0].spatial.stride, block.convs[0].temporal.stride) == ((1, 2, 2), (2, 1, 1))


def test_ircsn_has_no_basic_blocks():
    with pytest.raises(ConfigError, match=r"DEPTH is 18; it must be one of 50, 101, 152\."):
        build_backbone({"TYPE": "IRCSN", "DEPTH": 18})


def test_p3d_arrangements_go_on_across_stages():
    with torch.device("meta"):
        backbone = build_backbone({"TYPE": "P3D", "DEPTH": 50})
    kinds = ["".join(block.arrangement or "2" for block in stage) for stage in backbone.stages]
    assert kinds == ["ABC", "ABCA", "BCABCA", "222"]


@pytest.mark.parametrize(("arrangement", "wanted"), [("A", lambda s, t, x: t(s(x))), ("B", lambda s, t, x: s(x) + t(x)),
                                                     ("C", lambda s, t, x: s(x) + t(s(x))), (None, lambda s, t, x: s(x))])  # fmt: skip
def test_p3d_block_is_the_published_formula(arrangement, wanted):
    torch.manual_seed(0)
    block = P3DBlock(8, 2, step=1, arrangement=arrangement).eval()
    x = torch.randn(2, 8, 3, 4, 4) if arrangement else torch.randn(2, 8, 4, 4)
    middle = wanted(block.spatial, block.temporal, block.reduce(x))
    torch.testing.assert_close(block(x), torch.relu(block.expand(middle) + x))


def test_p3d_averages_the_steps_of_a_longer_clip_and_never_mixes_clips():
    torch.manual_seed(0)
    model = narrow("P3D").eval()
    assert model.backbone.min_frames == 4
    clips = torch.randn(2, 3, 8, 32, 32)
    assert model.backbone(clips)[0].shape == (2, 64, 2, 4, 4)
    alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(model(clips), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "num_frames", "chosen"),
    [(0, 8, [0, 4]), (0, 10, [0, 4, 8]), (3, 8, [3, 7]), (3, 10, [3, 7, 9]), (3, 1, [0]), (1, 5, [1, 4])],
)
def test_slow_pathway_takes_one_frame_of_each_group(start, num_frames, chosen):
    with torch.device("meta"):
        backbone = build_backbone({"TYPE": "SlowFast", "ALPHA": 4, "SLOW_START": start}).eval()
    clip = torch.arange(num_frames, dtype=torch.float32).view(1, 1, -1, 1, 1)
    assert backbone.slow_frames(clip).flatten().tolist() == chosen
    assert len(backbone(torch.empty(1, 3, num_frames, 32, 32, device="meta"))) == 2


def test_sections_differ_in_the_slow_frames_and_the_nonlocal_momentum():
    with torch.device("meta"):
        slow = [get_model("slowfast_4x16_resnet50_kinetics400", zoo=zoo).backbone for zoo in ("torch", "mxnet")]
        nonlocal_ = [get_model(f"{zoo}/i3d_nl5_resnet50_v1_kinetics400").backbone for zoo in ("torch", "mxnet")]
    assert [(backbone.alpha, backbone.slow_start) for backbone in slow] == [(8, 0), (8, 7)]
    assert [backbone.stages[1][1].after.norm.momentum for backbone in nonlocal_] == [0.9, 0.1]


def test_slow_start_beyond_the_group_is_a_mistake():
    with pytest.raises(ConfigError, match=r"SLOW_START is 8; it must be 0 to ALPHA - 1 \(7\)\. Give 0 for the first frame\."):
        build_backbone({"TYPE": "SlowFast", "SLOW_START": 8})


def test_tpn_starts_its_second_flow_from_the_levels_that_the_first_one_changed():
    torch.manual_seed(0)
    neck = narrow("TPN").neck.eval()
    features = [torch.randn(2, 32, 8, 4, 4), torch.randn(2, 64, 8, 2, 2)]
    levels = [neck.spatial(features[0]), features[1]]
    fine, coarse = (pool(conv(x)) for x, conv, pool in zip(levels, neck.temporal, neck.temporal_pools, strict=True))
    assert (fine.shape, coarse.shape) == ((2, 16, 2, 2, 2), (2, 16, 1, 2, 2))
    changed = fine + coarse
    up = neck.bottom_up(changed, coarse + neck.down_pool(neck.down(changed)))
    wanted = neck.fuse(torch.cat((neck.top_down(changed, coarse), up), dim=1))
    torch.testing.assert_close(neck(features)[0], wanted)
    assert wanted.shape == (2, 32, 1, 2, 2)


@pytest.mark.parametrize(
    "backbone",
    [
        {**SLOW_50, "DEPTH": 50, "OUT_STAGES": 2},
        {"TYPE": "I3DResNet", "NONLOCAL_BLOCKS": [[], [1], [3], []], "OUT_STAGES": 2},
        {"TYPE": "ResNet2D", "DEPTH": 50, "OUT_STAGES": 2},
    ],
    ids=["slow", "nonlocal", "2-D"],
)
def test_tpn_joins_any_resnet_of_two_stages(backbone):
    with torch.device("meta"):
        model = assemble({"BACKBONE": backbone, "NECK": {"TYPE": "TPN"}, "HEAD": {"TYPE": "PoolHead"}}, num_classes=5)
        assert model(torch.empty(2, 3, 8, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("I3DResNet", {**SLOW_50, "NONLOCAL_BLOCKS": [[], [1, 3], [5], []]}, 3),
        ("R2Plus1D", {"DEPTH": 18, "NONLOCAL_BLOCKS": [[], [1], [0, 1], []]}, 3),
        ("IRCSN", {"DEPTH": 50, "NONLOCAL_BLOCKS": [[], [3], [], []]}, 1),
        ("P3D", {"DEPTH": 50, "NONLOCAL_BLOCKS": [[], [0, 3], [5], []]}, 3),
        ("SlowFast", {"NONLOCAL_BLOCKS": [[], [1], [3], []]}, 2),
    ],
)
def test_nonlocal_blocks_go_into_every_3d_resnet(name, options, count):
    with torch.device("meta"):
        backbone = build_backbone({**options, "TYPE": name}).eval()
        plain = build_backbone({**options, "TYPE": name, "NONLOCAL_BLOCKS": []}).eval()
    assert sum(isinstance(module, NonLocal) for module in backbone.modules()) == count
    assert [x.shape for x in run(backbone, 16, 64)] == [x.shape for x in run(plain, 16, 64)]


def test_last_stage_of_p3d_takes_no_nonlocal_block():
    with pytest.raises(ConfigError, match=r"NONLOCAL_BLOCKS names \[\(1,\)\] in the last stage; it is 2-D\. Give \[\] for it\."):
        build_backbone({"TYPE": "P3D", "NONLOCAL_BLOCKS": [[], [], [], [1]]})


@pytest.mark.parametrize(
    ("neck", "num_frames"),
    [
        ({"DOWN_POOL": 2}, 32),
        ({"FUSION_POOLS": [2, 1]}, 32),
        ({"TEMPORAL_POOLS": [4, 32], "FUSION_POOLS": [4, 1]}, 32),
        ({"TEMPORAL_POOLS": [2, 8]}, 32),
        ({"TEMPORAL_POOLS": [4, 8], "DOWN_POOL": 2, "FUSION_POOLS": [1, 1]}, 8),
    ],
)
def test_pools_of_tpn_that_do_not_meet_are_one_clear_error(neck, num_frames):
    with torch.device("meta"):
        sections = {"BACKBONE": {**SLOW_50, "OUT_STAGES": 2}, "NECK": {"TYPE": "TPN", **neck}, "HEAD": {"TYPE": "PoolHead"}}
        model = assemble(sections, num_classes=3)
        with pytest.raises(UserError, match=r"TEMPORAL_POOLS is .*, DOWN_POOL .* and FUSION_POOLS .*; they leave .* to be joined"):
            model(torch.empty(1, 3, num_frames, 64, 64))


@pytest.mark.parametrize("in_channels", [(2048,), (2048, 256), (256, 512, 1024)])
def test_tpn_on_other_features_says_what_fits(in_channels):
    got = " and ".join(map(str, in_channels))
    message = f"CONFIG.MODEL.NECK.TYPE is TPN, which got feature maps of {got} channels; it takes the last two stages of a ResNet"
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_neck({"TYPE": "TPN"}, in_channels=in_channels)


@pytest.mark.parametrize("name", ["ResNet2D", "InceptionV1", "InceptionV3", "VGG16"])
def test_consensus_head_takes_every_2d_backbone(name):
    with torch.device("meta"):
        model = assemble({"BACKBONE": {"TYPE": name}, "HEAD": {"TYPE": "ConsensusHead"}}, num_classes=5)
        assert model(torch.empty(2, 3, 4, 96, 96)).shape == (2, 5)


@pytest.mark.parametrize("family", ["InceptionV1", "VGG16"])
def test_frames_of_different_videos_do_not_mix(family):
    torch.manual_seed(0)
    model = narrow(family).eval()
    clips = torch.randn(2, 3, 3, 32, 32)
    alone = torch.cat([model(clip[None]) for clip in clips])
    torch.testing.assert_close(model(clips), alone, rtol=1e-4, atol=1e-6)


def test_c3d_head_of_another_map_names_both_sizes():
    head = build_head({"TYPE": "C3DHead", "HIDDEN": 8}, in_channels=(4,), num_classes=3)
    assert head([torch.zeros(2, 4, 1, 4, 4)]).shape == (2, 3)
    assert head.pool([torch.zeros(2, 4, 1, 4, 4)]).shape == (2, 8)
    with pytest.raises(
        UserError, match=r"The feature map has 2 x 7 x 7 \(t x h x w\) points; this C3DHead takes 1 x 4 x 4\. .* \[2, 7, 7\]"
    ):
        head([torch.zeros(2, 4, 2, 7, 7)])


def test_out_stages_of_the_inceptions_return_the_coarsest_last():
    for name, channels in (("InceptionV1", (480, 832, 1024)), ("I3DInceptionV3", (288, 768, 2048))):
        with torch.device("meta"):
            backbone = build_backbone({"TYPE": name, "OUT_STAGES": 3}).eval()
        assert backbone.out_channels == channels
        assert tuple(features.shape[1] for features in run(backbone, 8, 96)) == channels


@pytest.mark.parametrize("family", FAMILIES | PLAIN)
def test_forward_is_one_graph_for_compile(family):
    torch.manual_seed(0)
    torch.compiler.reset()  # so that one network's graphs do not count against the next one's
    model = narrow(family).eval()
    size = max(32, model.backbone.min_size)
    clips = torch.randn(1, 3, max(8, model.backbone.min_frames), size, size)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(clips), model(clips))
