"""What a network costs for one clip: multiply-adds, activations (fvcore's counts) and parameters.

Everything is counted on the meta device, where tensors have shapes and no values: a network of 374 G multiply-adds takes a second.
"""

import math
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from vidrec.engine import meta_convolution
from vidrec.models.recognizer import Recognizer
from vidrec.utils.errors import UserError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # fvcore compiles a loss of its own with torch.jit.script
    from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

# What fvcore counts nothing for, though it computes: one pass over the elements, small beside the convolutions around it.
_POOLS = {f"{kind}_pool{dims}d" for kind in ("max", "avg", "adaptive_max", "adaptive_avg") for dims in (2, 3)}
CHEAP = {"add", "add_", "mul", "mul_", "sub", "div", "sum", "mean", "sigmoid", "softmax", "upsample_nearest3d", *_POOLS}
_MOVES_ONLY = ("aten::unflatten", "aten::movedim", "aten::select", "aten::numel")  # beside those that fvcore knows
_ATTENTION = "aten::scaled_dot_product_attention"


class PartCosts(NamedTuple):
    """The share of one part of the network, named by its modules' prefix."""

    name: str
    multiply_adds: int
    parameters: int
    activations: int


class Costs(NamedTuple):
    """What one clip costs.

    Args:
        multiply_adds: of convolutions, linear layers, attention, BatchNorm (2 per element) and adaptive 2-D average pools.
        parameters: elements of all parameters, a shared one once; `trainable`: of those that training changes.
        activations: elements that convolutions, linear layers and the products of an attention put out.
        parts: stem, stages, neck and head; they add up to the whole.
        uncounted: operator -> calls, for what has no multiply-adds in this count; shape changes and ReLU are left out.
    """

    multiply_adds: int
    parameters: int
    trainable: int
    activations: int
    parts: tuple[PartCosts, ...]
    uncounted: dict[str, int]

    @property
    def missed(self) -> list[str]:
        """Uncounted operators that are not known to be cheap; the count is too low by what they do."""
        return sorted(set(self.uncounted) - CHEAP)


def count_costs(model: Recognizer, *, num_frames: int, size: int) -> Costs:
    """The costs of one clip [1, 3, num_frames, size, size], in eval mode.

    Args:
        model: on the meta device; its mode is left as it was.
        size: height and width, pixels.

    Raises:
        UserError: the network cannot take such a clip.
    """
    was_training = model.training
    model.eval()
    try:
        clip = _fitting_clip(model, num_frames, size)
        with torch.no_grad(), meta_convolution.TraceableConvolutions():
            adds, activations = _analyze(FlopCountAnalysis, model, clip), _analyze(ActivationCountAnalysis, model, clip)
    finally:
        model.train(was_training)
    return Costs(
        multiply_adds=int(adds.total()),
        parameters=_count(model),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        activations=int(activations.total()),
        parts=tuple(_parts(model, adds.by_module(), activations.by_module())),
        uncounted={name.removeprefix("aten::"): calls for name, calls in sorted(adds.unsupported_ops().items())},
    )


def _fitting_clip(model: Recognizer, num_frames: int, size: int) -> torch.Tensor:
    """A clip that has passed through the network once, untraced, so that one that does not fit is told from a mistake in counting."""
    try:
        with torch.no_grad(), meta_convolution.TraceableConvolutions():
            clip = torch.empty(1, 3, num_frames, size, size, device="meta")
            model(clip)
    except (RuntimeError, TypeError, OverflowError) as error:
        raise UserError(
            f"A clip of {num_frames} frames with {size} x {size} pixels does not pass through this {_title(model)} ({error});"
            " it must leave every layer at least one step in time and space, and be no larger than a tensor can be."
            " Choose another number of frames or another size."
        ) from error
    return clip


def _title(model: Recognizer) -> str:
    neck = [] if isinstance(model.neck, nn.Identity) else [model.neck]
    return " + ".join(type(part).__name__ for part in [model.backbone, *neck, model.head])


def _analyze(analysis: Any, model: nn.Module, clip: torch.Tensor) -> Any:
    """A finished fvcore analysis, silent: what it does not count is in `unsupported_ops()`."""
    adds = analysis is FlopCountAnalysis
    counter = analysis(model, clip).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counter.set_op_handle(_ATTENTION, _attention_multiply_adds if adds else _attention_activations, **dict.fromkeys(_MOVES_ONLY))
    counter.set_op_handle(meta_convolution.NAME, meta_convolution.multiply_adds if adds else meta_convolution.activations)
    counter.total()
    return counter


def _attention_multiply_adds(inputs: list[Any], outputs: list[Any]) -> int:
    """Queries [..., N, E] times keys [..., M, E], and the weights [..., N, M] times values [..., M, V]."""
    batch, queries, keys, embedding = _attention_sizes(inputs)
    return batch * queries * keys * (embedding + inputs[2].type().sizes()[-1])


def _attention_activations(inputs: list[Any], outputs: list[Any]) -> int:
    """The outputs of both products, though a fused kernel does not keep the first one."""
    batch, queries, keys, _ = _attention_sizes(inputs)
    return batch * queries * (keys + inputs[2].type().sizes()[-1])


def _attention_sizes(inputs: list[Any]) -> tuple[int, int, int, int]:
    *batch, queries, embedding = inputs[0].type().sizes()
    return math.prod(batch), queries, inputs[1].type().sizes()[-2], embedding


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _parts(model: Recognizer, adds: dict[str, int], activations: dict[str, int]) -> Iterator[PartCosts]:
    """The parts that cost something, and what the modules around them do themselves as `NAME (rest)`."""
    for whole in ("backbone", "neck", "head"):
        module = model.get_submodule(whole)
        names = list(_part_names(whole, module)) if whole == "backbone" else [whole]
        parts = [PartCosts(name, int(adds[name]), _count(model.get_submodule(name)), int(activations[name])) for name in names]
        rest = (int(adds[whole]), _count(module), int(activations[whole]))
        rest = [total - sum(column) for total, column in zip(rest, list(zip(*parts, strict=True))[1:], strict=True)]
        yield from (part for part in [*parts, PartCosts(f"{whole} (rest)", *rest)] if any(part[1:]))


def _part_names(prefix: str, module: nn.Module) -> Iterator[str]:
    """The children of a backbone; lists of stages, and pathways with stages of their own, are opened."""
    for name, child in module.named_children():
        opened = isinstance(child, nn.ModuleList) or hasattr(child, "stages")
        yield from _part_names(f"{prefix}.{name}", child) if opened else [f"{prefix}.{name}"]
