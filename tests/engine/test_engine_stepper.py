"""Every way of computing a step gives the step that float32 gives without it, alone and in pairs."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import nn

from vidrec.data.datasets import ClipBatch
from vidrec.engine.compiled import compiled
from vidrec.engine.device import set_switches
from vidrec.engine.ema import WeightAverage
from vidrec.engine.precision import lay_out
from vidrec.engine.recompute import Recomputed, recompute_parts
from vidrec.engine.stepper import StepOptions, Stepper
from vidrec.utils.errors import ConfigError, UserError

CPU = torch.device("cpu")
NUM_CLASSES = 3


class Network(nn.Module):
    """Two stages of 3-D convolutions with BatchNorm and dropout, then a classifier."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.stem = stage(3, 16, dropout)
        self.stages = nn.ModuleList([stage(16, 16, dropout)])
        self.fc = nn.Linear(16, NUM_CLASSES)

    def forward(self, clips):
        return self.fc(self.stages[0](self.stem(clips)).mean((2, 3, 4)))


def stage(channels, width, dropout):
    return nn.Sequential(nn.Conv3d(channels, width, 3, padding=1), nn.BatchNorm3d(width), nn.ReLU(), nn.Dropout(dropout))


def make_stepper(*, options=None, recomputed=(), dropout=0.0, fused=None, network=Network, device=CPU, **arguments):
    torch.manual_seed(0)
    model = network(dropout).to(device)
    recompute_parts([(model.stem,), (model.stages[0],)], recomputed)
    updates = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=fused)
    common = {"device": device, "seed": 0, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    return Stepper(model=model, optimizer=updates, options=options or StepOptions(), **common, **arguments)


def make_batch(index, size=4, frames=4, pixels=8):
    generator = torch.Generator().manual_seed(index)
    clips = torch.randint(0, 256, (size, frames, pixels, pixels, 3), generator=generator, dtype=torch.uint8)
    return ClipBatch(clips, torch.arange(size) % NUM_CLASSES, torch.arange(size), [])


def train(stepper, steps=2, **shape):
    """Losses of some steps."""
    stepper.model.train()
    per_step = stepper.batches_per_step
    batches = [make_batch(index, **shape) for index in range(steps * per_step)]
    return [float(stepper.step(batches[step * per_step : (step + 1) * per_step], epoch=0, step=step).loss) for step in range(steps)]


def state(stepper):
    return {name: tensor.clone() for name, tensor in stepper.model.state_dict().items()}


def assert_close(stepper, other, atol):
    for name, tensor in state(other).items():
        assert torch.allclose(state(stepper)[name].float(), tensor.float(), rtol=0, atol=atol), name


def is_same(stepper, other):
    return all(torch.equal(tensor, state(other)[name]) for name, tensor in state(stepper).items())


SWITCHES = {
    "bf16": {"options": {"precision": "bf16"}},
    "fp16": {"options": {"precision": "fp16"}},
    "channels_last_3d": {"options": {"memory_format": "channels_last_3d"}},
    "aot_eager": {"options": {"compile": "aot_eager"}},
    "recomputed": {"recomputed": (0, 1)},
    "fused": {"fused": True},
    "accumulated": {"batches_per_step": 2},
}
PAIRS = [pair for pair in combinations(SWITCHES, 2) if set(pair) != {"bf16", "fp16"}]


def switched(*names):
    options, arguments = {}, {}
    for name in names:
        options |= SWITCHES[name].get("options", {})
        arguments |= {key: value for key, value in SWITCHES[name].items() if key != "options"}
    return make_stepper(options=replace(StepOptions(), **options), **arguments)


@pytest.mark.parametrize("names", [(name,) for name in SWITCHES] + PAIRS, ids="-".join)
def test_switches_train_as_without_them_but_for_rounding(names):
    stepper, plain = switched(*names), make_stepper(batches_per_step=2 if "accumulated" in names else 1)
    half = bool({"bf16", "fp16"} & set(names))
    assert train(stepper) == pytest.approx(train(plain), abs=5e-3 if half else 1e-5)
    assert_close(stepper, plain, 5e-3 if half else 1e-5)
    assert list(state(stepper)) == list(state(plain))
    torch._dynamo.reset()


def test_recomputed_stages_give_the_same_bits_and_statistics_see_a_batch_once():
    plain, recomputed = make_stepper(dropout=0.5), make_stepper(dropout=0.5, recomputed=(0, 1))
    assert isinstance(recomputed.model.stem, Recomputed)
    assert train(recomputed) == train(plain)
    assert is_same(recomputed, plain)
    assert int(recomputed.model.stem[1].num_batches_tracked) == 2


def test_recomputed_stages_keep_only_their_input_for_the_backward_pass():
    def kept(stepper):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor):
            stepper.forward(*stepper.inputs(make_batch(0)))
        return sum(sizes)

    assert kept(make_stepper(recomputed=(0, 1))) * 3 < kept(make_stepper())


