"""What any layer of a network gives, by the layer's name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from vidrec.engine.on_meta import run_on_meta
from vidrec.utils.errors import UserError
from vidrec.utils.text import close_matches

POOLED = "head.pool"  # no layer but what the head makes of the features: the vector that the classifier, or its hidden layers, get


class Layer(NamedTuple):
    """A layer of a network.

    Attributes:
        name: as `named_modules` has it.
        kind: its class.
        shape: of what it gives for one clip, as `canonical` brings it: (D,) or (C, T, H, W); () where it gives nothing such.
        calls: how often it runs in one forward.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    calls: int


def list_layers(model: nn.Module, clip_shape: tuple[int, int, int]) -> list[Layer]:
    """The layers of a network in the order in which they end, POOLED first; those that never run are left out.

    Args:
        clip_shape: (frames, height, width).
    """
    pooled = Layer(POOLED, "pooled vector", _pooled_shape(model, clip_shape), 1)
    found: dict[str, Layer] = {}

    def note(name: str, module: nn.Module, outputs: Any) -> None:
        calls = found[name].calls if name in found else 0
        found[name] = Layer(name, type(module).__name__, _shape(outputs), calls + 1)

    hooks = [
        module.register_forward_hook(lambda module, _, outputs, name=name: note(name, module, outputs))
        for name, module in model.named_modules()
        if name
    ]
    try:
        with _ending(model, features=False):
            run_on_meta(model, (1, 3, *clip_shape))
    finally:
        for hook in hooks:
            hook.remove()
    return [pooled, *found.values()]


def find_layer(layers: list[Layer], name: str) -> Layer:
    """The layer of a name. Raises UserError, with the closest names, where there is none, or where it gives no one tensor."""
    names = [layer.name for layer in layers]
    if name not in names:
        inside = [each for each in names if each.endswith(f".{name}")][:3]
        close = inside or close_matches(name, names, count=5) or _with_close_end(name, names) or names[:5]
        raise UserError(
            f"--layer is {name!r}, and no layer of the network that runs has this name; the closest are {', '.join(close)}."
            " Take one of the names that --list-layers shows."
        )
    layer = layers[names.index(name)]
    if layer.calls > 1:
        raise UserError(
            f"--layer {name} runs {layer.calls} times in a forward, so that it has no one output; a layer that runs once is wanted."
            " Take the layer before or after it, or the block that holds it (--list-layers)."
        )
    if not layer.shape:
        raise UserError(
            f"--layer {name} ({layer.kind}) gives no one vector or map for a clip; a layer that gives one tensor is wanted."
            " Take a layer inside it (--list-layers)."
        )
    return layer


def _with_close_end(name: str, names: list[str]) -> list[str]:
    """The names whose last parts, as many as `name` has, are most like it. Example: stage.3 -> backbone.stages.3 and others"""
    parts, whole = name.count(".") + 1, {}
    for each in names:
        whole.setdefault(".".join(each.split(".")[-parts:]), each)
    return [whole[end] for end in close_matches(name, whole, count=3)]


def layer_output(model: nn.Module, name: str, clips: Tensor) -> Tensor:
    """What a layer gives for clips [B, 3, T, H, W]: [B, D], or [B, C, T, H, W] of a map; see `canonical`.

    The forward ends there, which saves the rest of it and keeps layers that work in place from changing what was found.
    """
    if name == POOLED:
        with _ending(model, features=True):
            return model(clips)

    def reached(module: nn.Module, inputs: Any, outputs: Any) -> None:
        raise _Reached(outputs)

    hook = model.get_submodule(name).register_forward_hook(reached)
    try:
        with _ending(model, features=False):
            model(clips)
    except _Reached as found:
        return canonical(found.outputs, len(clips))
    finally:
        hook.remove()
    raise RuntimeError(f"the layer {name} did not run")


def canonical(outputs: Any, batch: int) -> Tensor:
    """One tensor of one of two forms: vectors [B, D], or maps [B, C, T, H, W].

    Maps [B * T, C, H, W] and vectors [B * T, C] of networks that see frames on their own are put together to those of clips, and a
    sequence [B, N, C] becomes a map [B, C, N, 1, 1].

    Raises:
        ValueError: it is no such tensor.
    """
    if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
        outputs = outputs[0]
    if not isinstance(outputs, Tensor) or not 2 <= outputs.dim() <= 5 or len(outputs) % batch:
        raise ValueError("the layer gives no one tensor for the clips.")
    frames = len(outputs) // batch
    if outputs.dim() == 5 and frames == 1:
        return outputs
    if outputs.dim() == 4:
        return outputs.unflatten(0, (batch, frames)).transpose(1, 2)  # [B * T, C, H, W] -> [B, C, T, H, W]
    if outputs.dim() == 3 and frames == 1:
        return outputs.transpose(1, 2)[..., None, None]  # [B, N, C] -> [B, C, N, 1, 1]
    if outputs.dim() == 2:
        vectors = outputs.unflatten(0, (batch, frames))  # [B, T, C]
        return vectors[:, 0] if frames == 1 else vectors.transpose(1, 2)[..., None, None]
    raise ValueError(f"the layer gives a tensor of {list(outputs.shape)} for {batch} clips.")


class _Reached(Exception):
    """Ends a forward where the wanted layer has run."""

    def __init__(self, outputs: Any):
        super().__init__()
        self.outputs = outputs


def _shape(outputs: Any) -> tuple[int, ...]:
    try:
        return tuple(canonical(outputs, 1).shape[1:])
    except ValueError:
        return ()


def _pooled_shape(model: nn.Module, clip_shape: tuple[int, int, int]) -> tuple[int, ...]:
    shapes: list[tuple[int, ...]] = []
    hook = model.register_forward_hook(lambda module, inputs, outputs: shapes.append(_shape(outputs)))
    try:
        with _ending(model, features=True):
            run_on_meta(model, (1, 3, *clip_shape))
    finally:
        hook.remove()
    return shapes[0]


@contextmanager
def _ending(model: nn.Module, *, features: bool) -> Iterator[None]:
    """A Recognizer that ends with the pooled vector, or with scores; then as it was before."""
    kept, model.features_only = model.features_only, features
    try:
        yield
    finally:
        model.features_only = kept

