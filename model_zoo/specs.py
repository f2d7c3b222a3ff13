"""The zoo as data: a name stands for a piece of config.

The reference zoo has two sections, torch and mxnet. A row is identified by (section, name): both have, say,
i3d_resnet50_v1_kinetics400, with weights of their own. `weights.py` adds the hashtag, of which a name may have several.
"""

from copy import deepcopy
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from . import fragments
from .fragments import SLOWFAST_50_50, Model

SECTION_TITLES = {"torch": "PyTorch", "mxnet": "MXNet"}
SECTIONS = tuple(SECTION_TITLES)


class Clip(NamedTuple):
    """What the network was published for.

    Args:
        num_frames: frames that enter the network together; of a 2-D network, one per segment.
        frame_stride: distance between frames of a clip, in frames.
        crop_size: side of the training crop, pixels.
        num_segments: shares of the video's time that the frames come from; 1 for a dense clip.
    """

    num_frames: int
    frame_stride: int
    crop_size: int
    num_segments: int = 1


class Row(NamedTuple):
    """One name of the zoo.

    Args:
        section: torch or mxnet.
        model: BACKBONE, HEAD and, where there is one, NECK.
        clip: what the network was published for.
        layout: whose parameter names the published file has, see vidrec/models/weights/layouts.py.
    """

    section: str
    name: str
    model: Model
    clip: Clip
    layout: str

    @property
    def data_set(self) -> str:
        """kinetics400, kinetics700, sthsthv2, ucf101, hmdb51 or custom."""
        return float_name(self.name).rsplit("_", 1)[1]

    @property
    def num_classes(self) -> int | None:
        """Of the data set; None for a `_custom` name, which takes any number."""
        return CLASSES[self.data_set]


CUSTOM_CLASSES = 400  # of a `_custom` name where nobody says how many
CLASSES = {"kinetics400": 400, "kinetics700": 700, "sthsthv2": 174, "ucf101": 101, "hmdb51": 51, "custom": None}


def float_name(name: str) -> str:
    """The name whose network and weights an int8 name stands for; any other name itself."""
    return name.removesuffix("_int8")


def _frames(count: int, crop_size: int = 224) -> Clip:
    return Clip(count, 1, crop_size, num_segments=count)


_F8S8, _F16S4, _F32S2, _F16S2, _F64S2 = Clip(8, 8, 224), Clip(16, 4, 224), Clip(32, 2, 224), Clip(16, 2, 224), Clip(64, 2, 224)
_F16S2_112, _F32S2_112 = Clip(16, 2, 112), Clip(32, 2, 112)

# Blocks with a non-local block, of the second and third stage: every second, or every one, of a ResNet-50's.
_NL5, _NL10 = ([1, 3], [1, 3, 5]), ([0, 1, 2, 3], [0, 1, 2, 3, 4, 5])
_NL5_101, _NL10_101 = ([1, 3], [6, 13, 20]), ([0, 1, 2, 3], [2, 6, 10, 14, 18, 22])


def _torch(name: str, model: Model, clip: Clip, layout: str) -> Row:
    return Row("torch", name, model, clip, layout)


