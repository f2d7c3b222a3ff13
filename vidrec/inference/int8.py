"""Static quantization to int8 by torchao's PT2E: what it does to a network, and how much of it.

Activations are uint8 with one scale a tensor, calibrated by histograms; weights are int8 with one scale a channel.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from vidrec.inference.export import CAPTURED_BATCH, capture
from vidrec.inference.export_blame import first_line
from vidrec.utils.errors import UserError

QUANTIZER = "X86InductorQuantizer"
_CONVS, _LINEARS = ("aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.convolution"), ("aten.linear", "aten.addmm")


def check_int8_packages() -> None:
    """Raises UserError where torchao is not installed."""
    logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)  # torchao calls what torch 2.14 warns of, at its import
    try:
        import torchao.quantization.pt2e  # noqa: F401
    except ImportError as error:
        raise UserError(
            "--int8 needs torchao, which this environment lacks. Install what export needs with pip install 'vidrec[export]', or leave"
            " --int8 out."
        ) from error


@dataclass(frozen=True)
class Shares:
    """How much of a network computes in int8: convolutions and linear layers, by count and by multiply-adds of one clip."""

    convs: int
    convs_int8: int
    conv_macs: int
    conv_macs_int8: int
    linears: int
    linears_int8: int

    def as_dict(self) -> dict[str, Any]:
        share = self.conv_macs_int8 / self.conv_macs if self.conv_macs else 0.0
        return asdict(self) | {"conv_share": round(self.convs_int8 / max(1, self.convs), 4), "conv_macs_share": round(share, 4)}

    def __str__(self) -> str:
        """Example: `20 of 20 convolutions (100.0 % of their multiply-adds) and 1 of 1 linear layers in int8`"""
        share = 100 * self.conv_macs_int8 / max(1, self.conv_macs)
        convs = f"{self.convs_int8} of {self.convs} convolutions ({share:.1f} % of their multiply-adds)"
        return f"{convs} and {self.linears_int8} of {self.linears} linear layers in int8"


@dataclass(frozen=True)
class Quantized:
    """A quantized network, ready to be captured, its shares, and how many clips it was calibrated on."""

    module: nn.Module
    shares: Shares
    num_clips: int


def quantize(module: nn.Module, batches: Iterable[Tensor], *, reduce_range: bool = False) -> Quantized:
    """A network in int8, calibrated on its inputs.

    Args:
        module: in eval mode.
        batches: its inputs, each with at least CAPTURED_BATCH clips, all of one size.
        reduce_range: 7 bits of the activations, for CPUs without VNNI, whose int8 products overflow.

    Raises:
        UserError: the quantizer does not take this network, or none of its convolutions.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    inputs = iter(batches)
    first = next(inputs)
    program = capture(module, first[:CAPTURED_BATCH], strict=True)
    try:
        prepared = prepare_pt2e(program.module(), _quantizer(reduce_range))
        with torch.no_grad():
            prepared(first)
            num_clips = len(first)
            for batch in inputs:
                prepared(batch)
                num_clips += len(batch)
        converted = convert_pt2e(prepared)
    except Exception as error:  # torchao raises ValueError, RuntimeError, AssertionError and others for what it does not take
        raise UserError(
            f"torchao's {QUANTIZER} cannot quantize this network ({type(error).__name__}: {first_line(error)}); it takes networks of"
            " convolutions, linear layers, additions and pools. Export it without --int8."
        ) from error
    _drop_float_weights(converted)
    shares = count_shares(converted, first[:1])
    if not shares.convs_int8:
        raise UserError(
            f"torchao's {QUANTIZER} quantizes none of the {shares.convs} convolutions of this network; it takes 1-D and 2-D ones (a CPU has"
            " no int8 kernels for 3-D ones). Export it without --int8, or quantize a 2-D network."
        )
    return Quantized(converted, shares, num_clips)


def _quantizer(reduce_range: bool) -> Any:
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    return x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config(reduce_range=reduce_range))


def _drop_float_weights(converted: fx.GraphModule) -> None:
    """Removes what the graph does not use: the float weights, which conversion leaves beside the int8 ones."""
    used = {str(node.target) for node in converted.graph.nodes if node.op == "get_attr"}
    for name, _ in [*converted.named_parameters(), *converted.named_buffers()]:
        if name not in used:
            owner, _, leaf = name.rpartition(".")
            delattr(converted.get_submodule(owner), leaf)


def count_shares(converted: fx.GraphModule, example: Tensor) -> Shares:
    """What of a converted network computes in int8.

    Args:
        example: its input, one clip.
    """
    with torch.no_grad():
        ShapeProp(converted).propagate(example)
    convs = [node for node in converted.graph.nodes if _is(node, _CONVS)]
    linears = [node for node in converted.graph.nodes if _is(node, _LINEARS)]
    in_int8 = [node for node in convs if _computes_in_int8(node)]
    return Shares(
        convs=len(convs),
        convs_int8=len(in_int8),
        conv_macs=sum(map(_conv_macs, convs)),
        conv_macs_int8=sum(map(_conv_macs, in_int8)),
        linears=len(linears),
        linears_int8=sum(map(_computes_in_int8, linears)),
    )


def _is(node: fx.Node, names: tuple[str, ...]) -> bool:
    return node.op == "call_function" and str(node.target).rpartition(".")[0] in names


def _computes_in_int8(node: fx.Node) -> bool:
    """Whether input and weight both come straight from int8 values, which is what an int8 kernel replaces."""
    return all("dequantize" in str(source.target) for source in node.all_input_nodes[:2])


def _conv_macs(node: fx.Node) -> int:
    """Multiply-adds: each output value sums over a whole filter."""
    weight, output = node.all_input_nodes[1].meta["tensor_meta"].shape, node.meta["tensor_meta"].shape
    return math.prod(output) * math.prod(weight[1:])
