"""What a recipe adds to the loop: clipping, an average of the weights, precise statistics and a head that trains first."""

import json
import signal
import subprocess

import pytest
import torch
from engine_toy import MEAN, NUM_CLASSES, STD, Toy, ToyClips, collate, digest, make_trainer, toy_config, video_loader
from process_runs import ENVIRONMENT, PLAIN
from torch import nn
from two_processes import run_by_two

from vidrec.data.datasets import SampleKey
from vidrec.engine.ema import WeightAverage
from vidrec.engine.gradients import GradientClip
from vidrec.engine.head_warmup import HeadWarmup
from vidrec.engine.stepper import StepOptions, Stepper
from vidrec.engine.tester import Tester
from vidrec.models.build import assemble


def make(folder, *, validate_average=False, precise=0, max_norm=0.0, **fields):
    toy = Toy(folder=str(folder), batch_norm=True, ema=0.9, **fields)
    trainer, state = make_trainer(toy, toy_config(toy))
    average = trainer.stepper.average
    trainer.stepper.clip, trainer.precise_batches = GradientClip(max_norm), precise
    if validate_average:
        trainer.average_tester = Tester(
            average.model, device=torch.device("cpu"), mean=MEAN, std=STD, views_per_batch=4, share_batches=True
        )
    return trainer, state


def lines(folder, kind):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if line["kind"] == kind]


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_run_goes_on_inside_an_epoch_with_the_same_weights_and_average(tmp_path):
    options = {"epochs": 4, "precise": 2, "max_norm": 0.1, "validate_average": True}
    whole, state = make(tmp_path / "whole", save_steps=3, **options)
    whole.run(state)
    middle = tmp_path / "whole" / "checkpoints" / "epoch_0003_step_000003.pth"
    resumed, state = make(tmp_path / "resumed", resume=str(middle), **options)
    assert (state.epoch, state.step) == (3, 3)
    resumed.run(state)
    assert equal(resumed.stepper.model.state_dict(), whole.stepper.model.state_dict())
    assert equal(resumed.stepper.average.model.state_dict(), whole.stepper.average.model.state_dict())
    assert resumed.stepper.average.num_updates == whole.stepper.average.num_updates == 24
    assert lines(tmp_path / "resumed", "val")[-1]["ema_top1"] == lines(tmp_path / "whole", "val")[-1]["ema_top1"]


def test_killed_run_ends_with_the_same_bits_of_weights_and_average(tmp_path):
    fields = {"epochs": 3, "accumulate": 2, "save_steps": 1}
    whole, state = make(tmp_path / "whole", **fields)
    whole.run(state)
    pairs = [f"{key}={value}" for key, value in {**fields, "batch_norm": True, "ema": 0.9, "kill_at": "1,5"}.items()]
    died = subprocess.run([*PLAIN, str(tmp_path / "killed"), *pairs], env=ENVIRONMENT, timeout=120)
    assert died.returncode == -signal.SIGKILL
    resumed, state = make(tmp_path / "killed", resume="auto", **fields)
    assert state.epoch == 1 and state.step > 0 and state.extras["ema"]["num_updates"] == 3 + state.step
    resumed.run(state)
    assert digest(resumed.stepper.model) == digest(whole.stepper.model)
    assert digest(resumed.stepper.average.model) == digest(whole.stepper.average.model)


def test_average_is_validated_beside_the_weights_and_changes_nothing_else(tmp_path):
    trainer, state = make(tmp_path / "average", epochs=2, lr=0.5, validate_average=True)
    trainer.run(state)
    toy = Toy(folder=str(tmp_path / "plain"), batch_norm=True, epochs=2, lr=0.5)
    plain, state = make_trainer(toy, toy_config(toy))
    plain.run(state)
    assert equal(trainer.stepper.model.state_dict(), plain.stepper.model.state_dict())
    assert not equal(trainer.stepper.average.model.state_dict(), plain.stepper.model.state_dict())
    (line,), (before,) = lines(tmp_path / "average", "val"), lines(tmp_path / "plain", "val")
    assert {name for name in line if name.startswith("ema_")} == {"ema_top1", "ema_top5", "ema_mean_class"}
    assert all(line[name] == before[name] for name in ("top1", "top5", "mean_class"))
    expected = trainer.average_tester.run(video_loader(1), num_videos=9).scores.argmax(1) == [index % NUM_CLASSES for index in range(9)]
    assert line["ema_top1"] == pytest.approx(expected.mean())


