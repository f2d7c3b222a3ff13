"""Numbers that go wrong: seen before the update, on every process, with what a replay needs."""

import json
import logging
import math
import re

import pytest
import torch
from engine_toy import Toy, ToyNet, digest, make_trainer, toy_config
from process_runs import PLAIN, final, run
from torch import nn

from vidrec.data.datasets import ClipBatch
from vidrec.engine.divergence import DivergenceError, Guard
from vidrec.engine.first_fault import FaultFinder, group_norms, wrong_weights


def make_guard(folder, **changes):
    return Guard(**{"folder": folder, "config": "", "path_of": lambda index: f"/videos/{index}.mp4", **changes})


def batch(*indices):
    return ClipBatch(torch.zeros(len(indices), 2, 4, 4, 3, dtype=torch.uint8), torch.zeros(len(indices)), torch.tensor(indices), [])


def model_with_gradient(value=1.0):
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.full_like(model.weight, value)
    return model


def ask(guard, model, loss, **more):
    guard.remember(model)
    return guard.allows(model, torch.tensor(loss), [batch(4, 7)], epoch=0, step=4, **more)


def test_numbers_that_are_right_pass(tmp_path):
    assert ask(make_guard(tmp_path), model_with_gradient(), 2.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("loss", "gradient", "limits", "words"),
    [
        (float("nan"), 1.0, {}, "the loss must be finite, and is not:\n  - rank 0: loss nan, videos /videos/4.mp4, /videos/7.mp4; kept "),
        (float("inf"), 1.0, {}, "the loss must be finite, and is not:\n  - rank 0: loss inf, "),
        (30.0, 1.0, {"max_loss": 20.0}, "the loss must be finite and at most 20, and is not:\n  - rank 0: loss 30, "),
        (2.0, float("inf"), {}, "the losses are right and the norm of the gradients is not finite; the batches:\n  - rank 0: loss 2, "),
        (2.0, 9.0, {"max_grad_norm": 5.0}, "the losses are right and the norm of the gradients is not finite or above 5; the batches:"),
    ],
)
def test_numbers_that_are_wrong_are_named_with_epoch_step_rank_and_videos(tmp_path, loss, gradient, limits, words):
    with pytest.raises(DivergenceError, match=re.escape(f"Epoch 1, step 5: {words}")):
        ask(make_guard(tmp_path, **limits), model_with_gradient(gradient), loss)


def test_overflowing_gradients_are_left_to_a_loss_scaler(tmp_path):
    guard, model = make_guard(tmp_path), model_with_gradient(float("inf"))
    assert ask(guard, model, 2.0, gradients=False)
    with pytest.raises(DivergenceError):
        ask(guard, model, float("nan"), gradients=False)


def test_what_is_kept_holds_batch_weights_and_place_and_no_code(tmp_path):
    guard = make_guard(tmp_path / "replay", policy="skip", config="CONFIG: {}")
    model = model_with_gradient()
    assert not ask(guard, model, float("nan"))
    kept = torch.load(tmp_path / "replay/epoch_0001_step_00005_rank_0.pth", weights_only=True)
    assert torch.equal(kept["model"]["weight"], model.weight)
    assert (kept["epoch"], kept["step"], kept["rank"], kept["videos"]) == (0, 4, 0, ["/videos/4.mp4", "/videos/7.mp4"])
    assert kept["batches"][0]["clips"].shape == (2, 2, 4, 4, 3) and kept["config"] == "CONFIG: {}"


def test_a_full_disk_does_not_hide_the_error(tmp_path):
    (tmp_path / "replay").write_text("a file is where the folder should be")
    with pytest.raises(DivergenceError, match=r"videos /videos/4.mp4, /videos/7.mp4\nThe weights"):
        ask(make_guard(tmp_path / "replay"), model_with_gradient(), float("nan"))


def train(folder, **arguments):
    toy = Toy(folder=str(folder), **arguments)
    trainer, state = make_trainer(toy, toy_config(toy))
    return trainer, state


