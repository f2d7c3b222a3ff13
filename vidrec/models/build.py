"""Networks from config sections and zoo names. The only file of models/ that reads a config."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import find_row
from vidrec.model_zoo import specs
from vidrec.registry import Registry
from vidrec.utils.cores import usable_memory
from vidrec.utils.errors import ConfigError, UserError
from vidrec.utils.text import did_you_mean

if TYPE_CHECKING:
    from torch import nn
    from yacs.config import CfgNode

    from vidrec.models.backbones.base import Backbone
    from vidrec.models.heads.base import Head
    from vidrec.models.recognizer import Recognizer

BACKBONES = Registry(
    "backbone",
    {
        "C3D": "vidrec.models.backbones.c3d:C3D",
        "I3DInceptionV1": "vidrec.models.backbones.inception_v1:I3DInceptionV1",
        "I3DInceptionV3": "vidrec.models.backbones.inception_v3:I3DInceptionV3",
        "I3DResNet": "vidrec.models.backbones.i3d_resnet:I3DResNet",
        "IRCSN": "vidrec.models.backbones.ircsn:IRCSN",
        "InceptionV1": "vidrec.models.backbones.inception_v1:InceptionV1",
        "InceptionV3": "vidrec.models.backbones.inception_v3:InceptionV3",
        "P3D": "vidrec.models.backbones.p3d:P3D",
        "R2Plus1D": "vidrec.models.backbones.r2plus1d:R2Plus1D",
        "ResNet2D": "vidrec.models.backbones.resnet2d:ResNet2D",
        "SlowFast": "vidrec.models.backbones.slowfast:SlowFast",
        "VGG16": "vidrec.models.backbones.vgg:VGG16",
    },
    base="vidrec.models.backbones.base:Backbone",
)
NECKS = Registry("neck", {"TPN": "vidrec.models.necks.tpn:TPN"}, base="torch.nn:Module")
HEADS = Registry(
    "head",
    {
        "C3DHead": "vidrec.models.heads.c3d:C3DHead",
        "ConsensusHead": "vidrec.models.heads.consensus:ConsensusHead",
        "PoolHead": "vidrec.models.heads.pool:PoolHead",
        "SlowFastHead": "vidrec.models.heads.slowfast:SlowFastHead",
    },
    base="vidrec.models.heads.base:Head",
)

# Arguments that the builders supply, for whoever checks a section without building it.
NECK_GIVEN = ("in_channels",)
HEAD_GIVEN = ("in_channels", "num_classes")

_COMPONENTS = ("BACKBONE", "NECK", "HEAD")
_OPTIONS = ("features_only", "frozen_stages", "bn_eval", "partial_bn", "bn_frozen", "use_affine")  # of get_model with a name


def build_backbone(section: Mapping[str, Any]) -> "Backbone":
    """The backbone of a section {TYPE, arguments in upper case}. Raises ConfigError with every mistake of the section."""
    return BACKBONES.build(section)


def build_neck(section: Mapping[str, Any], *, in_channels: tuple[int, ...]) -> "nn.Module | None":
    """The neck of a section; None for an empty one."""
    return NECKS.build(section, in_channels=in_channels) if section else None


def build_head(section: Mapping[str, Any], *, in_channels: tuple[int, ...], num_classes: int) -> "Head":
    """The head of a section, for the features of a backbone or neck."""
    return HEADS.build(section, in_channels=in_channels, num_classes=num_classes)


def assemble(
    sections: Mapping[str, Mapping[str, Any]],
    *,
    num_classes: int,
    features_only: bool = False,
    frozen_stages: int = -1,
    **norm_switches: bool,
) -> "Recognizer":
    """Backbone, neck and head of their sections as one network, with fresh weights.

    Args:
        sections: BACKBONE, HEAD and, where there is one, NECK.
        frozen_stages, norm_switches: see vidrec.models.layers.norm.freeze_stages and apply_norm_switches.
    """
    from vidrec.models.layers.norm import apply_norm_switches, freeze_stages
    from vidrec.models.recognizer import Recognizer

    backbone = build_backbone(sections["BACKBONE"])
    neck = build_neck(sections.get("NECK", {}), in_channels=backbone.out_channels)
    in_channels = backbone.out_channels if neck is None else neck.out_channels
    head = build_head(sections["HEAD"], in_channels=in_channels, num_classes=num_classes)
    model = Recognizer(backbone, head, neck, features_only=features_only)
    held = apply_norm_switches(model, **norm_switches)
    frozen = freeze_stages(backbone.parts(), model, frozen_stages=frozen_stages)
    model.held_norms = tuple(dict.fromkeys((*held, *frozen)))
    return model.train()


def build_model(cfg: "CfgNode", load_weights: bool = True) -> "Recognizer":
    """The network of a config, on CPU, with the weights that the config asks for.

    Weights come from PRETRAINED_PATH (LOAD True), else from the zoo (PRETRAINED), else from ImageNet (PRETRAINED_BASE, where
    the family starts from a 2-D network).

    Args:
        load_weights: False builds the network only; a checkpoint follows.

    Raises:
        ConfigError: for a section that does not build, or clips that the network cannot take.
        WeightsError: for weights that cannot be found, read or fitted.
    """
    model_cfg, data = cfg.CONFIG.MODEL, cfg.CONFIG.DATA
    sections = {key: _section(model_cfg, key) for key in _COMPONENTS}
    _check_clips(sections, cfg.CONFIG)
    model = assemble(
        sections,
        num_classes=data.NUM_CLASSES,
        features_only=cfg.CONFIG.INFERENCE.FEAT,
        frozen_stages=model_cfg.FROZEN_STAGES,
        bn_eval=model_cfg.BN_EVAL,
        partial_bn=model_cfg.PARTIAL_BN,
        bn_frozen=model_cfg.BN_FROZEN,
        use_affine=model_cfg.USE_AFFINE,
    )
    if load_weights:
        _load(model, model_cfg)
    return model


def get_model(
    cfg_or_name: "CfgNode | str",
    num_classes: int | None = None,
    pretrained: bool | str | int = False,
    *,
    zoo: str = "",
    pretrained_base: bool = False,
    **options: Any,
) -> "Recognizer":
    """The network of a config, or of a zoo name.

    Args:
        cfg_or_name: `mxnet/NAME` is NAME with zoo "mxnet".
        num_classes: with a name: None takes the data set's, or 400 for a `_custom` name. Another number than the published
            file's keeps a fresh classifier.
        pretrained: with a name: True or a hashtag (digits alone may be an int) loads the published weights.
        zoo: with a name: the section, torch or mxnet; '': that of the hashtag, else torch where it has the name.
        pretrained_base: with a name: starts from 2-D ImageNet weights.
        options: with a name: features_only, frozen_stages, bn_eval, partial_bn, bn_frozen, use_affine.

    Example: get_model("i3d_resnet50_v1_kinetics400", num_classes=9, pretrained=True)
    """
    if not isinstance(cfg_or_name, str):
        if num_classes is not None or pretrained or zoo or pretrained_base or options:
            raise ConfigError(["get_model was given a config and further arguments; a config says everything itself. Set its keys."])
        return build_model(cfg_or_name)
    _check_arguments(num_classes, options)
    hashtag = "" if isinstance(pretrained, bool) else f"{pretrained:08d}" if isinstance(pretrained, int) else pretrained
    row = find_row(cfg_or_name, zoo=zoo, hashtag=hashtag)
    own_classes = row.num_classes or specs.CUSTOM_CLASSES
    model = assemble(row.model, num_classes=own_classes if num_classes is None else num_classes, **options)
    if pretrained:
        from vidrec.models.weights.zoo import load_published

        load_published(model, row.name, section=row.section, hashtag=hashtag, reset_head=num_classes not in (None, own_classes))
    elif pretrained_base:
        from vidrec.models.weights.imagenet import load_imagenet

        load_imagenet(model)
    return model


def _check_arguments(num_classes: int | None, options: Mapping[str, Any]) -> None:
    """Raises ConfigError for what get_model does not take."""
    mistakes = []
    if num_classes is not None and (isinstance(num_classes, bool) or not isinstance(num_classes, int)):
        mistakes.append(f"num_classes is {num_classes!r}; it must be a whole number of at least 1. Give one, or None for the data set's.")
    for name in sorted(set(options) - set(_OPTIONS)):
        mistakes.append(f"{name} is not an option of get_model; it takes {', '.join(_OPTIONS)}.{did_you_mean(name, _OPTIONS)}")
    if mistakes:
        raise ConfigError(mistakes)


def list_models(pattern: str = "*", zoo: str = "") -> list[str]:
    """Zoo names that match a shell pattern, sorted, each once: `list_models("slowfast_*")`, `list_models("mxnet/*ucf101")`.

    Args:
        zoo: torch or mxnet; '': the names of both sections.
    """
    if zoo not in ("", *specs.SECTIONS):
        raise ConfigError([f"zoo is {zoo!r}; it must be one of {', '.join(specs.SECTIONS)}, or '' for both. Choose one of those."])
    return sorted({row.name for row in specs.matching(pattern, zoo)})


def get_model_list() -> list[str]:
    """All zoo names, sorted."""
    return list_models()


def _zoo_row(model_cfg: "CfgNode") -> specs.Row:
    return find_row(model_cfg.NAME, zoo=model_cfg.ZOO, hashtag=model_cfg.PRETRAINED)


def _section(model_cfg: "CfgNode", key: str) -> dict[str, Any]:
    """A component's section, filled up from the zoo's row of NAME: merged where the TYPE is the same, else replaced."""
    own = dict(model_cfg[key])
    published = _zoo_row(model_cfg).model.get(key, {}) if model_cfg.NAME else {}
    return own if own.get("TYPE", published.get("TYPE")) != published.get("TYPE") else {**published, **own}


def check_network(cfg: "CfgNode") -> None:
    """Raises ConfigError where the network of a config cannot be built, or cannot take its clips; found on the meta device.

    A command calls it before it makes the folder of a run; build_model does in any case.
    """
    model_cfg = cfg.CONFIG.MODEL
    _check_clips({key: _section(model_cfg, key) for key in _COMPONENTS}, cfg.CONFIG)


def _check_clips(sections: Mapping[str, Mapping[str, Any]], config: "CfgNode") -> None:
    """Raises ConfigError where the network cannot take the clips of training, or the views of a test; a run without numbers tells."""
    import torch

    data, test = config.DATA, resolve_protocol(config)
    clips = {"training": (data.NUM_SEGMENT * data.CLIP_LEN, data.CROP_SIZE), "test": (test.clip_len, test.crop_size)}
    mistakes = []
    with torch.device("meta"):
        model = _assemble_on_meta(sections)
        for use, (num_frames, size) in clips.items():
            try:
                model(torch.empty(1, 3, num_frames, size, size))
            except UserError as error:
                mistakes.append(f"({use}) {error}")
            except RuntimeError as error:  # of a layer that no check of ours foresaw
                what = f"A clip of {num_frames} frames with {size} x {size} pixels does not pass through this network"
                mistakes.append(f"({use}) {what} ({error}); it must fit every layer. Change CONFIG.DATA.CLIP_LEN, the crop or the network.")
    if mistakes:
        raise ConfigError(mistakes)


def _assemble_on_meta(sections: Mapping[str, Mapping[str, Any]]) -> "Recognizer":
    """The network without numbers. Raises ConfigError for one that this machine's memory cannot hold."""
    remedy = "Lower WIDTH, DEPTH or the other numbers of CONFIG.MODEL.BACKBONE and HEAD."
    try:
        model = assemble(sections, num_classes=1).eval()
    except (RuntimeError, OverflowError) as error:
        raise ConfigError([f"The network of CONFIG.MODEL cannot be built ({error}); its layers must fit into memory. {remedy}"]) from error
    size, memory = sum(tensor.nbytes for tensor in model.state_dict().values()), usable_memory()
    if memory and size > memory:
        what = f"The network of CONFIG.MODEL takes {size / 2**30:,.0f} GiB for its parameters alone"
        raise ConfigError([f"{what}; this machine has {memory / 2**30:,.0f} GiB of memory. {remedy}"])
    return model


def _load(model: "Recognizer", model_cfg: "CfgNode") -> None:
    from vidrec.models.weights.imagenet import load_imagenet
    from vidrec.models.weights.load import load_weights
    from vidrec.models.weights.zoo import load_published

    if model_cfg.LOAD:
        load_weights(model, model_cfg.PRETRAINED_PATH, reset_head=model_cfg.RESET_HEAD)
    elif model_cfg.PRETRAINED:
        row, hashtag = _zoo_row(model_cfg), model_cfg.PRETRAINED if isinstance(model_cfg.PRETRAINED, str) else ""
        load_published(model, row.name, section=row.section, hashtag=hashtag, reset_head=model_cfg.RESET_HEAD)
    elif model_cfg.PRETRAINED_BASE:
        load_imagenet(model)
