"""BatchNorm over several processes, and precise statistics."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from two_processes import run_by_two

from vidrec.engine.precise_bn import renew_statistics
from vidrec.engine.sync_norm import HostSyncBatchNorm, sync_norms
from vidrec.models.layers.split_norm import split_norms
from vidrec.utils.errors import ConfigError


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [
        nn.Conv3d(3, 4, 1),
        nn.BatchNorm3d(4, eps=1e-3),
        nn.ReLU(),
        nn.Conv3d(4, 5, 1),
        nn.BatchNorm3d(5),
        nn.Flatten(),
        nn.Linear(40, 3),
    ]
    return nn.Sequential(*layers)


def clips(count: int) -> torch.Tensor:
    """[count, 3, 2, 2, 2], brighter from clip to clip, so that the halves of a batch differ."""
    return torch.randn(count, 3, 2, 2, 2, generator=torch.Generator().manual_seed(1)) + torch.arange(count).view(-1, 1, 1, 1, 1) / 2


def after_a_step(model: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients, statistics and output of one step."""
    wrapped = DistributedDataParallel(model) if torch.distributed.is_initialized() else model
    output = wrapped(batch)
    output.square().mean().backward()
    gradients = {f"gradient of {name}": parameter.grad for name, parameter in model.named_parameters()}
    return gradients | dict(model.named_buffers()) | {"output": output.detach()}


def synced_step(rank, folder):
    model = network()
    assert sync_norms(model) == 2
    assert [type(layer) for layer in model if hasattr(layer, "running_mean")] == [HostSyncBatchNorm] * 2
    return after_a_step(model, clips(8).chunk(2)[rank])


def test_two_processes_step_as_one_with_the_whole_batch(tmp_path):
    first, second = run_by_two(synced_step, tmp_path)
    whole = after_a_step(network(), clips(8))
    assert torch.allclose(torch.cat([first.pop("output"), second.pop("output")]), whole.pop("output"), atol=1e-6)
    for name, expected in whole.items():
        assert torch.equal(first[name], second[name]), name
        assert torch.allclose(first[name].float(), expected.float(), rtol=1e-4, atol=1e-6), name
    alone = after_a_step(network(), clips(8)[:4])
    assert not torch.allclose(alone["1.running_mean"], whole["1.running_mean"]), "the halves differ, so that the test could fail"


def test_one_process_keeps_its_layers():
    model = network()
    assert sync_norms(model) == 0
    assert type(model[1]) is nn.BatchNorm3d


def test_network_without_norms_is_a_mistake():
    with pytest.raises(ConfigError, match=r"CONFIG\.MODEL\.SYNC_BN is True; this network has no BatchNorm"):
        sync_norms(nn.Linear(2, 3))


def test_layer_in_eval_mode_uses_its_statistics():
    layer, plain = HostSyncBatchNorm(2).eval(), nn.BatchNorm3d(2).eval()
    layer.running_mean.fill_(0.5)
    plain.running_mean.fill_(0.5)
    x = torch.randn(2, 2, 1, 3, 3)
    assert torch.equal(layer(x), plain(x))


def test_statistics_are_those_of_the_batches_and_not_a_running_average():
    """Batches [0, 2] and [4, 6] of one channel: mean 3, variance 5."""
    norm = nn.BatchNorm3d(1, momentum=0.1)
    batches = [torch.tensor(values).view(2, 1, 1, 1, 1) for values in ([0.0, 2.0], [4.0, 6.0], [1e9, 1e9])]
    renew_statistics(norm, batches, num_batches=2)
    assert (norm.running_mean.item(), norm.running_var.item(), norm.momentum) == (3.0, 5.0, 0.1)


def test_layers_that_are_held_keep_their_statistics():
    model = network()
    model[1].eval()
    renew_statistics(model, [clips(4)], num_batches=1)
    assert torch.equal(model[1].running_mean, torch.zeros(4)) and not torch.equal(model[4].running_mean, torch.zeros(5))


def renewed(rank, folder):
    model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4))
    nn.init.constant_(model[0].weight, 0.5)
    nn.init.zeros_(model[0].bias)
    batches = clips(8).split(2)
    renew_statistics(model, batches[2 * rank : 2 * rank + 2] if rank >= 0 else batches, num_batches=2 if rank >= 0 else 4)
    return model.state_dict()


def test_statistics_are_pooled_over_processes(tmp_path):
    first, second = run_by_two(renewed, tmp_path)
    whole = renewed(-1, tmp_path)
    for name in ("1.running_mean", "1.running_var"):
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], whole[name], rtol=1e-5)


def test_precise_statistics_of_a_norm_over_parts_are_those_of_the_whole_batches():
    plain, parts = network(), network()
    split_norms(parts, 2)
    renew_statistics(plain[:2].train(), clips(8).split(4), num_batches=2)
    renew_statistics(parts.train(), clips(8).split(4), num_batches=2)
    assert torch.allclose(parts[1].running_mean, plain[1].running_mean, atol=1e-6)
    assert torch.allclose(parts[1].running_var, plain[1].running_var, atol=1e-5)
    assert parts[1].num_parts == 2
