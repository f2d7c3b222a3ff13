"""A network as a file that runs without vidrec: captured by torch.export with any batch size, and compared with the network itself."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vidrec.data.transforms import normalize_clips
from vidrec.inference.export_blame import export_errors
from vidrec.utils.errors import UserError

BATCHES = (1, 3)  # of the comparison: one clip, and another number than the one that the network was captured with
NUM_COMPARED = sum(BATCHES)
CAPTURED_BATCH = 2
DROPPED = ("stack_trace", "from_node")  # of the nodes: paths of this machine, several times the size of the graph

Run = Callable[[Tensor], Tensor]  # of what was exported: its input -> [B, K]


class WithNormalization(nn.Module):
    """A network that takes pixels: [B, T, H, W, 3] uint8, as decoders give them, are normalized in the graph.

    Args:
        mean, std: RGB, of values in [0, 1].
    """

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1, 1))

    def forward(self, clips: Tensor) -> Tensor:
        pixels = clips.permute(0, 4, 1, 2, 3).to(torch.float32) / 255  # [B, T, H, W, 3] -> [B, 3, T, H, W]
        return self.model((pixels - self.mean) / self.std)


@dataclass(frozen=True)
class Exportable:
    """A network and what its input is.

    Attributes:
        model: on the CPU, in eval mode, fp32.
        mean, std: RGB, of values in [0, 1].
        takes_pixels: the exported input is uint8 pixels, normalized inside; else normalized clips.
    """

    model: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    takes_pixels: bool = False

    @property
    def module(self) -> nn.Module:
        """What is captured."""
        return WithNormalization(self.model, self.mean, self.std).eval() if self.takes_pixels else self.model

    def inputs(self, clips: Tensor) -> Tensor:
        """Its input for clips [B, T, H, W, 3] uint8: these, or [B, 3, T, H, W] float32."""
        return clips if self.takes_pixels else self.normalized(clips)

    def normalized(self, clips: Tensor) -> Tensor:
        return normalize_clips(clips, self.mean, self.std)

    @torch.no_grad()
    def logits(self, clips: Tensor) -> Tensor:
        """What the network itself gives for clips [B, T, H, W, 3] uint8. Raises UserError where that is not finite."""
        found = torch.cat([self.model(self.normalized(part)) for part in in_batches(clips)])
        if not torch.isfinite(found).all():
            raise UserError("The network gives scores that are not finite; its weights are damaged or have diverged. Use other weights.")
        return found


def in_batches(clips: Tensor) -> tuple[Tensor, ...]:
    """The four clips of a comparison as its batches, of one and of three."""
    return clips.split(list(BATCHES))


def capture(module: nn.Module, example: Tensor, *, strict: bool = False) -> ExportedProgram:
    """A network as a graph that takes any number of clips.

    Args:
        module: in eval mode.
        example: its input, CAPTURED_BATCH clips; all sizes but the first are fixed to those.
        strict: through TorchDynamo, as the quantizers of torchao want it.

    Raises:
        UserError: an operation of the network cannot be captured; names it and its module.
    """
    with export_errors(module, "torch.export"), torch.no_grad():
        return torch.export.export(module, (example,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=strict)


def without_traces(program: ExportedProgram) -> ExportedProgram:
    """The program, its nodes without the lines of Python that they come from."""
    for node in program.graph.nodes:
        for key in DROPPED:
            node.meta.pop(key, None)
    return program


def write_program(program: ExportedProgram, path: Path, *, facts: str) -> None:
    """Writes a program as a `.pt2` archive, which holds the facts as `vidrec.json` and no clips. Raises OSError."""
    program.example_inputs = None
    archive = io.BytesIO()  # not the file itself: on a full disk torch's writer ends the process
    torch.export.save(program, archive, extra_files={"vidrec.json": facts})
    path.write_bytes(archive.getbuffer())


def load_program(path: Path) -> Run:
    """Runs the program of a `.pt2` file on the CPU."""
    import torch.ao.quantization.fx._decomposed  # registers the operators of int8 programs

    with open(path, "rb") as file:
        program: Any = torch.export.load(file).module()
    return torch.no_grad()(program)


@dataclass(frozen=True)
class Difference:
    """Between an exported network and the one that it was made from.

    Attributes:
        largest: absolute, over all logits of all clips.
        rms: root mean square.
        std: of the logits of the network itself; where all are equal, their size, or 1.
    """

    largest: float
    rms: float
    std: float

    @property
    def over_std(self) -> float:
        return self.largest / self.std


def compare(run: Run, inputs: Tensor, logits: Tensor) -> Difference:
    """The largest difference of an exported network's outputs, in the batches of a comparison.

    Args:
        inputs: of four clips, as the exported network takes them.
        logits: [4, K], wanted for them.
    """
    outputs = torch.cat([run(part) for part in in_batches(inputs)])
    if outputs.shape != logits.shape:
        raise UserError(
            f"The exported network gives {list(outputs.shape)} for four clips and the network itself {list(logits.shape)}; they must be"
            " the same. Please report this network."
        )
    std, size = logits.std().item(), logits.abs().max().item()
    difference = outputs - logits
    return Difference(difference.abs().max().item(), difference.square().mean().sqrt().item(), std or size or 1.0)


def check_difference(difference: Difference, what: str, tolerance: float, *, in_int8: bool = False) -> None:
    """Raises UserError where a difference is larger than `tolerance` times the standard deviation of the logits, or not a number.

    Args:
        in_int8: the RMS is judged and not the largest: kernels round ties in their own ways, and 8 bits make single logits jump.
    """
    far, kind, flag = (difference.rms, "an RMS of", "--int8-tolerance") if in_int8 else (difference.largest, "up to", "--tolerance")
    if not far / difference.std <= tolerance:
        raise UserError(
            f"{what} differs from the network by {kind} {far:.3g}, {far / difference.std:.2g} of the logits' standard deviation"
            f" {difference.std:.3g}; at most {tolerance:.2g} of it is allowed. It was not written. Export with another --opset or --format,"
            f" or allow more with {flag}."
        )