def test_a_step_that_goes_wrong_leaves_weights_statistics_and_momentum_as_they_were(tmp_path):
    trainer, _ = train(tmp_path, batch_norm=True, poison="0,1,1", nan_policy="skip")
    before = []
    allows = trainer.stepper.guard.allows

    def spy(model, *arguments, **place):
        before.append((digest(model), str(trainer.stepper.optimizer.state_dict()["state"])))
        return allows(model, *arguments, **place)

    trainer.stepper.guard.allows = spy
    batches = list(trainer.train_loader)[:2]
    assert trainer.stepper.step(batches[:1], epoch=0, step=0) is not None
    after_first = digest(trainer.stepper.model)
    assert trainer.stepper.step(batches[1:], epoch=0, step=1) is None
    assert before[1][0] != after_first, "the pass changed the statistics"
    assert digest(trainer.stepper.model) == after_first
    assert str(trainer.stepper.optimizer.state_dict()["state"]) == before[1][1]


def test_so_many_steps_in_a_row_may_be_left_out_and_one_more_stops(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "vidrec")
    trainer, state = train(tmp_path / "two", poison="0,1,2", nan_policy="skip", nan_skips=2)
    assert trainer.run(state).epoch == 3
    said = [record.getMessage() for record in caplog.records]
    assert [text.split("processes: ")[1] for text in said] == ["1 in a row, of at most 2.", "2 in a row, of at most 2."]
    trainer, state = train(tmp_path / "three", poison="0,1,3", nan_policy="skip", nan_skips=2)
    with pytest.raises(DivergenceError, match="NAN_SKIPS allows 2 in a row, and this is one more"):
        trainer.run(state)


def test_an_epoch_in_which_every_step_is_left_out_has_no_averages(tmp_path):
    trainer, state = train(tmp_path, epochs=2, poison="0,0,5", nan_policy="skip", nan_skips=6)  # 6 steps
    assert trainer.run(state).epoch == 2
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "epoch"]
    assert math.isnan(losses[0]) and not math.isnan(losses[1])


def test_a_loss_of_one_rank_stops_both_before_the_update(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, poison="1,2,2")
    assert done.returncode == 1
    assert done.stderr.count("Epoch 1, step 3: the loss must be finite and at most 1e+06, and is not:\n  - rank 1: loss nan") == 1
    assert re.findall(r"/videos/\d+\.mp4", done.stderr) and "rank 0" not in done.stderr
    assert [path.name for path in (tmp_path / "replay").iterdir()] == ["epoch_0001_step_00003_rank_1.pth"]


def test_a_step_left_out_for_one_rank_leaves_both_equal(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, poison="1,2,2", nan_policy="skip", batch_norm=True)
    assert done.returncode == 0, done.stderr
    digests = final(tmp_path)["digests"]
    assert len(digests) == 2 and len(set(digests)) == 1


def test_the_first_module_that_makes_a_value_not_finite_is_found():
    model = ToyNet(0.0, batch_norm=True)
    with torch.no_grad():
        model.fc.weight[0, 0] = float("inf")
    finder = FaultFinder()
    with finder.watching(model):
        model(torch.randn(2, 3, 2, 4, 4)).sum().backward()
    assert finder.forward[0] == "fc (Linear)"
    assert wrong_weights(model) == ["fc.weight"]
    (row,) = group_norms(model, torch.optim.SGD(model.parameters(), lr=0.5))
    assert row.lr == 0.5 and "conv.weight" in row.wrong and "fc.bias" not in row.wrong


def test_a_gradient_that_is_not_finite_is_found_on_its_way_back():
    model = ToyNet(0.0, batch_norm=False)
    finder = FaultFinder()
    with finder.watching(model):
        (model(torch.randn(2, 3, 2, 4, 4)).sum() * torch.tensor(float("inf"))).backward()
    assert finder.forward == [] and finder.backward[0] == "fc"
