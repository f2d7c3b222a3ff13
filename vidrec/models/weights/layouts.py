"""The layers of our networks under the names of files of others: data, one table per layout.

A layout lists (our layer, their layer); `*` stands for a block's index. A layer of ours may have several names there, the one
registered first in front: the reference registers some layers twice, and its files hold one tensor under both names. Layouts
that begin with `mxnet/` are those of `.params` files, which call scale and bias of a norm gamma and beta.
"""

Pairs = tuple[tuple[str, str], ...]


def _layers(ours: str, theirs: str, pairs: Pairs) -> Pairs:
    """The pairs below two prefixes."""
    return tuple((f"{ours}{a}", f"{theirs}{b}") for a, b in pairs)


def _norm_of(conv: str, theirs_conv: str, theirs_norm: str) -> Pairs:
    """The two layers of a ConvNorm."""
    return ((f"{conv}.conv", theirs_conv), (f"{conv}.norm", theirs_norm))


def _stages(ours: str, theirs: str, block: Pairs, *, first: int = 0) -> Pairs:
    """The pairs of four stages; `theirs` has {} where the stage's number stands, counted from `first`."""
    return tuple(pair for stage in range(4) for pair in _layers(f"{ours}.{stage}.*.", f"{theirs.format(stage + first)}.*.", block))


# Residual blocks, in the order of their layers.
_SHORTCUT = _norm_of("shortcut", "downsample.0", "downsample.1")
_BLOCK: Pairs = (
    ("convs.0", "conv1"),
    ("norms.0", "bn1"),
    ("convs.1", "conv2"),
    ("norms.1", "bn2"),
    ("convs.2", "conv3"),
    ("norms.2", "bn3"),
    *_SHORTCUT,
)
_NONLOCAL: Pairs = (
    ("theta", "theta"),
    ("phi", "phi"),
    ("g", "g"),
    ("out", "W"),
    ("norm", "bn"),
    ("out", "W_bn.0"),
    ("norm", "W_bn.1"),
)
_I3D_BLOCK: Pairs = (*_BLOCK, *_layers("after.", "nonlocal_block.", _NONLOCAL))
_MXNET_I3D_BLOCK: Pairs = (
    ("convs.0", "bottleneck.0"),
    ("norms.0", "bottleneck.1"),
    ("convs.1", "bottleneck.3"),
    ("norms.1", "bottleneck.4"),
    ("convs.2", "bottleneck.6"),
    ("norms.2", "bottleneck.7"),
    *_layers("after.", "bottleneck.8.", _NONLOCAL),
    *_I3D_BLOCK,
)
# The two convolutions of a (2+1)D unit, wherever in a block the unit stands.
_UNIT: Pairs = (("spatial", "conv1"), ("norm", "bn1"), ("temporal", "conv2"))
_R2PLUS1D_BLOCK: Pairs = (*_BLOCK, *_layers("convs.0.", "conv1.", _UNIT), *_layers("convs.1.", "conv2.", _UNIT))
_R2PLUS1D_V2_BLOCK: Pairs = (
    ("convs.0", "conv1"),
    ("norms.0", "bn1"),
    ("convs.1.spatial", "conv2_middle"),
    ("convs.1.norm", "bn2_middle"),
    ("convs.1.temporal", "conv2"),
    ("norms.1", "bn2"),
    ("convs.2", "conv3"),
    ("norms.2", "bn3"),
    *_norm_of("shortcut", "down_sample.0", "down_sample.1"),
)
_IRCSN_BLOCK: Pairs = (
    ("convs.0", "conv1"),
    ("norms.0", "bn1"),
    ("convs.1", "conv3"),
    ("norms.1", "bn3"),
    ("convs.2", "conv4"),
    ("norms.2", "bn4"),
    *_norm_of("shortcut", "down_sample.0", "down_sample.1"),
)
_P3D_BLOCK: Pairs = (
    *_norm_of("reduce", "conv1", "bn1"),
    *_norm_of("spatial", "conv2", "bn2"),
    *_norm_of("temporal", "conv_temporal", "bn_temporal"),
    *_norm_of("expand", "conv3", "bn3"),
    *_SHORTCUT,
)

