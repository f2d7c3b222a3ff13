"""Convolutions on the meta device that torch.jit's tracer sees, for fvcore to count.

On the meta device PyTorch's own ends in a Python function that fails on the sizes of a traced tensor, and what the tracer would record
below it has no shapes in every version (none in 2.11). This one is an operator of its own that only tells the shape, or that there is none.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

NAME = "vidrec::convolution"
_LIBRARY = torch.library.Library("vidrec", "FRAGMENT")
_LIBRARY.define("convolution(Tensor x, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, int groups) -> Tensor")


def _output(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> torch.Tensor:
    around = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    sides = [(side + 2 * pad - apart * (kernel - 1) - 1) // step + 1 for side, kernel, step, pad, apart in around]
    if min(sides) < 1:
        raise RuntimeError(f"a kernel of {list(weight.shape[2:])} does not fit into {list(x.shape[2:])} with a padding of {list(padding)}")
    return x.new_empty([x.shape[0], weight.shape[0], *sides])


_LIBRARY.impl("convolution", _output, "Meta")


class TraceableConvolutions(TorchFunctionMode):
    """Within it, convolutions are calls of NAME. Only tensors on the meta device can pass."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        dims = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}.get(func)
        return func(*args, **(kwargs or {})) if dims is None else _call(dims, *args, **(kwargs or {}))


def _call(
    dims: int,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    sizes = [[size] * dims if isinstance(size, int) else list(size) for size in (stride, padding, dilation)]
    return torch.ops.vidrec.convolution(x, weight, bias, *sizes, groups)


def multiply_adds(inputs: list[Any], outputs: list[Any]) -> int:
    """Of a call, from fvcore's graph: for each position of the output, of each clip, one for each weight."""
    batch, _, *sides = outputs[0].type().sizes()
    return batch * math.prod(inputs[1].type().sizes()) * math.prod(sides)


def activations(inputs: list[Any], outputs: list[Any]) -> int:
    """The elements that a call puts out."""
    return math.prod(outputs[0].type().sizes())