_TSN_DEPTHS = (18, 34, 50, 101, 152)
_TORCH = (
    *(_torch(f"resnet{depth}_v1b_kinetics400", fragments.tsn(depth), _frames(7), "resnet_v1b") for depth in _TSN_DEPTHS),
    _torch("resnet50_v1b_sthsthv2", fragments.tsn(50), _frames(8), "resnet_v1b"),
    _torch("resnet50_v1b_custom", fragments.tsn(50), _frames(7), "resnet_v1b"),
    _torch("i3d_resnet50_v1_kinetics400", fragments.i3d(50), _F32S2, "i3d_resnet"),
    _torch("i3d_resnet101_v1_kinetics400", fragments.i3d(101), _F32S2, "i3d_resnet"),
    _torch("i3d_nl5_resnet50_v1_kinetics400", fragments.i3d(50, *_NL5), _F32S2, "i3d_resnet"),
    _torch("i3d_nl10_resnet50_v1_kinetics400", fragments.i3d(50, *_NL10), _F32S2, "i3d_resnet"),
    _torch("i3d_nl5_resnet101_v1_kinetics400", fragments.i3d(101, *_NL5_101), _F32S2, "i3d_resnet"),
    _torch("i3d_nl10_resnet101_v1_kinetics400", fragments.i3d(101, *_NL10_101), _F32S2, "i3d_resnet"),
    _torch("i3d_resnet50_v1_sthsthv2", fragments.i3d(50), _F16S2, "i3d_resnet"),
    _torch("i3d_resnet50_v1_custom", fragments.i3d(50), _F32S2, "i3d_resnet"),
    # Fusion kernel 7 in the two ResNet-50 with alpha 4, 5 everywhere else: the published weights have it so.
    _torch("slowfast_4x16_resnet50_kinetics400", fragments.slowfast(50, 8, 5), _F32S2, "slowfast"),
    _torch("slowfast_8x8_resnet50_kinetics400", fragments.slowfast(50, 4, 7), _F32S2, "slowfast"),
    _torch("slowfast_4x16_resnet101_kinetics400", fragments.slowfast(101, 8, 5), _F32S2, "slowfast"),
    _torch("slowfast_8x8_resnet101_kinetics400", fragments.slowfast(101, 4, 5), _F32S2, "slowfast"),
    _torch("slowfast_16x8_resnet101_kinetics400", fragments.slowfast(101, 4, 5), _F64S2, "slowfast"),
    _torch("slowfast_16x8_resnet101_50_50_kinetics400", fragments.slowfast(101, 4, 5, **SLOWFAST_50_50), _F64S2, "slowfast"),
    _torch("slowfast_16x8_resnet50_sthsthv2", fragments.slowfast(50, 4, 7), _F64S2, "slowfast"),
    _torch("slowfast_4x16_resnet50_custom", fragments.slowfast(50, 8, 5), _F32S2, "slowfast"),
    # The slow pathway has the parameter names of the 2-D ResNet.
    _torch("i3d_slow_resnet50_f32s2_kinetics400", fragments.i3d_slow(50), _F32S2, "resnet_v1b"),
    _torch("i3d_slow_resnet50_f16s4_kinetics400", fragments.i3d_slow(50), _F16S4, "resnet_v1b"),
    _torch("i3d_slow_resnet50_f8s8_kinetics400", fragments.i3d_slow(50), _F8S8, "resnet_v1b"),
    _torch("i3d_slow_resnet101_f32s2_kinetics400", fragments.i3d_slow(101), _F32S2, "resnet_v1b"),
    _torch("i3d_slow_resnet101_f16s4_kinetics400", fragments.i3d_slow(101), _F16S4, "resnet_v1b"),
    _torch("i3d_slow_resnet101_f8s8_kinetics400", fragments.i3d_slow(101), _F8S8, "resnet_v1b"),
    _torch("i3d_slow_resnet101_f16s4_kinetics700", fragments.i3d_slow(101), _F16S4, "resnet_v1b"),
    _torch("i3d_slow_resnet50_f32s2_custom", fragments.i3d_slow(50), _F32S2, "resnet_v1b"),
    *(_torch(f"r2plus1d_v1_resnet{d}_kinetics400", fragments.r2plus1d(d), _F16S2_112, "r2plus1d_v1") for d in _TSN_DEPTHS),
    _torch("r2plus1d_v1_resnet50_custom", fragments.r2plus1d(50), _F16S2_112, "r2plus1d_v1"),
    _torch("r2plus1d_v2_resnet152_kinetics400", fragments.r2plus1d_v2(152), _F32S2_112, "r2plus1d_v2"),
    _torch("ircsn_v2_resnet152_f32s2_kinetics400", fragments.ircsn(152), _F32S2, "ircsn"),
    _torch("tpn_resnet50_f8s8_kinetics400", fragments.tpn(50, temporal_pools=[8, 8]), _F8S8, "tpn"),
    _torch("tpn_resnet50_f16s4_kinetics400", fragments.tpn(50, temporal_pools=[16, 16]), _F16S4, "tpn"),
    _torch("tpn_resnet50_f32s2_kinetics400", fragments.tpn(50, temporal_pools=[32, 32]), _F32S2, "tpn"),
    _torch("tpn_resnet101_f8s8_kinetics400", fragments.tpn(101, temporal_pools=[4, 8]), _F8S8, "tpn"),
    _torch("tpn_resnet101_f16s4_kinetics400", fragments.tpn(101, temporal_pools=[8, 16]), _F16S4, "tpn"),
    _torch("tpn_resnet101_f32s2_kinetics400", fragments.tpn(101, temporal_pools=[16, 32]), _F32S2, "tpn"),
    _torch("tpn_resnet50_f32s2_custom", fragments.tpn(50, temporal_pools=[32, 32]), _F32S2, "tpn"),
)