_STEM = _norm_of("backbone.stem", "conv1", "bn1")
_FC: Pairs = (("head.fc", "fc"),)
_RESNET: Pairs = (*_STEM, *_stages("backbone.stages", "layer{}", _BLOCK, first=1))
_I3D_STEM = _norm_of("backbone.stem", "first_stage.0", "first_stage.1")
_R2PLUS1D: Pairs = (
    *_norm_of("backbone.stem.0", "conv1", "bn1"),
    *_norm_of("backbone.stem.1", "conv2", "bn2"),
    *_stages("backbone.stages", "layer{}", _R2PLUS1D_BLOCK, first=1),
    *_FC,
)
_SLOWFAST: Pairs = (
    *_norm_of("backbone.slow.stem", "slow_conv1", "slow_bn1"),
    *_stages("backbone.slow.stages", "slow_res{}", _BLOCK, first=2),
    *_norm_of("backbone.fast.stem", "fast_conv1", "fast_bn1"),
    *_stages("backbone.fast.stages", "fast_res{}", _BLOCK, first=2),
    *_norm_of("backbone.laterals.0", "lateral_p1.0", "lateral_p1.1"),
    *(pair for i in (1, 2, 3) for pair in _norm_of(f"backbone.laterals.{i}", f"lateral_res{i + 1}.0", f"lateral_res{i + 1}.1")),
    *_FC,
)


def _fusion(ours: str, theirs: str) -> Pairs:
    """A level fusion of TPN."""
    levels = tuple(pair for i in range(2) for pair in _norm_of(f"{ours}.levels.{i}", f"{theirs}.ops.{i}.conv", f"{theirs}.ops.{i}.norm"))
    return (*levels, *_norm_of(f"{ours}.fuse", f"{theirs}.fusion_conv.0", f"{theirs}.fusion_conv.1"))


# Parameters that stand in files and that no network of ours has: TPN's auxiliary classifier, which the reference never runs.
# They keep names of ours, so that a file can be converted there and back without a loss.
UNUSED = ("neck.aux.",)
_TPN_NECK: Pairs = (
    ("temporal.0", "temporal_modulation_ops.0.conv"),
    ("temporal.1", "temporal_modulation_ops.1.conv"),
    ("down", "downsampling_ops.0.conv"),
    *_norm_of("spatial", "spatial_modulation.spatial_modulation.0.0.conv", "spatial_modulation.spatial_modulation.0.0.bn"),
    *_fusion("top_down", "level_fusion_op2"),
    *_fusion("bottom_up", "level_fusion_op"),
    *_norm_of("fuse", "pyramid_fusion_op.0", "pyramid_fusion_op.1"),
    ("aux.conv", "aux_head.convs.conv"),
    ("aux.norm", "aux_head.convs.bn"),
    ("aux.fc", "aux_head.fc"),
)

_V1_STEM = (("0", "conv1"), ("2", "conv2"), ("3", "conv3"))
_V1_MODULES = ("0.0 3a", "0.1 3b", "1.1 4a", "1.2 4b", "1.3 4c", "1.4 4d", "1.5 4e", "2.1 5a", "2.2 5b")
_V1_FEATURES = (5, 6, 8, 9, 10, 11, 12, 14, 15)  # of the modules, among the layers of the I3D network
_V1_TORCHVISION = (("0.0", "branch1"), ("1.0", "branch2.0"), ("1.1", "branch2.1"), ("2.0", "branch3.0"), ("2.1", "branch3.1"))
_BRANCH_UNITS = tuple(f"{branch}.{unit}" for branch in range(4) for unit in range(5))


def _inception_v1(stem: dict[str, str], modules: list[str], units: Pairs, leaves: tuple[str, str]) -> Pairs:
    """Names from those of the stem's units and of the modules; `units`: (our place in a module, theirs)."""
    conv, norm = leaves
    pairs = [pair for ours, theirs in stem.items() for pair in _norm_of(f"backbone.stem.{ours}", f"{theirs}.{conv}", f"{theirs}.{norm}")]
    for place, module in zip(_V1_MODULES, modules, strict=True):
        for ours, theirs in units:
            unit = f"backbone.stages.{place.split()[0]}.branches.{ours}"
            pairs += _norm_of(unit, f"{module}.{theirs}.{conv}", f"{module}.{theirs}.{norm}")
    return tuple(pairs)


