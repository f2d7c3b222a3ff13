"""The device and the software that figures were measured with."""

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def machine_facts(device: "torch.device") -> dict[str, Any]:
    """What a reader needs to judge figures: device, threads, versions, date, and how busy the machine was."""
    import torch

    import vidrec

    return {
        "device": device_name(device),
        "device_type": device.type,
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 1),
        "torch": str(torch.__version__),
        "vidrec": vidrec.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def device_name(device: "torch.device") -> str:
    """Example: `NVIDIA H100 80GB HBM3`, `AMD EPYC (AVX512, AVX512-BF16)`"""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line) if info.exists() else {}
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    halves = [name for flag, name in (("avx512_bf16", "AVX512-BF16"), ("amx_bf16", "AMX-BF16")) if flag in flags]
    kernels = ", ".join([torch.backends.cpu.get_cpu_capability(), *halves])
    return f"{fields.get('model name') or platform.processor() or platform.machine()} ({kernels})"
