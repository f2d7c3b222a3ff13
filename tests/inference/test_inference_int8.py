"""int8: what is counted, and how two networks are compared."""

import math

import torch
from models_narrow import narrow
from torch import nn

from vidrec.engine.averages import ViewAverage
from vidrec.inference.int8 import Shares, check_int8_packages, quantize
from vidrec.inference.int8_report import agreement, latencies


class Mixed(nn.Module):
    """A 2-D convolution, which is quantized, and a 3-D one, which is not."""

    def __init__(self):
        super().__init__()
        self.spatial, self.temporal, self.fc = nn.Conv2d(3, 8, 3), nn.Conv3d(8, 8, (2, 1, 1)), nn.Linear(8, 4)

    def forward(self, clips):  # [B, 3, T, H, W]
        batch, frames = clips.shape[0], clips.shape[2]
        maps = self.spatial(clips.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, frames)).transpose(1, 2)
        return self.fc(self.temporal(maps).mean(dim=(2, 3, 4)))


def batches(*shape):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *shape, generator=generator) for _ in range(2)]


def test_shares_count_convolutions_and_multiply_adds_of_one_clip():
    check_int8_packages()
    torch.manual_seed(0)
    found = quantize(Mixed().eval(), batches(3, 2, 6, 6)).shares
    spatial, temporal = 2 * 8 * 4 * 4 * 3 * 3 * 3, 8 * 1 * 4 * 4 * 8 * 2
    assert found == Shares(convs=2, convs_int8=1, conv_macs=spatial + temporal, conv_macs_int8=spatial, linears=1, linears_int8=1)
    assert found.as_dict()["conv_macs_share"] == round(spatial / (spatial + temporal), 4)


def test_int8_network_is_close_to_the_float_one_and_keeps_no_float_weights():
    check_int8_packages()
    model, (first, second) = narrow("2-D").eval(), batches(3, 1, 32, 32)
    quantized = quantize(model, [first, second])
    with torch.no_grad():
        difference = quantized.module(second) - model(second)
    assert 0 < difference.abs().max().item() < 0.1 * model(second).std().item()
    matrices = [tensor.dtype for tensor in quantized.module.state_dict().values() if tensor.dim() > 1]
    assert set(matrices) == {torch.int8} and len(matrices) == 13


def test_agreement_of_two_networks():
    of_float = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    of_int8 = of_float + torch.tensor([[0.0, 3.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    found = agreement(of_float[:, None], of_int8[:, None], [(0,), (1,), (1,), (0, 1)], ViewAverage("logits_mean"))
    assert (found.videos, found.top1_float, found.top1_int8, found.same_top1) == (4, 0.75, 0.5, 0.75)
    std = of_float.std().item()
    assert math.isclose(found.rms_over_std, math.sqrt(9 / 8) / std, rel_tol=1e-6)
    assert math.isclose(found.largest_over_std, 3 / std, rel_tol=1e-6)


def test_views_are_averaged_as_the_test_of_the_network_does():
    views = torch.tensor([[[9.0, 0.0], [0.0, 4.0], [0.0, 4.0]]])  # logits say 0: 9 against 8; probabilities 1: 0.35 against 0.65
    right = [agreement(views, views, [(1,)], ViewAverage(name)).top1_float for name in ("logits_mean", "prob_mean", "prob_sum")]
    assert right == [0.0, 1.0, 1.0]


def test_networks_take_turns_when_they_are_timed():
    calls = []
    runs = {name: lambda clip, name=name: calls.append(name) for name in ("a", "b")}
    found = latencies(runs, torch.zeros(1), 4)
    assert calls == ["a"] * 3 + ["b"] * 3 + ["a", "b"] * 4 and set(found) == {"a", "b"} and min(found.values()) >= 0
