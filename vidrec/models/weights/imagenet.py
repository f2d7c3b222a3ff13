"""ImageNet weights of torchvision's 2-D ResNets as a start for ours."""

import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from vidrec.models.weights.inflate import inflate
from vidrec.models.weights.load import LoadReport, put
from vidrec.models.weights.names import from_reference
from vidrec.utils.errors import WeightsError

_log = logging.getLogger("vidrec")


def load_imagenet(model: nn.Module) -> LoadReport | None:
    """Starts a Recognizer's backbone from the 2-D network of the same depth, inflated where the network is 3-D.

    The classifier and non-local blocks keep their fresh values. A family that is trained from scratch (SlowFast) keeps all
    of them, said in the log, and None is returned.

    Raises:
        WeightsError: when no 2-D network has this depth and width, or its file is neither here nor can be fetched.
    """
    backbone = model.backbone
    if backbone.parent_2d is None:
        _log.info("weights: %s starts from scratch; there is no 2-D network to start it from", type(backbone).__name__)
        return None
    if not backbone.parent_2d:
        raise WeightsError(
            f"CONFIG.MODEL.PRETRAINED_BASE is True, and this {type(backbone).__name__} has no 2-D parent of its depth and width; ImageNet "
            "weights exist for ResNet 18, 34, 50, 101 and 152 of width 64. Set CONFIG.MODEL.PRETRAINED_BASE False to train from scratch."
        )
    source, state = _fetch(backbone.parent_2d)
    targets = model.state_dict()
    named, _ = from_reference(state, "resnet_v1b")
    kernels = {name: tensor for name, tensor in named.items() if name.startswith("backbone.")}
    fitted = {name: inflate(tensor, targets[name].shape) if name in targets else tensor for name, tensor in kernels.items()}
    fresh = [name for name in targets if not name.startswith("backbone.") or ".after." in name]
    inflated = tuple(name for name, tensor in fitted.items() if tensor.shape != kernels[name].shape)
    report = replace(put(model, fitted, source=source, layout="resnet_v1b", fresh=fresh), reshaped=inflated)
    _log.info("%s", report)
    return report


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
