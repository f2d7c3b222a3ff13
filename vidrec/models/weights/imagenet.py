"""ImageNet weights of torchvision's 2-D networks as a start for ours."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from vidrec.models.weights.inflate import inflate
from vidrec.models.weights.load import LoadReport, put
from vidrec.models.weights.names import from_reference
from vidrec.utils.errors import WeightsError
from vidrec.utils.say import say

# Of the values in [0, 1] that enter a network: what these networks take, and what GoogLeNet and Inception v3 were trained with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_OTHER_MEAN, _OTHER_STD = 0.5, 0.5


class _Parent(NamedTuple):
    """How a 2-D network's file is read.

    Args:
        layout: of its names.
        unused: how the names of its classifiers begin.
        own_scale: its first layer expects inputs of another mean and standard deviation.
    """

    layout: str
    unused: tuple[str, ...]
    own_scale: bool = False


_RESNET = _Parent("resnet_v1b", ("fc.",))
_PARENTS = {
    "googlenet": _Parent("torchvision/googlenet", ("fc.", "aux1.", "aux2."), own_scale=True),
    "inception_v3": _Parent("torchvision/inception_v3", ("fc.", "AuxLogits."), own_scale=True),
    "vgg16": _Parent("torchvision/vgg16", ("classifier.6.",)),
}


def load_imagenet(model: nn.Module) -> LoadReport | None:
    """Starts a Recognizer's backbone from the 2-D network of the same depth, inflated where the network is 3-D.

    The classifier and non-local blocks keep their fresh values. A family that is trained from scratch (SlowFast) keeps all
    of them, said in the log, and None is returned.

    Raises:
        WeightsError: when no 2-D network has this depth and width, or its file is neither here nor can be fetched.
    """
    backbone = model.backbone
    if backbone.parent_2d is None:
        say(f"weights: {type(backbone).__name__} starts from scratch; there is no 2-D network to start it from")
        return None
    if not backbone.parent_2d:
        raise WeightsError(
            f"CONFIG.MODEL.PRETRAINED_BASE is True, and this {type(backbone).__name__} has no 2-D parent of its depth and width; ImageNet "
            "weights exist for the published sizes (ResNet 18, 34, 50, 101 and 152 of width 64, and VGG-16). Set "
            "CONFIG.MODEL.PRETRAINED_BASE False to train from scratch."
        )
    source, state = _fetch(backbone.parent_2d)
    parent, targets = _PARENTS.get(backbone.parent_2d, _RESNET), model.state_dict()
    state = {name: tensor for name, tensor in state.items() if not name.startswith(parent.unused)}
    kernels, unexplained = from_reference(state, parent.layout)
    if parent.own_scale:
        kernels |= rescale_stem(kernels)
    fitted = {name: inflate(tensor, targets[name].shape) if name in targets else tensor for name, tensor in kernels.items()}
    fresh = [name for name in targets if not name.startswith("backbone.") or ".after." in name]
    inflated = tuple(name for name, tensor in fitted.items() if tensor.shape != kernels[name].shape)
    report = put(model, fitted, source=source, layout=parent.layout, fresh=fresh, unexplained=unexplained)
    report = replace(report, reshaped=inflated)
    say(str(report))
    return report


def rescale_stem(kernels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The first unit of an Inception network for inputs of ImageNet's mean and standard deviation, which all our networks take.

    torchvision's GoogLeNet and Inception v3 bring such inputs to mean and deviation 0.5 before their first layer. That is a
    scale of each input channel, which goes into the kernel, and a constant, which goes into the BatchNorm's mean. Exact where
    the first convolution is not padded (Inception v3); GoogLeNet's pads with 3 pixels, along which it sees gray instead of
    ImageNet's mean color.
    """
    weight, mean = kernels["backbone.stem.0.conv.weight"], kernels["backbone.stem.0.norm.running_mean"]
    scale = (torch.tensor(_STD) / _OTHER_STD).view(1, 3, 1, 1)
    offset = ((torch.tensor(_MEAN) - _OTHER_MEAN) / _OTHER_STD).view(1, 3, 1, 1)
    return {
        "backbone.stem.0.conv.weight": weight * scale,
        "backbone.stem.0.norm.running_mean": mean - (weight * offset).sum(dim=(1, 2, 3)),
    }


def _fetch(parent: str) -> tuple[str, dict[str, torch.Tensor]]:
    """(file name, state dict) of torchvision's first ImageNet weights, which the published video networks started from."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(parent).IMAGENET1K_V1
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        return place.name, weights.get_state_dict(progress=False, check_hash=not place.exists(), map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(
            f"the ImageNet weights {place.name} are not in {place.parent}, and {weights.url} cannot be reached ({error}). Put the file "
            "there, or set CONFIG.MODEL.PRETRAINED_BASE False to train from scratch."
        ) from error
    except Exception as error:  # a damaged file can break the unpickler in any way; it is always the file's fault
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{place} cannot be read ({reason[:120]}); it must be the whole file of {weights.url}. Delete it and get it again."
        ) from error
