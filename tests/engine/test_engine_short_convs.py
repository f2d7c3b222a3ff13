"""Convolutions longer than their input, whose bf16 weight gradient oneDNN gets wrong, are found and compute in float32."""

import pytest
import torch
from test_engine_stepper import make_batch, make_stepper, state
from torch import nn

from vidrec.engine.short_convs import ShortConv3d, protect, short_convs
from vidrec.engine.stepper import StepOptions
from vidrec.models.build import assemble

WIDTH = 16  # narrower ones take another kernel of oneDNN, which is right


def weight_gradients(conv, x, precision):
    conv.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        y = conv(x)
    y.float().backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1)))
    return conv.weight.grad.clone()


def error(ours, right):
    return float((ours - right).norm() / right.norm())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize(("kernel", "frames"), [(3, 2), (5, 2), (5, 3), (5, 4), (3, 1), (3, 3), (1, 2)])
def test_bf16_weight_gradient_of_a_protected_convolution_agrees_with_fp32(kernel, frames, memory_format):
    torch.manual_seed(0)
    conv = nn.Conv3d(WIDTH, WIDTH, (kernel, 1, 1), padding=(kernel // 2, 0, 0)).to(memory_format=memory_format)
    x = torch.randn(2, WIDTH, frames, 6, 6).contiguous(memory_format=memory_format)
    right = weight_gradients(conv, x, "fp32")
    names = short_convs(nn.Sequential(conv), x.shape)
    assert names == (["0"] if frames < kernel else [])
    protect(nn.Sequential(conv), names)
    assert error(weight_gradients(conv, x, "bf16"), right) < 0.01


def test_protected_convolution_returns_bf16_and_keeps_the_names_of_its_weights():
    network = nn.Sequential(nn.Conv3d(3, WIDTH, 3, padding=1), nn.Conv3d(WIDTH, WIDTH, 3, padding=1))
    names = list(network.state_dict())
    assert protect(network, ["0", "1"]) == ["0", "1"]
    assert protect(network, ["0", "1"]) == []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(torch.randn(1, 3, 2, 4, 4)).dtype == torch.float32  # it was given float32
        assert network[1](torch.zeros(1, WIDTH, 2, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert list(network.state_dict()) == names


def test_last_stage_of_r2plus1d_is_short_at_16_frames_and_no_stage_at_32():
    backbone = {"TYPE": "R2Plus1D", "DEPTH": 18, "WIDTH": 4}
    with torch.device("meta"):
        model = assemble({"BACKBONE": backbone, "HEAD": {"TYPE": "PoolHead"}}, num_classes=3)
    found = short_convs(model, (2, 3, 16, 64, 64))
    assert found and all(name.startswith("backbone.stages.3.") and name.endswith(".temporal") for name in found)
    assert short_convs(model, (2, 3, 32, 64, 64)) == []


def test_looking_for_short_convolutions_changes_neither_statistics_nor_random_numbers_and_calls_no_hooks():
    stepper, called = make_stepper(dropout=0.5), []
    hook = stepper.model.stem[0].register_forward_hook(lambda *_: called.append(1))
    before, generator = state(stepper), torch.get_rng_state()
    short_convs(stepper.model, (2, 3, 2, 8, 8))
    assert all(torch.equal(tensor, before[name]) for name, tensor in state(stepper).items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert not called and not stepper.model.stem[0]._forward_pre_hooks and hook.id in stepper.model.stem[0]._forward_hooks


def test_bf16_on_a_cpu_protects_short_convolutions_and_says_them_once(caplog):
    caplog.set_level("INFO", logger="vidrec")
    short, plain = make_stepper(options=StepOptions(precision="bf16")), make_stepper()
    gradients = []
    for stepper in (short, plain):
        for step in range(2):
            stepper.step([make_batch(step, frames=2)], epoch=0, step=step)
        gradients.append(stepper.model.stages[0][0].weight.grad)
    assert error(*gradients) < 0.05
    assert [type(stepper.model.stem[0]) for stepper in (short, plain)] == [ShortConv3d, nn.Conv3d]
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(": ")[1] for text in said if "run in fp32" in text] == ["stem.0, stages.0.0"]
    short.step([make_batch(2, frames=4)], epoch=0, step=2)  # another shape is looked at anew
    assert len(caplog.records) == len(said)
