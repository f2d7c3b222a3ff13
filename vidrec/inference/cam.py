"""Where in time and space a network finds the evidence for a class: Grad-CAM on the maps of any of its layers.

Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017 (arXiv 1610.02391).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from vidrec.models.recognizer import Recognizer
from vidrec.utils.errors import UserError
from vidrec.utils.text import did_you_mean


class LayerMap(NamedTuple):
    """The size of a map that evidence was read from: (t, h, w) points of each clip."""

    name: str
    size: tuple[int, int, int]


class Cam(NamedTuple):
    """Evidence for one class in a batch of clips.

    Attributes:
        label: the class.
        logits: [B, K] float32, of the clips.
        evidence: [B, T, H, W] float32, at least 0, one value per pixel of every frame. All 0 where nothing speaks for the class.
        layers: what it was read from.
    """

    label: int
    logits: Tensor
    evidence: Tensor
    layers: tuple[LayerMap, ...]


def grad_cam(model: Recognizer, clips: Tensor, *, label: int | None = None, layers: Sequence[str] = ()) -> Cam:
    """Evidence for a class in every pixel of every frame.

    The maps of a layer are weighted by the gradient of the class's score (before softmax), summed over the positions of each map. Of a
    network that sees frame by frame these are the weights of each frame; of a 3-D network those of the clip. The weighted maps
    are brought to the clip's frames and pixels trilinearly, those of several layers (the two pathways of SlowFast) are added, and what
    speaks against the class is cut off. Since weights are summed and not averaged, the mean of the evidence before the cut is, for a
    head that averages and classifies, the score without its bias: maps of different sizes can be added, and clips compared.

    The network works in eval mode and float32, whatever mode, autocast or inference_mode surrounds the call; its parameters need no
    gradient, and keep the one they have.

    Args:
        clips: [B, 3, T, H, W], normalized.
        label: the class; None: the one with the highest mean logit.
        layers: names of modules whose outputs are maps [B, C, t, h, w], or [B * t, C, h, w]; (): those of `default_layers`.

    Raises:
        UserError: a layer is unknown, does not run, or has no extent in space; the scores are not finite.
    """
    names = tuple(dict.fromkeys(layers)) or default_layers(model)
    check_layers(model, names)
    with _computing_gradients(model, clips.device) as state:
        kept: dict[str, Any] = {}
        with ExitStack() as hooks:
            for name in names:
                hooks.callback(model.get_submodule(name).register_forward_hook(_keeper(name, kept)).remove)
            logits = functional_call(model, state, (_plain(clips.detach()).to(next(iter(state.values())).dtype),)).float()
        if not logits.isfinite().all():
            raise UserError("The scores of this clip are not finite; they must be numbers. Check the weights and the video.")
        maps = [(name, found) for name in names for found in _maps_of(name, kept, model)]
        label = int(logits.mean(0).argmax()) if label is None else label
        slopes = torch.autograd.grad(logits[:, label].sum(), [found for _, found in maps], allow_unused=True)
    evidence = clips.new_zeros((len(clips), *clips.shape[2:]), dtype=torch.float32)
    sizes = []
    for (name, found), slope in zip(maps, slopes, strict=True):
        part = _weighted(found.detach().float(), torch.zeros_like(found) if slope is None else slope.float(), len(clips))
        sizes.append(LayerMap(name, tuple(part.shape[1:])))
        evidence += F.interpolate(part[:, None], size=tuple(clips.shape[2:]), mode="trilinear", align_corners=False)[:, 0]
    return Cam(label, logits.detach(), evidence.relu_(), tuple(sizes))


def default_layers(model: Recognizer) -> tuple[str, ...]:
    """What the head pools: the neck's map, else the backbone's (both pathways of SlowFast); before linear layers, the last convolution's.

    Example: tpn -> ("neck",); i3d, slowfast -> ("backbone",); vgg16 -> ("backbone.stages.4.5",)
    """
    if model.backbone.last_map:
        return (f"backbone.{model.backbone.last_map}",)
    return ("backbone",) if isinstance(model.neck, nn.Identity) else ("neck",)


def check_layers(model: nn.Module, names: Sequence[str]) -> None:
    """Raises UserError for a name that no module has, with the closest ones."""
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            example = " or ".join(default_layers(model))
            raise UserError(
                f"The layer is {name!r}; it must be the name of a module of this network.{did_you_mean(name, known)} The layer before the "
                f"classifier is {example}."
            )


@contextmanager
def _computing_gradients(model: nn.Module, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """The network's numbers as tensors that need no gradient, within a place where gradients of activations flow."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            yield {name: _plain(tensor.detach()) for name, tensor in chain(model.named_parameters(), model.named_buffers())}
    finally:
        model.train(was_training)


def _plain(tensor: Tensor) -> Tensor:
    """A tensor that autograd may keep: a copy of one that was made in inference_mode."""
    return tensor.clone() if tensor.is_inference() else tensor


def _keeper(name: str, kept: dict[str, Any]) -> Callable:
    """A hook that keeps the layer's output and passes a copy on, since what follows may change its input in place.

    The first layer that is kept begins the graph: what lies before it costs no memory.
    """

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        several = isinstance(output, (list, tuple))
        found = list(output) if several else [output]
        kept[name] = found = [_begins_graph(x) if torch.is_tensor(x) and x.is_floating_point() else x for x in found]
        passed = [x.clone() if torch.is_tensor(x) else x for x in found]
        return type(output)(passed) if several else passed[0]

    return keep


def _begins_graph(x: Tensor) -> Tensor:
    return x if x.requires_grad else _plain(x.detach()).requires_grad_()


def _maps_of(name: str, kept: dict[str, Any], model: Recognizer) -> list[Tensor]:
    """The maps that a layer gave. Raises UserError where it has not run, or gave something else."""
    usual = default_layers(model)
    example = " or ".join(usual)
    if name not in kept:
        inside = [f"{name}.{child}" for child, _ in model.get_submodule(name).named_children()]
        within = f" It holds {', '.join(inside[:5])}." if inside else ""
        raise UserError(f"The layer is {name}, which is not called as a whole; it must be a module that is.{within} Or take {example}.")
    for found in kept[name]:
        if not torch.is_tensor(found) or found.dim() not in (4, 5) or found.shape[-1] * found.shape[-2] < 2:
            got = list(found.shape) if torch.is_tensor(found) else type(found).__name__
            remedy = "a layer before it, or larger frames" if name in usual else f"{example}, or a layer before it"
            raise UserError(f"The layer {name} gives {got}; it must give maps of more than one point of height and width. Take {remedy}.")
    return kept[name]


def _weighted(maps: Tensor, slopes: Tensor, num_clips: int) -> Tensor:
    """[B, C, t, h, w], or [B * t, C, h, w] of frames on their own -> [B, t, h, w], with the sign."""
    if maps.dim() == 5:
        return (slopes.sum(dim=(2, 3, 4), keepdim=True) * maps).sum(1)
    frames = (slopes.sum(dim=(2, 3), keepdim=True) * maps).sum(1).unflatten(0, (num_clips, -1))
    return frames * frames.shape[1]  # the score averages the frames: each has 1 / t of it
