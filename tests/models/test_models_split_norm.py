"""BatchNorm over parts of a batch against BatchNorm of each part by itself, and of the whole batch."""

import copy
import pickle

import pytest
import torch
from models_narrow import FAMILIES, PLAIN, clip_shape, narrow
from torch import nn

from vidrec.models.build import assemble
from vidrec.models.layers.norm import batch_norms
from vidrec.models.layers.split_norm import split_norms


def split(norm, clips):
    network = nn.Sequential(norm)
    assert split_norms(network, clips) == 1
    return network


def test_each_part_has_its_own_mean_and_variance_and_the_running_ones_are_those_of_the_whole():
    network = split(nn.BatchNorm1d(1, eps=1e-12), 2)
    assert network(torch.tensor([[0.0], [2], [4], [8]])).flatten().tolist() == pytest.approx([-1, 1, -1, 1])
    norm = network[0]
    assert norm.running_mean.tolist() == pytest.approx([0.35])  # a tenth of the way from 0 to 3.5
    assert norm.running_var.tolist() == pytest.approx([0.9 + 0.1 * 35 / 3])  # squares of -3.5, -1.5, 0.5, 4.5 over 3
    assert norm.num_batches_tracked.item() == 1
    evaluated = network.eval()(torch.tensor([[0.35]]))
    assert evaluated.item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.BatchNorm1d, ()), (nn.BatchNorm1d, (5,)), (nn.BatchNorm2d, (3, 2)), (nn.BatchNorm3d, (2, 3, 2))]
)
@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}])
def test_statistics_and_gradients_are_those_of_plain_layers(kind, shape, options):
    torch.manual_seed(0)
    whole, parts = kind(3, **options), kind(3, **options)
    network, plain = split(copy.deepcopy(whole), 2), [copy.deepcopy(parts) for _ in range(3)]
    for _ in range(2):
        x = torch.randn(6, 3, *shape, requires_grad=True)
        again, weights = x.detach().clone().requires_grad_(), torch.randn(6, 3, *shape)
        (network(x) * weights).sum().backward()
        (torch.cat([norm(part) for norm, part in zip(plain, again.chunk(3), strict=True)]) * weights).sum().backward()
        whole(x)
        assert torch.allclose(x.grad, again.grad, atol=1e-5)
    if network[0].track_running_stats:
        assert torch.allclose(network[0].running_mean, whole.running_mean, atol=1e-6)
        assert torch.allclose(network[0].running_var, whole.running_var, atol=1e-5)
    if network[0].affine:
        assert torch.allclose(network[0].weight.grad, sum(norm.weight.grad for norm in plain), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_network_sees_each_part_as_a_batch_of_its_own(family):
    sections = FAMILIES[family] | {"HEAD": FAMILIES[family]["HEAD"] | {"DROPOUT": 0.0}}
    torch.manual_seed(0)
    plain = assemble(sections, num_classes=3)
    network = copy.deepcopy(plain)
    clips = torch.randn(4, *clip_shape(plain)[1:], generator=torch.Generator().manual_seed(1))
    assert split_norms(network, 2) == len(batch_norms(plain)) > 0
    assert list(network.state_dict()) == list(plain.state_dict())
    apart = torch.cat([copy.deepcopy(plain)(part) for part in clips.chunk(2)])
    assert torch.allclose(network(clips), apart, atol=1e-4)
    assert not torch.allclose(network(clips), plain(clips), atol=1e-3), "over the whole batch it is something else"
    assert torch.equal(network.eval()(clips[:3]), copy.deepcopy(network)(clips[:3])), "an evaluation takes any number of clips"


def test_layers_that_keep_their_statistics_go_on_keeping_them():
    network = narrow("I3D", frozen_stages=1)
    split_norms(network, 1)
    network(torch.randn(clip_shape(network)))
    moved = {name for name, norm in batch_norms(network).items() if norm.num_batches_tracked}
    assert moved == set(batch_norms(network)) - set(network.held_norms) and network.held_norms
    held = narrow("I3D", bn_eval=True)
    clips = torch.randn(clip_shape(held))
    torch.manual_seed(0)
    plain = held(clips)
    split_norms(held, 1)
    torch.manual_seed(0)
    assert torch.equal(held(clips), plain)


def test_networks_without_batch_norm_have_nothing_to_split():
    assert [split_norms(narrow(family), 2) for family in PLAIN] == [0, 0]


def test_a_batch_that_is_no_multiple_is_said():
    network = split(nn.BatchNorm1d(2), 4)
    with pytest.raises(ValueError, match=r"The batch has 6 clips; for BatchNorm over parts of 4 it must have a multiple of them\. Change"):
        network(torch.randn(6, 2))


def test_a_network_is_copied_and_kept_with_its_parts():
    network = split(nn.BatchNorm1d(1, eps=1e-12), 2)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert other(torch.tensor([[0.0], [2], [4], [8]])).flatten().tolist() == pytest.approx([-1, 1, -1, 1])


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16, torch.float64])
def test_statistics_of_other_precisions(precision):
    x = torch.tensor([[0.0], [2], [4], [8]], dtype=precision)
    network = split(nn.BatchNorm1d(1, eps=1e-12), 2)
    if precision == torch.float64:
        network.double()
    assert network(x).flatten().tolist() == pytest.approx([-1, 1, -1, 1])
    assert network[0].running_var.tolist() == pytest.approx([0.9 + 0.1 * 35 / 3])


def test_compiled_parts_are_those_of_the_plain_network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.ReLU())
    plain = copy.deepcopy(network)
    split_norms(network, 2)
    split_norms(plain, 2)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    for clips in (6, 2, 4):
        x = torch.randn(clips, 3, 2, 4, 4)
        assert torch.allclose(compiled(x), plain(x), atol=1e-6)
    assert torch.allclose(network[1].running_var, plain[1].running_var, atol=1e-6)
