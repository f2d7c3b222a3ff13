"""The networks of the zoo as pieces of config: a family is a function, a variant a difference of numbers."""

from typing import Any

Model = dict[str, dict[str, Any]]


def tsn(depth: int, *, dropout: float = 0.5, init_std: float = 0.01) -> Model:
    return {"BACKBONE": {"TYPE": "ResNet2D", "DEPTH": depth}, "HEAD": consensus(dropout, init_std)}


def tsn_inception(version: int, *, dropout: float = 0.5, init_std: float = 0.01) -> Model:
    return {"BACKBONE": {"TYPE": f"InceptionV{version}"}, "HEAD": consensus(dropout, init_std)}


def tsn_vgg16(*, dropout: float = 0.5, init_std: float = 0.01) -> Model:
    return {"BACKBONE": {"TYPE": "VGG16", "DROPOUT": dropout}, "HEAD": consensus(dropout, init_std)}


def consensus(dropout: float, init_std: float) -> dict[str, Any]:
    return {"TYPE": "ConsensusHead", "DROPOUT": dropout, **({} if init_std == 0.01 else {"INIT_STD": init_std})}


def pool(dropout: float = 0.5, init_std: float = 0.01) -> dict[str, Any]:
    return {"TYPE": "PoolHead", "DROPOUT": dropout, **({} if init_std == 0.01 else {"INIT_STD": init_std})}


def c3d() -> Model:
    return {"BACKBONE": {"TYPE": "C3D"}, "HEAD": {"TYPE": "C3DHead", "DROPOUT": 0.5}}


def p3d(depth: int) -> Model:
    return {"BACKBONE": {"TYPE": "P3D", "DEPTH": depth}, "HEAD": pool(init_std=0.001)}


def r2plus1d(depth: int) -> Model:
    return {"BACKBONE": {"TYPE": "R2Plus1D", "DEPTH": depth}, "HEAD": pool(init_std=0.001)}


def r2plus1d_v2(depth: int) -> Model:
    """Middle widths that depend on the stage alone, and a wider epsilon; the classifier has neither dropout nor a start of its own."""
    backbone = {"TYPE": "R2Plus1D", "DEPTH": depth, "MIDDLE_FROM": "width", "NORM_EPS": 1e-3}
    return {"BACKBONE": backbone, "HEAD": pool(dropout=0.0, init_std=0.0)}


def ircsn(depth: int) -> Model:
    return {"BACKBONE": {"TYPE": "IRCSN", "DEPTH": depth}, "HEAD": pool(dropout=0.0, init_std=0.0)}


def i3d(depth: int, *nonlocal_blocks: list[int], momentum: float = 0.9, dropout: float = 0.5, init_std: float = 0.01) -> Model:
    """`nonlocal_blocks`: indices in the second stage, then in the third; `momentum`: of the non-local BatchNorm, PyTorch's meaning."""
    backbone: dict[str, Any] = {"TYPE": "I3DResNet", "DEPTH": depth}
    if nonlocal_blocks:
        backbone |= {"NONLOCAL_BLOCKS": [[], *nonlocal_blocks, []], "NONLOCAL_MOMENTUM": momentum}
    return {"BACKBONE": backbone, "HEAD": pool(dropout, init_std)}


def i3d_inception(version: int) -> Model:
    return {"BACKBONE": {"TYPE": f"I3DInceptionV{version}"}, "HEAD": pool()}


def slow_backbone(depth: int) -> dict[str, Any]:
    """The slow pathway alone: time keeps its length, and only the last two stages look along it, in every block."""
    return {
        "TYPE": "I3DResNet",
        "DEPTH": depth,
        "STEM_TEMPORAL_KERNEL": 1,
        "STEM_STRIDE": [1, 2, 2],
        "POOL_STRIDE": [1, 2, 2],
        "TEMPORAL_KERNELS": [[1], [1], [3], [3]],
        "TEMPORAL_POOLS": [1, 1, 1, 1],
    }


def i3d_slow(depth: int) -> Model:
    return {"BACKBONE": slow_backbone(depth), "HEAD": pool()}


def tpn(depth: int, *, temporal_pools: list[int]) -> Model:
    """`temporal_pools`: of the two levels, in frames. Where they differ, the flows pool the rest of the way."""
    ratio = temporal_pools[1] // temporal_pools[0]
    neck = {"TYPE": "TPN", "TEMPORAL_POOLS": temporal_pools, "DOWN_POOL": ratio, "FUSION_POOLS": [ratio, 1]}
    return {"BACKBONE": {**slow_backbone(depth), "OUT_STAGES": 2}, "NECK": neck, "HEAD": pool()}


def slowfast(depth: int, alpha: int, fusion_kernel: int, *, slow_start: int = 0, **more: list[list[int]]) -> Model:
    """`slow_start`: the first frame of the slow pathway; the MXNet section takes the last of each alpha frames."""
    start = {"SLOW_START": slow_start} if slow_start else {}
    backbone = {"TYPE": "SlowFast", "DEPTH": depth, "ALPHA": alpha, "FUSION_KERNEL": fusion_kernel, **start, **more}
    return {"BACKBONE": backbone, "HEAD": {"TYPE": "SlowFastHead", "DROPOUT": 0.5}}


# "50_50": in the third stage only the first 6 of 23 blocks look along time, as many as a ResNet-50 has.
_SIX_OF_23 = [3] * 6 + [1] * 17
SLOWFAST_50_50 = {
    "SLOW_TEMPORAL_KERNELS": [[1], [1], _SIX_OF_23, [3]],
    "FAST_TEMPORAL_KERNELS": [[3], [3], _SIX_OF_23, [3]],
}