def _mxnet(name: str, model: Model, clip: Clip, layout: str) -> Row:
    return Row("mxnet", name, model, clip, f"mxnet/{layout}")


# The networks of the MXNet section differ from their torch twins in three numbers: the momentum of the non-local BatchNorm, the frames
# that the slow pathway of SlowFast takes (the last of each group, not the first), and the classifier's dropout and start on small data.
_TSN_SEGMENTS = {"kinetics400": 7, "sthsthv2": 8, "ucf101": 3, "hmdb51": 3}
_SMALL = ("ucf101", "hmdb51")


def _on_small(data_set: str, dropout: float) -> dict[str, float]:
    return {"dropout": dropout, "init_std": 0.001} if data_set in _SMALL else {}


def _mxnet_2d() -> tuple[Row, ...]:
    rows = []
    for data_set, segments in _TSN_SEGMENTS.items():
        v1, v3 = (fragments.tsn_inception(version, **_on_small(data_set, 0.8)) for version in (1, 3))
        rows += [
            _mxnet(f"vgg16_{data_set}", fragments.tsn_vgg16(**_on_small(data_set, 0.9)), _frames(segments), "vgg16"),
            _mxnet(f"inceptionv1_{data_set}", v1, _frames(segments), "inception_v1"),
            _mxnet(f"inceptionv3_{data_set}", v3, _frames(segments, 299), "inception_v3"),
        ]
        depths = (50,) if data_set in _SMALL else _TSN_DEPTHS
        for depth in depths:
            model = fragments.tsn(depth, **_on_small(data_set, 0.9))
            rows.append(_mxnet(f"resnet{depth}_v1b_{data_set}", model, _frames(segments), "resnet_v1b"))
    rows += [_mxnet(f"resnet{depth}_v1b_custom", fragments.tsn(depth), _frames(7), "resnet_v1b") for depth in (18, 50)]
    return tuple(rows)


def _i3d_mxnet(name: str, depth: int, *nonlocal_blocks: list[int], clip: Clip = _F32S2, **head: float) -> Row:
    return _mxnet(f"i3d_{name}", fragments.i3d(depth, *nonlocal_blocks, momentum=0.1, **head), clip, "i3d_resnet")


def _slowfast_mxnet(name: str, depth: int, alpha: int, fusion_kernel: int, clip: Clip = _F32S2, **more: list[list[int]]) -> Row:
    model = fragments.slowfast(depth, alpha, fusion_kernel, slow_start=alpha - 1, **more)
    return _mxnet(f"slowfast_{name}", model, clip, "slowfast")


