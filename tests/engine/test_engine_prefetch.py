"""Batches on the device before they are asked for."""

import torch
from test_engine_stepper import make_batch

from vidrec.engine.prefetch import prefetched


def test_batches_on_a_cpu_are_those_of_the_loader():
    batches = [make_batch(index) for index in range(3)]
    assert prefetched(batches, torch.device("cpu")) is batches
