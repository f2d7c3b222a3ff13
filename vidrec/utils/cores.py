"""How many CPU cores there are to share."""

import os


def usable_cores() -> int:
    """Cores that this process may run on; those of the machine where the system does not tell (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
