"""Which validation is the best, and when training ends for want of a better one."""

from dataclasses import replace

import pytest
import torch
from engine_toy import Toy, make_trainer, toy_config

from vidrec.engine.best import BestWatch
from vidrec.engine.metric_lines import is_better
from vidrec.engine.metrics import measure
from vidrec.engine.totals import run_totals


@pytest.mark.parametrize(
    ("metric", "value", "best", "better"),
    [
        ("top1", 0.0, None, True),
        ("top1", 0.6, 0.5, True),
        ("top1", 0.5, 0.5, False),
        ("map", 0.4, 0.5, False),
        ("loss", 0.4, 0.5, True),
        ("loss", 0.5, 0.5, False),
        ("loss", float("nan"), 0.5, False),
        ("ema_loss", 0.6, 0.5, False),
        ("ema_top5", 0.6, 0.5, True),
    ],
)
def test_losses_are_better_when_lower(metric, value, best, better):
    assert is_better(metric, value, best) is better


def test_validations_without_a_better_one_are_counted_in_a_row():
    watch, best, found = BestWatch("loss", patience=2), None, []
    for loss in (3.0, 3.5, 2.0, 2.0, 2.5):
        best = loss if watch.improved(loss, best) else best
        found.append((best, watch.stale, watch.exhausted(best)))
    assert found == [(3.0, 0, False), (3.0, 1, False), (2.0, 0, False), (2.0, 1, False), (2.0, 2, True)]
    again = BestWatch("loss", patience=3)
    again.load_state_dict(watch.state_dict())
    assert (again.stale, again.exhausted(2.0), BestWatch().exhausted(2.0)) == (2, False, False)
    again.patience = 2
    assert again.exhausted(2.0) and not again.exhausted(None), "the best of another run is none of this one"
    assert (watch.text, BestWatch("ema_map").text) == ("loss", "mAP of the average")


LOSSES = {1: 3.0, 2: 2.0, 3: 2.5, 4: 2.0, 5: 1.0, 6: 0.5}  # by epochs done


def train(folder, *, patience, resume="", save_freq=1):
    """A run of 6 epochs whose validations have the losses above."""
    toy = Toy(folder=str(folder), epochs=6, resume=resume)
    trainer, state = make_trainer(toy, toy_config(toy))
    left = iter([LOSSES[epoch] for epoch in range(state.epoch + 1, 7)])
    trainer.measure = lambda result: replace(measure(result), loss=next(left))
    trainer.val_freq, trainer.save_freq, trainer.best = 1, save_freq, BestWatch("loss", patience)
    return trainer.run(state)


def best_of(folder):
    content = torch.load(folder / "checkpoints/best.pth", weights_only=True)
    return content["epoch"], content["best"], content["extras"]["best"]


def test_training_ends_when_two_validations_are_no_better(tmp_path):
    state = train(tmp_path, patience=2, save_freq=5)
    assert (state.epoch, state.best) == (4, 2.0)
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("*.pth")) == ["best.pth", "epoch_0004.pth"]
    assert best_of(tmp_path) == (2, 2.0, {"metric": "loss", "stale": 0})
    totals = run_totals(tmp_path / "metrics.jsonl")
    assert (totals.best["epoch"], totals.best["loss"], totals.last["loss"]) == (1, 2.0, 2.0)


def test_without_patience_all_epochs_are_trained(tmp_path):
    assert train(tmp_path, patience=0).epoch == 6
    assert best_of(tmp_path)[:2] == (6, 0.5)


def test_a_run_that_has_ended_early_ends_again_and_goes_on_with_more_patience(tmp_path):
    train(tmp_path, patience=2)
    assert train(tmp_path, patience=2, resume="auto").epoch == 4
    state = train(tmp_path, patience=3, resume="auto")
    assert (state.epoch, state.best) == (6, 0.5)


def test_a_resumed_run_goes_on_counting(tmp_path):
    train(tmp_path, patience=2)
    for path in (tmp_path / "checkpoints").glob("epoch_0004*"):
        path.unlink()
    assert train(tmp_path, patience=2, resume="auto").epoch == 4
