"""Memory that runs out: what was in play, and what to lower."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from vidrec.data.datasets import ClipBatch, EvalVideo
from vidrec.utils.errors import UserError

# How torch and the libraries below it say it where the error has no type of its own.
_WORDS = ("DefaultCPUAllocator", "not enough memory", "can't allocate memory", "Cannot allocate memory", "std::bad_alloc", "ALLOC_FAILED")
_TRAINING = (
    "Lower CONFIG.TRAIN.BATCH_SIZE (with CONFIG.TRAIN.ACCUMULATE raised as much the step stays the same), take CONFIG.TRAIN.PRECISION "
    "bf16, compute stages twice (CONFIG.TRAIN.CHECKPOINT_STAGES), or lower CONFIG.DATA.CLIP_LEN, NUM_SEGMENT or CROP_SIZE."
)
_TESTING = "Lower CONFIG.VAL.BATCH_SIZE (the scores do not depend on it), or take CONFIG.VAL.PRECISION bf16."


class OutOfMemory(UserError):
    """The device, or the machine, has no memory left for what the run does."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or on the machine."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(words in str(error) for words in _WORDS)


@contextmanager
def naming_batch(batches: Sequence[ClipBatch], *, precision: str, device: torch.device) -> Iterator[None]:
    """Turns an error of memory within into an OutOfMemory that names the batches of the step."""
    batch, frames, height, width = batches[0].clips.shape[:4]
    accumulated = f", {len(batches)} such batches accumulated" if len(batches) > 1 else ""
    what = f"training with {batch} clips of {frames} frames of {height} x {width} pixels per process{accumulated}, in {precision}"
    with _turning(what, device, _TRAINING):
        yield


@contextmanager
def naming_views(videos: Sequence[EvalVideo], *, views: int, device: torch.device) -> Iterator[None]:
    """The same for videos of which `views` views at a time enter the network."""
    shapes = [f"{video.views.positions.shape[1]} frames of {' x '.join(map(str, video.frames.shape[1:3]))} pixels" for video in videos[:1]]
    with _turning(f"testing with {views} views at a time, of {'; '.join(shapes)}", device, _TESTING):
        yield


@contextmanager
def _turning(what: str, device: torch.device, remedy: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise OutOfMemory(f"Memory ran out on {device} while {what}{_room(device)}. {remedy} The error was: {reason}") from error


def _room(device: torch.device) -> str:
    """How much the device has, and what this process holds of it; '' for the CPU."""
    if device.type != "cuda":
        return ""
    total = torch.cuda.get_device_properties(device).total_memory
    return f" ({total / 2**30:.1f} GiB in all, {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB held by this process at most)"
