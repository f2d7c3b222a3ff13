"""How much memory this process has and had."""

import os
import resource
from typing import NamedTuple

import torch

MB = 2**20


class MemoryUse(NamedTuple):
    """MiB: resident in main memory now, and the most that torch held at once on the CUDA device (None without one)."""

    resident_mb: float
    cuda_peak_mb: float | None


def memory_use(device: torch.device) -> MemoryUse:
    """The memory of this process; does not wait for the device."""
    peak = torch.cuda.max_memory_allocated(device) / MB if device.type == "cuda" else None
    return MemoryUse(round(_resident() / MB, 1), None if peak is None else round(peak, 1))


def _resident() -> int:
    """Bytes; where the system has no /proc, the most so far."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
