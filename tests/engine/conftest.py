"""What every test of the engine runs in."""

from collections.abc import Iterator

import pytest
import torch

from vidrec.engine.log import close_logging


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, so that sums come out in one order everywhere, and no log left open."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    close_logging()