_SAME_UNITS = tuple((unit, unit) for unit in _BRANCH_UNITS)
_NAMED_MODULES = [f"inception{place.split()[1]}" for place in _V1_MODULES]

# Modules of Inception v3: (our stage and place, index in the reference's `features`, torchvision's name).
_V3_MODULES = (
    *(("0", i, 7 + i, f"Mixed_5{'bcd'[i]}") for i in range(3)),
    *(("1", i, 10 + i, f"Mixed_6{'abcde'[i]}") for i in range(5)),
    *(("2", i, 15 + i, f"Mixed_7{'abc'[i]}") for i in range(3)),
)
_V3_STEM = {0: "Conv2d_1a_3x3", 1: "Conv2d_2a_3x3", 2: "Conv2d_2b_3x3", 4: "Conv2d_3b_1x1", 5: "Conv2d_4a_3x3"}
# The last two modules (E), whose branches 1 and 2 end in two units side by side.
_V3_E_UNITS: Pairs = (
    ("0.0", "0.0"),
    ("1.0", "1.0.0"),
    ("1.1.branches.0", "1.1.0.0"),
    ("1.1.branches.1", "1.1.1.0"),
    ("2.0", "2.0.0"),
    ("2.1", "2.0.1"),
    ("2.2.branches.0", "2.1.0.0"),
    ("2.2.branches.1", "2.1.1.0"),
    ("3.1", "3.1"),
)
_V3_TORCHVISION = {
    "A": "0.0 branch1x1, 1.0 branch5x5_1, 1.1 branch5x5_2, 2.0 branch3x3dbl_1, 2.1 branch3x3dbl_2, 2.2 branch3x3dbl_3, 3.1 branch_pool",
    "B": "0.0 branch3x3, 1.0 branch3x3dbl_1, 1.1 branch3x3dbl_2, 1.2 branch3x3dbl_3",
    "C": "0.0 branch1x1, 1.0 branch7x7_1, 1.1 branch7x7_2, 1.2 branch7x7_3, 2.0 branch7x7dbl_1, 2.1 branch7x7dbl_2, 2.2 branch7x7dbl_3, "
    "2.3 branch7x7dbl_4, 2.4 branch7x7dbl_5, 3.1 branch_pool",
    "D": "0.0 branch3x3_1, 0.1 branch3x3_2, 1.0 branch7x7x3_1, 1.1 branch7x7x3_2, 1.2 branch7x7x3_3, 1.3 branch7x7x3_4",
    "E": "0.0 branch1x1, 1.0 branch3x3_1, 1.1.branches.0 branch3x3_2a, 1.1.branches.1 branch3x3_2b, 2.0 branch3x3dbl_1, "
    "2.1 branch3x3dbl_2, 2.2.branches.0 branch3x3dbl_3a, 2.2.branches.1 branch3x3dbl_3b, 3.1 branch_pool",
}


def _inception_v3() -> Pairs:
    pairs = [pair for i in _V3_STEM for pair in _norm_of(f"backbone.stem.{i}", f"features.{i}.0", f"features.{i}.1")]
    for stage, place, index, _ in _V3_MODULES:
        for ours, theirs in _V3_E_UNITS if index >= 16 else _SAME_UNITS:
            unit = f"features.{index}.{theirs}"
            pairs += _norm_of(f"backbone.stages.{stage}.{place}.branches.{ours}", f"{unit}.0", f"{unit}.1")
    return tuple(pairs)


def _inception_v3_torchvision() -> Pairs:
    pairs = [pair for i, name in _V3_STEM.items() for pair in _norm_of(f"backbone.stem.{i}", f"{name}.conv", f"{name}.bn")]
    for (stage, place, _, module), kind in zip(_V3_MODULES, "AAABCCCCDEE", strict=True):
        for unit in _V3_TORCHVISION[kind].split(", "):
            ours, theirs = unit.split()
            pairs += _norm_of(f"backbone.stages.{stage}.{place}.branches.{ours}", f"{module}.{theirs}.conv", f"{module}.{theirs}.bn")
    return tuple(pairs)


