"""What quantizing a network costs and brings: decisions, logits, and seconds."""

import operator
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vidrec.engine.averages import ViewAverage
from vidrec.inference.export import Run
from vidrec.inference.export_blame import first_line

WARM_UP = 3  # passes before the measured ones


@dataclass(frozen=True)
class Agreement:
    """Of two networks on videos, a float one and the int8 one made from it.

    Attributes:
        videos: counted.
        top1_float, top1_int8: share of right decisions; of a video with several labels each is right.
        same_top1: share of videos on which both decide the same.
        rms_over_std, largest_over_std: of the difference of all logits, means of the views, over the standard deviation of the float ones.
    """

    videos: int
    top1_float: float
    top1_int8: float
    same_top1: float
    rms_over_std: float
    largest_over_std: float


def agreement(
    of_float: Sequence[Tensor], of_int8: Sequence[Tensor], labels: Sequence[Sequence[int]], average: ViewAverage
) -> Agreement:
    """How far two networks agree.

    Args:
        of_float, of_int8: of each video the logits of its views, [v, K].
        labels: of each video its classes.
        average: from the views of a video to the score that decides, as a test of the network does it.
    """
    decided, decided_int8 = ([int(average.score(views).argmax()) for views in videos] for videos in (of_float, of_int8))
    logits, logits_int8 = (torch.stack([views.mean(0) for views in videos]) for videos in (of_float, of_int8))
    std, difference, count = logits.std().item() or 1.0, logits_int8 - logits, len(labels)
    return Agreement(
        videos=count,
        top1_float=sum(map(operator.contains, labels, decided)) / count,
        top1_int8=sum(map(operator.contains, labels, decided_int8)) / count,
        same_top1=sum(map(operator.eq, decided, decided_int8)) / count,
        rms_over_std=difference.square().mean().sqrt().item() / std,
        largest_over_std=difference.abs().max().item() / std,
    )


def compiled(module: nn.Module, example: Tensor) -> Run | str:
    """A network compiled by inductor with its weights frozen, or why that failed, in a line.

    torchao registers the patterns that turn int8 programs into int8 kernels; without it inductor computes them in float. Freezing as
    an option of torch.compile fails where those patterns match (torch 2.14), as a setting it does not.
    """
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer  # noqa: F401

    run = torch.no_grad()(torch.compile(module))
    try:
        with torch._inductor.config.patch(freezing=True):
            run(example)
    except (torch._dynamo.exc.TorchDynamoException, torch._inductor.exc.InductorError, RuntimeError) as error:
        return first_line(error)
    return run


def load_module(path: Path) -> nn.Module:
    """The module of a `.pt2` file."""
    import torch.ao.quantization.fx._decomposed  # registers the operators of int8 programs

    with open(path, "rb") as file:
        return torch.export.load(file).module()


def latencies(runs: Mapping[str, Run], clip: Tensor, rounds: int) -> dict[str, float]:
    """Milliseconds that each network takes for one input: the median of `rounds`.

    The networks take turns, so that what else the machine does disturbs all of them alike.
    """
    for run in runs.values():
        for _ in range(WARM_UP):
            run(clip)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run(clip)
            seconds[name].append(time.perf_counter() - started)
    return {name: round(1000 * statistics.median(values), 3) for name, values in seconds.items()}