def test_stage_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"CHECKPOINT_STAGES names 2; this network has 2 parts.* Give numbers from 0.* to 1\."):
        recompute_parts([(nn.ReLU(),), (nn.ReLU(),)], [0, 2])


def test_channels_last_3d_reaches_weights_clips_and_features():
    stepper = make_stepper(options=StepOptions(memory_format="channels_last_3d"))
    clips, _ = stepper.inputs(make_batch(0))
    for tensor in (clips, stepper.model.stem[0].weight, stepper.model.stem(clips)):
        assert tensor.is_contiguous(memory_format=torch.channels_last_3d)


def test_2d_convolutions_get_channels_last():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    lay_out(model, "channels_last_3d")
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_bf16_computes_convolutions_in_16_bits_and_losses_and_weights_in_32():
    stepper, seen = make_stepper(options=StepOptions(precision="bf16")), []
    stepper.model.stem[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    logits, loss = stepper.forward(*stepper.inputs(make_batch(0)))
    stepper.backward(loss)
    assert (seen, logits.dtype, loss.dtype) == ([torch.bfloat16], torch.float32, torch.float32)
    assert {parameter.grad.dtype for parameter in stepper.model.parameters()} == {torch.float32}


def test_fp16_step_with_overflown_gradients_leaves_the_weights_and_halves_the_scale():
    stepper = make_stepper(options=StepOptions(precision="fp16"))
    stepper.model.fc.weight.register_hook(lambda gradient: gradient * float("inf"))
    before = {name: parameter.clone() for name, parameter in stepper.model.named_parameters()}
    train(stepper, steps=1)
    assert all(torch.equal(parameter, before[name]) for name, parameter in stepper.model.named_parameters())
    assert stepper.scaler.get_scale() == 32768.0


def test_average_of_the_weights_takes_no_part_in_a_step_that_overflew():
    stepper = make_stepper(options=StepOptions(precision="fp16"))
    stepper.average = WeightAverage(stepper.model, decay=0.9)
    hook = stepper.model.fc.weight.register_hook(lambda gradient: gradient * float("inf"))
    train(stepper, steps=1)
    assert stepper.average.num_updates == 0
    hook.remove()
    train(stepper, steps=1)
    assert stepper.average.num_updates == 1


def test_loss_scale_goes_on_from_a_saved_state_of_plain_values():
    stepper = make_stepper(options=StepOptions(precision="fp16"))
    stepper.scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    train(stepper, steps=3)
    saved = stepper.state_dict()
    assert (saved["scaler"]["scale"], saved["scaler"]["_growth_tracker"]) == (16.0, 1)
    again = make_stepper(options=StepOptions(precision="fp16"))
    again.load_state_dict(saved)
    assert again.state_dict() == saved
    assert make_stepper().state_dict() == {"scaler": {}}


def test_accumulated_batches_divide_the_loss_and_not_the_logits():
    stepper = make_stepper(batches_per_step=3)
    outcome = stepper.step([make_batch(index, size=2) for index in range(3)], epoch=0, step=0)
    assert outcome.logits.shape == (6, NUM_CLASSES)
    assert float(outcome.loss) == pytest.approx(float(nn.functional.cross_entropy(outcome.logits, outcome.labels)), abs=1e-6)


@pytest.mark.slow
def test_inductor_trains_as_without_it():
    try:
        stepper = make_stepper(options=StepOptions(compile="inductor"))
    except UserError as missing:
        pytest.skip(str(missing))
    plain = make_stepper()
    assert train(stepper) == pytest.approx(train(plain), abs=1e-4)
    assert list(state(stepper)) == list(state(plain))
    torch._dynamo.reset()


def test_inductor_without_a_compiler_is_one_clear_message(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError, match=r"COMPILE is inductor.* the compiler g\+\+ is not found.* set CONFIG.TRAIN.COMPILE ''"):
        compiled(nn.ReLU(), "inductor")


class Puts(Network):
    """With an operator that has no deterministic form, on any device."""

    def forward(self, clips):
        return super().forward(clips).put(torch.tensor([0]), torch.tensor([0.0]))


@pytest.fixture
def deterministic():
    set_switches(deterministic=True, tf32=True, autotune=True)
    yield
    set_switches(deterministic=False, tf32=True, autotune=False)


def test_deterministic_steps_repeat_themselves_bit_for_bit(deterministic):
    first, second = make_stepper(dropout=0.5), make_stepper(dropout=0.5)
    assert train(first) == train(second)
    assert is_same(first, second)


def test_operator_without_a_deterministic_form_is_named(deterministic):
    stepper = make_stepper()
    stepper.model.__class__ = Puts
    with pytest.raises(UserError, match=r"DETERMINISTIC is True and the operator put_ has no deterministic form.* Set the key False"):
        train(stepper, steps=1)


def test_determinism_switches_autotuning_off(deterministic):
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == (False, True)
    set_switches(deterministic=False, tf32=False, autotune=True)
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (True, False, False)
    assert not torch.are_deterministic_algorithms_enabled()