_VGG_CONVS = tuple(f"{stage}.{2 * i}" for stage, count in enumerate((2, 2, 3, 3, 3)) for i in range(count))
_VGG_FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_VGG: Pairs = tuple((f"backbone.stages.{ours}", f"features.{i}") for ours, i in zip(_VGG_CONVS, _VGG_FEATURES, strict=True))
_C3D_CONVS = ("0.0 conv1", "1.0 conv2", "2.0 conv3a", "2.2 conv3b", "3.0 conv4a", "3.2 conv4b", "4.0 conv5a", "4.2 conv5b")

# Of two that explain a file alike, the one in front is taken: it has no further names that the file would lack.
LAYOUTS: dict[str, Pairs] = {
    # torchvision's names, also of its ImageNet files and of the slow pathway alone
    "resnet_v1b": (*_RESNET, *_FC),
    "i3d_resnet": (*_I3D_STEM, *_stages("backbone.stages", "res_layers.{}", _I3D_BLOCK), *_FC, ("head.fc", "head.1")),
    "slowfast": _SLOWFAST,
    "r2plus1d_v1": _R2PLUS1D,
    "r2plus1d_v2": (
        *_norm_of("backbone.stem.0", "conv1_middle", "bn1_middle"),
        *_norm_of("backbone.stem.1", "conv1", "bn1"),
        *_stages("backbone.stages", "layer{}", _R2PLUS1D_V2_BLOCK, first=1),
        ("head.fc", "out_fc"),
    ),
    "ircsn": (*_STEM, *_stages("backbone.stages", "layer{}", _IRCSN_BLOCK, first=1), ("head.fc", "out_fc")),
    "tpn": (*_RESNET, *_layers("neck.", "TPN_neck.", _TPN_NECK), *_FC),
    "mxnet/resnet_v1b": (*_RESNET, ("head.fc", "output")),
    "mxnet/inception_v1": (
        *_inception_v1(dict(_V1_STEM), _NAMED_MODULES, _SAME_UNITS, ("0", "1")),
        ("head.fc", "output"),
    ),
    "mxnet/inception_v3": (*_inception_v3(), ("head.fc", "output")),
    "mxnet/vgg16": (*_VGG, ("backbone.fc6", "features.31"), ("backbone.fc7", "features.33"), ("head.fc", "output")),
    "mxnet/c3d": (
        *((f"backbone.stages.{conv.split()[0]}", conv.split()[1]) for conv in _C3D_CONVS),
        *(("head.fc6", "fc6"), ("head.fc7", "fc7"), ("head.fc", "fc8")),
    ),
    "mxnet/p3d": (*_STEM, *_stages("backbone.stages", "layer{}", _P3D_BLOCK, first=1), *_FC),
    "mxnet/r2plus1d": _R2PLUS1D,
    "mxnet/i3d_slow": (*_I3D_STEM, *_stages("backbone.stages", "res_layers.{}", _BLOCK), ("head.fc", "head.1"), *_FC),
    "mxnet/i3d_resnet": (*_I3D_STEM, *_stages("backbone.stages", "res_layers.{}", _MXNET_I3D_BLOCK), ("head.fc", "head.1"), *_FC),
    "mxnet/i3d_inception_v1": (
        *_inception_v1({i: f"features.{i}" for i in "023"}, [f"features.{i}" for i in _V1_FEATURES], _SAME_UNITS, ("0", "1")),
        *(("head.fc", "head.1"), ("head.fc", "output")),
    ),
    "mxnet/i3d_inception_v3": (*_inception_v3(), ("head.fc", "head.1"), ("head.fc", "output")),
    "mxnet/slowfast": _SLOWFAST,
    # torchvision's names of other ImageNet files
    "torchvision/googlenet": _inception_v1(dict(_V1_STEM), _NAMED_MODULES, (*_V1_TORCHVISION, ("3.1", "branch4.1")), ("conv", "bn")),
    "torchvision/inception_v3": _inception_v3_torchvision(),
    "torchvision/vgg16": (*_VGG, ("backbone.fc6", "classifier.0"), ("backbone.fc7", "classifier.3")),
}
