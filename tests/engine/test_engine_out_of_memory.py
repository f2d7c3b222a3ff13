"""Memory that runs out is said with what was in play, by a real failure of the allocator."""

import subprocess
import sys

import pytest
import torch
from process_runs import ENVIRONMENT

from vidrec.data.datasets import ClipBatch
from vidrec.engine.out_of_memory import OutOfMemory, is_out_of_memory, naming_batch

CHILD = """
import resource, torch
from engine_toy import MEAN, STD, ToyNet, ToyVideos
from vidrec.data.datasets import ClipBatch
from vidrec.engine.out_of_memory import OutOfMemory, naming_batch
from vidrec.engine.stepper import Stepper
model = ToyNet(0.0, False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
stepper = Stepper(model=model, optimizer=optimizer, device=torch.device("cpu"), seed=0, mean=MEAN, std=STD)
batches = [ClipBatch(torch.zeros(24, 16, 112, 112, 3, dtype=torch.uint8), torch.zeros(24, dtype=torch.int64), torch.arange(24), [])] * 2
now = 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1])
resource.setrlimit(resource.RLIMIT_AS, (now + 80_000_000, now + 80_000_000))
try:
    with naming_batch(batches, precision="fp32", device=stepper.device):
        stepper.step(batches, epoch=0, step=0)
except OutOfMemory as error:
    print(error)
"""


def test_a_training_step_for_which_memory_is_short_names_batch_clip_and_remedy():
    folder = __file__.rsplit("/", 1)[0]
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(
        "Memory ran out on cpu while training with 24 clips of 16 frames of 112 x 112 pixels per process, 2 such batches accumulated, in "
        "fp32. Lower CONFIG.TRAIN.BATCH_SIZE (with CONFIG.TRAIN.ACCUMULATE"
    ), done.stderr
    assert "The error was: " in done.stdout


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("std::bad_alloc"), False),
    ],
)
def test_is_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


def test_other_errors_pass_as_they_are():
    batch = ClipBatch(torch.zeros(1, 2, 4, 4, 3), torch.zeros(1), torch.zeros(1), [])
    with pytest.raises(RuntimeError, match="shapes") as raised, naming_batch([batch], precision="bf16", device=torch.device("cpu")):
        raise RuntimeError("shapes do not fit")
    assert not isinstance(raised.value, OutOfMemory)
