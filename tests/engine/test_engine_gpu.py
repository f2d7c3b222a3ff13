"""What only a CUDA device shows: autocast, compiled networks, NCCL, copies beside the computing, and repeated bits."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.distributed as distributed
from test_engine_stepper import make_batch, make_stepper, state, train

from vidrec.engine.device import set_switches
from vidrec.engine.prefetch import prefetched
from vidrec.engine.stepper import StepOptions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none"),
]
CUDA = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def exact_products():
    set_switches(deterministic=False, tf32=False, autotune=False)
    yield
    set_switches(deterministic=False, tf32=True, autotune=False)


def on_cuda(**arguments):
    return make_stepper(device=CUDA, **arguments)


def difference(stepper, other):
    ours, theirs = state(stepper), state(other)
    return max(float((ours[name].cpu().float() - theirs[name].cpu().float()).abs().max()) for name in ours)


def test_fp32_on_cuda_trains_as_on_the_cpu():
    ours, right = on_cuda(), make_stepper()
    assert train(ours) == pytest.approx(train(right), abs=1e-4)
    assert difference(ours, right) < 1e-4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last_3d"])
def test_autocast_trains_as_fp32_but_for_rounding(precision, memory_format):
    ours, right = on_cuda(options=StepOptions(precision=precision, memory_format=memory_format)), on_cuda()
    assert train(ours) == pytest.approx(train(right), abs=2e-2)
    assert difference(ours, right) < 2e-2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_inductor_trains_as_without_it(precision):
    options = StepOptions(precision=precision)
    ours, right = on_cuda(options=replace(options, compile="inductor")), on_cuda(options=options)
    assert train(ours) == pytest.approx(train(right), abs=2e-2)
    assert difference(ours, right) < 2e-2


def test_recomputed_stages_give_the_same_statistics_and_take_less_memory():
    def peak(stepper):
        torch.cuda.reset_peak_memory_stats()
        train(stepper, steps=2, size=8, frames=16, pixels=64)
        return torch.cuda.max_memory_allocated()

    plain, recomputed = on_cuda(dropout=0.5), on_cuda(dropout=0.5, recomputed=(0, 1))
    assert peak(recomputed) < peak(plain)
    assert difference(recomputed, plain) < 1e-4


def test_one_process_with_nccl_trains_as_without(tmp_path):
    distributed.init_process_group("nccl", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        total = torch.full((3,), 2.0, device=CUDA)
        distributed.all_reduce(total)
        ours = on_cuda()
        ours.network = torch.nn.parallel.DistributedDataParallel(ours.model, device_ids=[0], gradient_as_bucket_view=True)
        ours._call = ours.network
        losses = train(ours)
    finally:
        distributed.destroy_process_group()
    right = on_cuda()
    assert total.tolist() == [2.0, 2.0, 2.0]
    assert losses == pytest.approx(train(right), abs=1e-5)
    assert difference(ours, right) < 1e-5


def pinned(index):
    batch = make_batch(index)
    return batch._replace(clips=batch.clips.pin_memory(), labels=batch.labels.pin_memory())


def test_prefetched_batches_come_in_order_and_whole():
    batches = [pinned(index) for index in range(5)]
    for ours, right in zip(prefetched(batches, CUDA), batches, strict=True):
        assert ours.clips.device == ours.labels.device == CUDA
        assert torch.equal(ours.clips.cpu(), right.clips) and torch.equal(ours.labels.cpu(), right.labels)


def test_copy_of_the_next_batch_runs_beside_the_computing():
    clips = torch.zeros(64, 32, 112, 112, 3, dtype=torch.uint8).pin_memory()
    batches = [pinned(0)._replace(clips=clips) for _ in range(3)]
    factor = torch.randn(8192, 8192, device=CUDA)

    def seconds(loader, work):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        begin.record()
        for batch in loader:
            batch.clips.to(CUDA, non_blocking=True)
            for _ in range(work):
                factor @ factor
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end)

    for loader in (batches, prefetched(batches, CUDA)):
        seconds(loader, 2)
    assert seconds(prefetched(batches, CUDA), 8) < seconds(batches, 8)


def test_two_deterministic_runs_give_the_same_bits():
    code = (
        "import os; os.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'\n"
        "import hashlib, torch; from test_engine_gpu import on_cuda; from test_engine_stepper import state, train\n"
        "from vidrec.engine.device import set_switches; set_switches(deterministic=True, tf32=True, autotune=True)\n"
        "from vidrec.engine.fixed_pools import fix_pools; from torch import nn\n"
        "stepper = on_cuda(dropout=0.5); stepper.model.stem.append(nn.MaxPool3d(2)); fix_pools(stepper.model)\n"
        "print(train(stepper, steps=5))\n"
        "print([hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest() for tensor in state(stepper).values()])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
