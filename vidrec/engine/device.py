"""Switches of a whole process: kernels that are fast, or that give the same bits every time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vidrec.utils.errors import UserError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_FIXED_WORKSPACES = (":4096:8", ":16:8")
_NO_FIXED_FORM = "does not have a deterministic implementation"


def prepare_determinism() -> None:
    """Sets the workspace with which cuBLAS repeats itself; before CUDA starts, and for the processes that this one starts.

    Raises:
        UserError: the environment has another one.
    """
    found = os.environ.setdefault(_WORKSPACE, _FIXED_WORKSPACES[0])
    if found not in _FIXED_WORKSPACES:
        raise UserError(
            f"The environment variable {_WORKSPACE} is {found!r}; with CONFIG.TRAIN.DETERMINISTIC it must be "
            f"{' or '.join(_FIXED_WORKSPACES)}. Unset it, or set the key False."
        )


def set_switches(*, deterministic: bool, tf32: bool, autotune: bool) -> None:
    """Chooses kernels for this process.

    Args:
        deterministic: only those that give the same bits in every run; an operator without one raises, see `naming_operators`.
        tf32: CUDA devices may shorten the factors of float32 products and convolutions to 10 bits of mantissa.
        autotune: cuDNN tries its kernels on every new shape and keeps the fastest; the choice may differ from run to run.
    """
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = autotune and not deterministic
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32


@contextmanager
def naming_operators() -> Iterator[None]:
    """Where an operator without a deterministic form ends in a UserError with its name."""
    try:
        yield
    except RuntimeError as error:
        if _NO_FIXED_FORM not in str(error):
            raise
        operator = str(error).split(_NO_FIXED_FORM)[0].split()[-1]
        raise UserError(
            f"CONFIG.TRAIN.DETERMINISTIC is True and the operator {operator} has no deterministic form on this device; every operator "
            "of the network must have one. Set the key False, train on another device, or take a network without that operator."
        ) from error
