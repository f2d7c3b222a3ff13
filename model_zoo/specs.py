"""The zoo as data: a name stands for a piece of config.

A row is identified by (section, name): both sections of the reference zoo have, say, i3d_resnet50_v1_kinetics400, with
weights of their own. `weights.py` adds the hashtag, of which a name may have several.
"""

from copy import deepcopy
from typing import Any, NamedTuple


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
        num_classes: of the data set; None for a `_custom` name, which takes any number.
    """

    section: str
    name: str
    model: dict[str, dict[str, Any]]
    num_classes: int | None
    clip: Clip


_CLASSES = {"kinetics400": 400, "sthsthv2": 174, "custom": None}


def _row(name: str, model: dict[str, dict[str, Any]], clip: Clip) -> Row:
    return Row("torch", name, model, _CLASSES[name.rsplit("_", 1)[1]], clip)


def _tsn(depth: int) -> dict[str, dict[str, Any]]:
    return {"BACKBONE": {"TYPE": "ResNet2D", "DEPTH": depth}, "HEAD": {"TYPE": "ConsensusHead", "DROPOUT": 0.5}}


def _i3d(depth: int, *nonlocal_blocks: list[int]) -> dict[str, dict[str, Any]]:
    """`nonlocal_blocks`: indices in the second stage, then in the third."""
    backbone: dict[str, Any] = {"TYPE": "I3DResNet", "DEPTH": depth}
    if nonlocal_blocks:
        backbone["NONLOCAL_BLOCKS"] = [[], *nonlocal_blocks, []]
    return {"BACKBONE": backbone, "HEAD": {"TYPE": "PoolHead", "DROPOUT": 0.5}}


def _slowfast(depth: int, alpha: int, fusion_kernel: int, **more: list[list[int]]) -> dict[str, dict[str, Any]]:
    backbone = {"TYPE": "SlowFast", "DEPTH": depth, "ALPHA": alpha, "FUSION_KERNEL": fusion_kernel, **more}
    return {"BACKBONE": backbone, "HEAD": {"TYPE": "SlowFastHead", "DROPOUT": 0.5}}


_FRAMES_7 = Clip(7, 1, 224, num_segments=7)
_FRAMES_8 = Clip(8, 1, 224, num_segments=8)
_F16S2 = Clip(16, 2, 224)
_F32S2 = Clip(32, 2, 224)
_F64S2 = Clip(64, 2, 224)

# "50_50": in the third stage only the first 6 of 23 blocks look along time, as many as a ResNet-50 has.
_SIX_OF_23 = [3] * 6 + [1] * 17
_50_50 = {
    "SLOW_TEMPORAL_KERNELS": [[1], [1], _SIX_OF_23, [3]],
    "FAST_TEMPORAL_KERNELS": [[3], [3], _SIX_OF_23, [3]],
}

ROWS = (
    _row("resnet18_v1b_kinetics400", _tsn(18), _FRAMES_7),
    _row("resnet34_v1b_kinetics400", _tsn(34), _FRAMES_7),
    _row("resnet50_v1b_kinetics400", _tsn(50), _FRAMES_7),
    _row("resnet101_v1b_kinetics400", _tsn(101), _FRAMES_7),
    _row("resnet152_v1b_kinetics400", _tsn(152), _FRAMES_7),
    _row("resnet50_v1b_sthsthv2", _tsn(50), _FRAMES_8),
    _row("resnet50_v1b_custom", _tsn(50), _FRAMES_7),
    _row("i3d_resnet50_v1_kinetics400", _i3d(50), _F32S2),
    _row("i3d_resnet101_v1_kinetics400", _i3d(101), _F32S2),
    _row("i3d_nl5_resnet50_v1_kinetics400", _i3d(50, [1, 3], [1, 3, 5]), _F32S2),
    _row("i3d_nl10_resnet50_v1_kinetics400", _i3d(50, [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]), _F32S2),
    _row("i3d_nl5_resnet101_v1_kinetics400", _i3d(101, [1, 3], [6, 13, 20]), _F32S2),
    _row("i3d_nl10_resnet101_v1_kinetics400", _i3d(101, [0, 1, 2, 3], [2, 6, 10, 14, 18, 22]), _F32S2),
    _row("i3d_resnet50_v1_sthsthv2", _i3d(50), _F16S2),
    _row("i3d_resnet50_v1_custom", _i3d(50), _F32S2),
    # Fusion kernel 7 in the two ResNet-50 with alpha 4, 5 everywhere else: the published weights have it so.
    _row("slowfast_4x16_resnet50_kinetics400", _slowfast(50, 8, 5), _F32S2),
    _row("slowfast_8x8_resnet50_kinetics400", _slowfast(50, 4, 7), _F32S2),
    _row("slowfast_4x16_resnet101_kinetics400", _slowfast(101, 8, 5), _F32S2),
    _row("slowfast_8x8_resnet101_kinetics400", _slowfast(101, 4, 5), _F32S2),
    _row("slowfast_16x8_resnet101_kinetics400", _slowfast(101, 4, 5), _F64S2),
    _row("slowfast_16x8_resnet101_50_50_kinetics400", _slowfast(101, 4, 5, **_50_50), _F64S2),
    _row("slowfast_16x8_resnet50_sthsthv2", _slowfast(50, 4, 7), _F64S2),
    _row("slowfast_4x16_resnet50_custom", _slowfast(50, 8, 5), _F32S2),
)
_BY_KEY = {(row.section, row.name): row for row in ROWS}


def names(section: str = "torch") -> list[str]:
    """All names of a section, in the table's order."""
    return [row.name for row in ROWS if row.section == section]


def row(name: str, section: str = "torch") -> Row:
    """The row of a name. Raises KeyError for an unknown one."""
    return _BY_KEY[section, name]


def fragment(name: str, section: str = "torch") -> dict[str, Any]:
    """The piece of config, below CONFIG, that a name stands for; a fresh copy. Raises KeyError for an unknown name.

    Example: resnet50_v1b_sthsthv2 -> {"MODEL": {"BACKBONE": {"TYPE": "ResNet2D", "DEPTH": 50},
        "HEAD": {"TYPE": "ConsensusHead", "DROPOUT": 0.5}}, "DATA": {"NUM_CLASSES": 174}}
    """
    found = row(name, section)
    data = {} if found.num_classes is None else {"DATA": {"NUM_CLASSES": found.num_classes}}
    return {"MODEL": deepcopy(found.model), **data}
