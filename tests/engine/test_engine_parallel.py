"""Two processes (gloo) with every option of DistributedDataParallel train as one process with all clips."""

from collections import Counter

import pytest
import torch
import torch.distributed as distributed
from test_engine_stepper import Network, make_batch, make_stepper, state
from torch import nn

from vidrec.engine.parallel import ParallelOptions, unused_parameters
from vidrec.engine.stepper import StepOptions

STEPS = 3


class Part(Network):
    """With a layer that no gradient reaches."""

    def __init__(self, dropout=0.0):
        super().__init__(dropout)
        self.idle = nn.Linear(2, 2)


def held_norms(stepper):
    """Training by running statistics: those of a batch are of the clips of one process only, and would differ."""
    stepper.model.train()
    for part in (stepper.model.stem, stepper.model.stages[0]):
        part[1].eval()
    return stepper


CASES = {
    "plain": {},
    "no bucket view": {"parallel": {"bucket_view": False}},
    "static graph": {"parallel": {"static_graph": True}},
    "find unused": {"parallel": {"find_unused": True}, "network": Part},
    "bf16 compression": {"parallel": {"compression": "bf16"}},
    "accumulated": {"batches_per_step": 2},
    "recomputed": {"recomputed": (0, 1)},
    "recomputed static graph": {"recomputed": (0, 1), "parallel": {"static_graph": True}},
    "aot_eager": {"options": {"compile": "aot_eager"}},
    "bf16 channels_last_3d": {"options": {"precision": "bf16", "memory_format": "channels_last_3d"}},
}


def run_case(parallel=None, options=None, **arguments):
    """A stepper that has taken STEPS steps with this process's share of the clips."""
    options = StepOptions(parallel=ParallelOptions(**parallel or {}), **options or {})
    stepper = held_norms(make_stepper(options=options, **arguments))
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    for step in range(STEPS):
        batches = [make_batch(step * stepper.batches_per_step + place) for place in range(stepper.batches_per_step)]
        shares = [batch._replace(clips=batch.clips[rank::world], labels=batch.labels[rank::world]) for batch in batches]
        stepper.step(shares, epoch=0, step=step)
    return stepper


def in_process(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save({name: state(run_case(**case)) for name, case in CASES.items()}, f"{folder}/{rank}.pth")
    torch.save(count_reductions(), f"{folder}/reductions_{rank}.pth")
    distributed.destroy_process_group()


def count_reductions():
    """Sends of gradients in a step of three batches."""
    stepper, counts = held_norms(make_stepper(batches_per_step=3)), Counter()

    def count(_, bucket):
        counts["sent"] += 1
        return distributed.all_reduce(bucket.buffer().div_(2), async_op=True).get_future().then(lambda done: done.value()[0])

    stepper.network.register_comm_hook(None, count)
    stepper.step([make_batch(place) for place in range(3)], epoch=0, step=0)
    return counts["sent"]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(in_process, (str(folder),), nprocs=2)
    files = (folder / "0.pth", folder / "1.pth", folder / "reductions_0.pth")
    first, second, sent = (torch.load(file, weights_only=True) for file in files)
    return [first, second], sent


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one_with_all_clips(two_processes, name):
    ours, (first, second) = state(run_case(**CASES[name])), [part[name] for part in two_processes[0]]
    tolerance = 2e-2 if "bf16" in name else 1e-5
    assert set(ours) == set(first)
    for key, tensor in ours.items():
        assert torch.equal(first[key], second[key]), key
        assert torch.allclose(first[key], tensor, rtol=0, atol=tolerance), key


def test_gradients_of_a_step_are_sent_once_however_many_batches_it_has(two_processes):
    assert two_processes[1] == 1


def test_parameters_that_no_gradient_reaches_are_found_without_numbers():
    assert unused_parameters(Network(), (2, 3, 4, 8, 8)) == []
    model = Part()
    assert unused_parameters(model, (2, 3, 4, 8, 8)) == ["idle.weight", "idle.bias"]
    model.idle.weight.requires_grad_(False)
    assert unused_parameters(model, (2, 3, 4, 8, 8)) == ["idle.bias"]
    assert all(parameter.grad is None for parameter in model.parameters())