_INT8 = ("vgg16_ucf101", "inceptionv3_ucf101", "resnet18_v1b_kinetics400", "resnet50_v1b_kinetics400", "inceptionv3_kinetics400")
_MXNET = (
    *_mxnet_2d(),
    _mxnet("c3d_kinetics400", fragments.c3d(), _F16S2_112, "c3d"),
    _mxnet("p3d_resnet50_kinetics400", fragments.p3d(50), _F16S2, "p3d"),
    _mxnet("p3d_resnet101_kinetics400", fragments.p3d(101), _F16S2, "p3d"),
    *(_mxnet(f"r2plus1d_resnet{d}_kinetics400", fragments.r2plus1d(d), _F16S2_112, "r2plus1d") for d in _TSN_DEPTHS),
    _mxnet("i3d_inceptionv1_kinetics400", fragments.i3d_inception(1), _F32S2, "i3d_inception_v1"),
    _mxnet("i3d_inceptionv3_kinetics400", fragments.i3d_inception(3), Clip(32, 2, 299), "i3d_inception_v3"),
    _i3d_mxnet("resnet50_v1_kinetics400", 50),
    _i3d_mxnet("resnet101_v1_kinetics400", 101),
    _i3d_mxnet("nl5_resnet50_v1_kinetics400", 50, *_NL5),
    _i3d_mxnet("nl10_resnet50_v1_kinetics400", 50, *_NL10),
    _i3d_mxnet("nl5_resnet101_v1_kinetics400", 101, *_NL5_101),
    _i3d_mxnet("nl10_resnet101_v1_kinetics400", 101, *_NL10_101),
    _i3d_mxnet("resnet50_v1_sthsthv2", 50, clip=_F16S2),
    *(_i3d_mxnet(f"resnet50_v1_{data_set}", 50, dropout=0.8, init_std=0.001) for data_set in (*_SMALL, "custom")),
    _slowfast_mxnet("4x16_resnet50_kinetics400", 50, 8, 5),
    _slowfast_mxnet("4x16_resnet50_custom", 50, 8, 5),
    _slowfast_mxnet("8x8_resnet50_kinetics400", 50, 4, 7),
    _slowfast_mxnet("4x16_resnet101_kinetics400", 101, 8, 5),
    _slowfast_mxnet("8x8_resnet101_kinetics400", 101, 4, 5),
    _slowfast_mxnet("16x8_resnet101_kinetics400", 101, 4, 5, _F64S2),
    _slowfast_mxnet("16x8_resnet101_50_50_kinetics400", 101, 4, 5, _F64S2, **SLOWFAST_50_50),
    _mxnet("i3d_slow_resnet101_f16s4_kinetics700", fragments.i3d_slow(101), _F16S4, "i3d_slow"),
)

_FLOAT_ROWS = (*_TORCH, *_MXNET)
# The int8 names load the float network and its weights, and are quantized later.
_INT8_ROWS = tuple(row._replace(name=f"{row.name}_int8") for row in _MXNET if row.name in _INT8)
ROWS = (*_FLOAT_ROWS, *_INT8_ROWS)
_BY_KEY = {(row.section, row.name): row for row in ROWS}


def names(section: str = "") -> list[str]:
    """All names of a section in the table's order; '': of both, each once."""
    return list(dict.fromkeys(row.name for row in ROWS if section in ("", row.section)))


def sections(name: str) -> list[str]:
    """The sections that have a name, torch first; empty for an unknown one."""
    return [section for section in SECTIONS if (section, name) in _BY_KEY]


def row(name: str, section: str = "") -> Row:
    """The row of a name; '' takes the torch section where it has the name, else mxnet. Raises KeyError for an unknown one."""
    return _BY_KEY[section or next(iter(sections(name)), ""), name]


def matching(pattern: str, section: str = "") -> list[Row]:
    """The rows whose name, or `section/name` where the pattern has a /, matches a shell pattern, in the table's order."""
    return [row for row in ROWS if section in ("", row.section) and fnmatchcase(_shown(row, pattern), pattern)]


def _shown(row: Row, pattern: str) -> str:
    return f"{row.section}/{row.name}" if "/" in pattern else row.name


def fragment(name: str, section: str = "") -> dict[str, Any]:
    """The piece of config, below CONFIG, that a name stands for; a fresh copy. Raises KeyError for an unknown name.

    Example: resnet50_v1b_sthsthv2 -> {"MODEL": {"BACKBONE": {"TYPE": "ResNet2D", "DEPTH": 50},
        "HEAD": {"TYPE": "ConsensusHead", "DROPOUT": 0.5}}, "DATA": {"NUM_CLASSES": 174}}
    """
    found = row(name, section)
    data = {} if found.num_classes is None else {"DATA": {"NUM_CLASSES": found.num_classes}}
    return {"MODEL": deepcopy(found.model), **data}
