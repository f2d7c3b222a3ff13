"""What a step or a forward pass takes: time, memory, and the share of what the device can do."""

import ctypes
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn, optim
from torch.utils.flop_counter import FlopCounterMode

from vidrec.engine.on_meta import run_on_meta
from vidrec.engine.precision import PrecisionName, autocast
from vidrec.engine.stepper import Stepper

SECTIONS = {"inputs": "copy", "forward": "forward", "backward": "backward", "update": "optimizer"}  # methods of the Stepper
_PRODUCT_SIZE = {"cpu": 2048, "cuda": 8192}  # rows and columns; large enough for the best that the device can do


def synchronize(device: torch.device) -> None:
    """Waits until a device has done what it was given; on a CPU that is always so."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class SectionClock:
    """Adds up the seconds of the parts of a stepper's steps, waiting for the device after each."""

    def __init__(self, stepper: Stepper):
        self.seconds: dict[str, float] = defaultdict(float)
        self._stepper = stepper

    def __enter__(self) -> "SectionClock":
        for method, section in SECTIONS.items():
            setattr(self._stepper, method, self._timed(getattr(self._stepper, method), section))
        return self

    def __exit__(self, *_: object) -> None:
        for method in SECTIONS:
            delattr(self._stepper, method)

    def _timed(self, method: Callable[..., Any], section: str) -> Callable[..., Any]:
        def timed(*args: Any, **keywords: Any) -> Any:
            started = time.perf_counter()
            result = method(*args, **keywords)
            synchronize(self._stepper.device)
            self.seconds[section] += time.perf_counter() - started
            return result

        return timed


def training_flops(model: nn.Module, clip_shape: Sequence[int]) -> int:
    """Floating-point operations of the forward and backward pass of one clip [3, T, H, W]; a multiply-add counts 2.

    Counted on the meta device: convolutions and products, as torch's counter has them. What is computed twice to save memory counts once.
    """
    return _count(model, clip_shape, backward=True)


def inference_flops(model: nn.Module, clip_shape: Sequence[int]) -> int:
    """The same of a forward pass alone."""
    return _count(model, clip_shape, backward=False)


def _count(model: nn.Module, clip_shape: Sequence[int], *, backward: bool) -> int:
    with FlopCounterMode(display=False) as counter:
        run_on_meta(model, (1, *clip_shape), backward=backward)
    return counter.get_total_flops()


def product_flops_per_s(device: torch.device, precision: PrecisionName, *, size: int = 0, repeats: int = 1) -> float:
    """Floating-point operations per second of a product of two square matrices, the median of some, after one to warm up.

    Seconds are the process's own on a CPU, of all its threads: another program's share of the machine is not part of them.
    """
    size, clock = size or _PRODUCT_SIZE[device.type], time.process_time if device.type == "cpu" else time.perf_counter
    left, right = (torch.randn(size, size, device=device) for _ in range(2))
    seconds = []
    with torch.inference_mode(), autocast(precision, device):
        if precision != "fp32":
            left, right = (factor.to(torch.get_autocast_dtype(device.type)) for factor in (left, right))
        for _ in range(repeats + 1):
            started = clock()
            left @ right
            synchronize(device)
            seconds.append(clock() - started)
    return 2 * size**3 / statistics.median(seconds[1:])


class PeakMemory:
    """The most memory in use since `reset`, in bytes: of torch on a CUDA device, of the whole process on a CPU (Linux only, else 0)."""

    def __init__(self, device: torch.device):
        self._device = device

    def reset(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        elif Path("/proc/self/clear_refs").exists():
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; without it what was freed stays in the resident set
            if trim is not None:
                trim(0)
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak of the resident set

    def read(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        status = Path("/proc/self/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def held_bytes(model: nn.Module, optimizer: optim.Optimizer) -> int:
    """Bytes of weights, statistics, gradients and the optimizer's state."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers(), *gradients, *states))
