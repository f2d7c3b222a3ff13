"""torch.compile of the call of a network."""

import os
import shutil
import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidrec.utils.errors import UserError


def compiled(network: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
    """The network as it is called: compiled when first used, for every new shape of clips again; '' leaves it as it is.

    The module itself stays what it was, and with it the names of its weights and what other callers of it get.

    Raises:
        UserError: inductor has no C++ compiler to work with.
    """
    if not backend:
        return network
    if backend == "inductor":
        _need_compiler()
    return torch.compile(network, backend=backend)


def _need_compiler() -> None:
    compiler = os.environ.get("CXX") or {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")
    if shutil.which(compiler.split()[0]) is None:
        raise UserError(
            f"CONFIG.TRAIN.COMPILE is inductor, which writes C++, and the compiler {compiler} is not found; it must be on PATH. "
            "Install g++, name another one in the environment variable CXX, or set CONFIG.TRAIN.COMPILE ''."
        )
