"""Seeds that depend on where in the run a number is drawn, and on nothing else."""

import hashlib
import random


def derive_seed(*parts: int) -> int:
    """A seed in [0, 2**64) that is the same for the same integers, in this order, on every machine and Python.

    Args:
        parts: what the randomness may depend on, such as (seed, epoch, step, rank); each in [-2**63, 2**63).

    Example: derive_seed(0, 1) -> 8118103383084794603; derive_seed(1, 0) -> 11967340547968660931
    """
    packed = b"".join(part.to_bytes(8, "little", signed=True) for part in parts)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little")


def seed_everything(seed: int) -> None:
    """Seeds the global generators of Python, numpy and torch (CPU and every CUDA device): initialization, dropout."""
    import numpy
    import torch

    random.seed(derive_seed(seed))
    numpy.random.seed(derive_seed(seed) % 2**32)
    torch.manual_seed(derive_seed(seed))