def test_clipped_norm_is_recorded_as_it_was_before(tmp_path):
    trainer, state = make(tmp_path / "clipped", epochs=1, max_norm=1e-6, lr=0.05)
    before = {name: tensor.clone() for name, tensor in trainer.stepper.model.named_parameters()}
    trainer.run(state)
    moved = max((tensor - before[name]).abs().max().item() for name, tensor in trainer.stepper.model.named_parameters())
    norms = [line["grad_norm"] for line in lines(tmp_path / "clipped", "step")]
    assert min(norms) > 1e-3 and 0 < moved < 1e-4


def test_precise_statistics_are_those_of_the_epoch_s_first_batches(tmp_path):
    trainer, state = make(tmp_path, epochs=1, precise=6)
    trainer.run(state)
    trainer.train_sampler.set_epoch(0)
    found = [trainer.stepper.model.conv(clips) for clips in trainer.stepper.clips(trainer.train_loader, 0)]
    channels = torch.cat(found).transpose(0, 1).flatten(1)
    norm = trainer.stepper.model.norm
    assert torch.allclose(norm.running_mean, channels.mean(1), atol=1e-5)
    assert torch.allclose(norm.running_var, channels.var(1, correction=0), rtol=1e-4)


def test_statistics_stay_a_running_average_unless_asked(tmp_path):
    trainer, state = make(tmp_path, epochs=1)
    trainer.run(state)
    assert trainer.stepper.model.norm.num_batches_tracked.item() == 6


def head_first_stepper(num_epochs: int, options: StepOptions) -> tuple[nn.Module, Stepper]:
    torch.manual_seed(0)
    sections = {"BACKBONE": {"TYPE": "ResNet2D", "STAGE_BLOCKS": [1], "BLOCK": "basic", "WIDTH": 4}, "HEAD": {"TYPE": "PoolHead"}}
    model = assemble(sections, num_classes=NUM_CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    recipe = {"head_warmup": HeadWarmup(model, num_epochs), "average": WeightAverage(model, decay=0.9)}
    common = {"seed": 0, "device": torch.device("cpu"), "mean": MEAN, "std": STD}
    return model, Stepper(model=model, optimizer=optimizer, options=options, **recipe, **common)


def head_first(rank, folder):
    """Weights after each of four epochs of two steps, of which the first two train the head alone."""
    model, stepper = head_first_stepper(2, StepOptions())
    clips, weights = ToyClips(Toy()), []
    for epoch in range(4):
        stepper.begin_epoch(epoch)
        for step in range(2):
            batch = collate([clips[SampleKey(epoch, position, position)] for position in range(4 * rank + step, 4 * rank + step + 4)])
            stepper.step([batch], epoch=epoch, step=step)
        weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return weights


def head_first_alone(options: StepOptions) -> dict[str, torch.Tensor]:
    """Weights and their average after an epoch with the head alone and one with everything."""
    model, stepper = head_first_stepper(1, options)
    clips = ToyClips(Toy())
    for epoch in range(2):
        stepper.begin_epoch(epoch)
        stepper.step([collate([clips[SampleKey(epoch, position, position)] for position in range(4)])], epoch=epoch, step=0)
    return model.state_dict() | {f"average of {name}": tensor for name, tensor in stepper.average.model.state_dict().items()}


def test_compiled_steps_train_the_head_first_with_the_same_bits():
    assert equal(head_first_alone(StepOptions(compile="aot_eager")), head_first_alone(StepOptions()))


def moved(before: dict, after: dict) -> set[str]:
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_two_processes_train_the_head_first_and_then_everything(tmp_path):
    first, second = run_by_two(head_first, tmp_path)
    assert [moved(first[epoch], first[epoch + 1]) for epoch in range(3)] == [{"head"}, {"backbone", "head"}, {"backbone", "head"}]
    parameters = [name for name in first[3] if "running" not in name]
    assert all(torch.equal(first[3][name], second[3][name]) for name in parameters)
