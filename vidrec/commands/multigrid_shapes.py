"""What multigrid training will do, said and tried before it starts."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vidrec.utils.errors import ConfigError, UserError

if TYPE_CHECKING:
    from torch import nn

    from vidrec.data.multigrid import GridStep, Multigrid
    from vidrec.data.samplers import TrainSampler


def multigrid_text(multigrid: "Multigrid", sampler: "TrainSampler", *, num_epochs: int, num_frames: int, norm_clips: int) -> str:
    """Steps, learning rate and batches of every stage, one line each.

    Args:
        num_frames: of a full clip.
        norm_clips: over which BatchNorm takes its statistics; 0: those of all processes.
    """
    parts = f"parts of {norm_clips} clip{'' if norm_clips == 1 else 's'}" if norm_clips else "the clips of all processes"
    lines = [f"multigrid training; BatchNorm takes its statistics over {parts}:"]
    for first, last in multigrid.stages(num_epochs):
        batches = ", ".join(
            f"{sampler.batch_size * step.batch_scale} clips of {num_frames // step.shape.frame_step} x {step.shape.crop_size}^2"
            for step in multigrid.cycle(first)
        )
        count = sampler.steps_of(first)
        steps = f"{count} step{'' if count == 1 else 's'}"
        lines.append(f"  epochs {first + 1}-{last + 1}: {steps}, learning rate x {multigrid.lr_scale(first)}, {batches} per process")
    return "\n".join(lines)


def check_shapes(model: "nn.Module", multigrid: "Multigrid", *, batch_size: int, num_epochs: int, num_frames: int) -> None:
    """Lets the network pass a batch of every shape on the meta device, where nothing is computed.

    Args:
        batch_size: clips of the smallest batch.

    Raises:
        ConfigError: naming every shape that the network cannot take.
    """
    import torch
    from torch.func import functional_call

    state = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    mistakes = []
    for step in _shapes(multigrid, num_epochs):
        size = (batch_size * step.batch_scale, 3, num_frames // step.shape.frame_step, step.shape.crop_size, step.shape.crop_size)
        try:
            with torch.no_grad():
                functional_call(model, state, torch.empty(size, device="meta"))
        except (UserError, RuntimeError, ValueError) as error:
            mistakes.append(
                f"CONFIG.TRAIN.MULTIGRID needs clips of {size[2]} frames of {size[3]} x {size[4]} pixels, which the network cannot take "
                f"({str(error).splitlines()[0]}); use fewer LONG_CYCLE_EPOCH, a larger CONFIG.DATA.CLIP_LEN or CROP_SIZE, or no multigrid."
            )
    if mistakes:
        raise ConfigError(mistakes)


def _shapes(multigrid: "Multigrid", num_epochs: int) -> Iterator["GridStep"]:
    """The steps of all stages, each shape once."""
    yield from {step.shape: step for first, _ in multigrid.stages(num_epochs) for step in multigrid.cycle(first)}.values()
