"""The training loop on a tiny real network, and its record."""

import io
import json
import logging
import sys

import pytest
import torch
from engine_toy import Toy, digest, make_trainer, recorded, toy_config, video_loader

from vidrec.engine import progress
from vidrec.engine.divergence import DivergenceError
from vidrec.engine.log import logger, note, setup_logging
from vidrec.engine.progress import WaitClock, duration_text, shown
from vidrec.engine.trainer import in_steps, is_due
from vidrec.utils.errors import DataError, UserError


def train(folder, **arguments):
    toy = Toy(folder=str(folder), **arguments)
    trainer, state = make_trainer(toy, toy_config(toy))
    return trainer, trainer.run(state)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("every", "total", "due"), [(3, 7, [3, 6, 7]), (1, 3, [1, 2, 3]), (0, 3, []), (5, 3, [3]), (2, 4, [2, 4])])
def test_is_due(every, total, due):
    assert [done for done in range(1, total + 1) if is_due(done, every, total)] == due


def test_batches_that_do_not_fill_a_step_are_left_out():
    assert list(in_steps("abcde", 2)) == [["a", "b"], ["c", "d"]]


def test_two_accumulated_batches_train_as_one_of_twice_the_size(tmp_path):
    whole, _ = train(tmp_path / "whole", batch=8, dropout=0.0, epochs=2)
    toy = Toy(folder=str(tmp_path / "parts"), batch=4, dropout=0.0, epochs=2)
    parts, state = make_trainer(toy, toy_config(toy))
    parts.stepper.batches_per_step = 2
    parts.run(state)
    assert parts.steps_of(0) == whole.steps_of(0) == 3
    for name, tensor in parts.stepper.model.state_dict().items():
        assert torch.allclose(tensor, whole.stepper.model.state_dict()[name], atol=1e-6), name


def test_the_toy_learns_and_every_number_is_recorded(tmp_path):
    _, state = train(tmp_path, epochs=10, dropout=0.0, lr=0.5)
    assert (state.epoch, state.step, state.best) == (10, 0, 1.0)
    found = lines(tmp_path)
    assert [line["step"] for line in found if line["kind"] == "step" and line["epoch"] == 0] == [1, 3, 5]
    epochs = [line for line in found if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == list(range(10))
    assert epochs[0]["lr"] == 0.5 and epochs[9]["lr"] == pytest.approx(0.012235870926, rel=1e-9)
    assert epochs[9]["loss"] < 0.3 < epochs[0]["loss"]
    assert {line["clips"] for line in epochs} == {24}
    assert [(line["epoch"], line["failed"]) for line in found if line["kind"] == "val"] == [(1, 0), (3, 0), (5, 0), (7, 0), (9, 0)]
    step = next(line for line in found if line["kind"] == "step")
    places, times = {"kind", "epoch", "step", "epochs_done", "time"}, {"clips_per_s", "data_share", "eta_s"}
    assert set(step) == places | times | {"loss", "top1", "top5", "lr", "grad_norm", "resident_mb"}
    assert step["epochs_done"] == pytest.approx(2 / 6) and step["resident_mb"] > 50
    assert 0.0 <= step["data_share"] <= 1.0
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir() if path.suffix == ".pth")
    assert names == ["best.pth", *(f"epoch_{epoch:04d}.pth" for epoch in range(1, 11))]
    best = torch.load(tmp_path / "checkpoints/best.pth", weights_only=True)
    first_perfect = min(line["epoch"] for line in found if line["kind"] == "val" and line["top1"] == 1.0)
    assert (best["epoch"], best["best"]) == (first_perfect + 1, 1.0)


def test_a_resumed_run_ends_with_the_same_bits_and_no_line_twice(tmp_path):
    whole, _ = train(tmp_path / "whole", epochs=4, batch_norm=True)
    train(tmp_path / "parts", epochs=4, batch_norm=True)
    for name in ("epoch_0003.pth", "epoch_0004.pth"):
        (tmp_path / "parts/checkpoints" / name).unlink()
    resumed, state = train(tmp_path / "parts", epochs=4, batch_norm=True, resume="auto")
    assert digest(resumed.stepper.model) == digest(whole.stepper.model)
    assert state.epoch == 4
    assert recorded(tmp_path / "parts") == recorded(tmp_path / "whole")


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    done, _ = train(tmp_path, epochs=2)
    again, state = train(tmp_path, epochs=2, resume="auto")
    assert (digest(again.stepper.model), state.epoch) == (digest(done.stepper.model), 2)


def test_weights_do_not_depend_on_what_is_logged_or_validated(tmp_path):
    plain, _ = train(tmp_path / "a", epochs=2)
    toy = Toy(folder=str(tmp_path / "b"), epochs=2)
    trainer, state = make_trainer(toy, toy_config(toy))
    trainer.display_freq, trainer.val_freq, trainer.val_loader = 1, 1, video_loader(3)
    trainer.run(state)
    assert digest(trainer.stepper.model) == digest(plain.stepper.model)


def test_a_loss_that_is_not_finite_stops_the_run_before_a_checkpoint(tmp_path):
    with pytest.raises(DivergenceError, match=r"Epoch 1, step \d: the loss must be finite"):
        train(tmp_path, lr=1e30)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_unreadable_clips_are_logged_once_and_training_goes_on(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "vidrec")
    _, state = train(tmp_path, epochs=2, bad="3,5", max_bad_share=0.1)
    said = sorted(record.message for record in caplog.records)
    assert said == [f"/videos/{index}.mp4 cannot be read: is empty. Another video takes its place." for index in (3, 5)]
    assert state.epoch == 2


def test_too_many_unreadable_clips_stop_the_run(tmp_path):
    with pytest.raises(DataError, match=r"3 of 24 training videos cannot be read; CONFIG.DATA.MAX_BAD_SHARE allows 0\.1"):
        train(tmp_path, bad="3,5,7", max_bad_share=0.1)


def test_log_goes_to_console_and_file_with_early_notes_first(tmp_path, capsys):
    note("the devices decide")
    setup_logging(tmp_path, level="INFO", filename="log.txt")
    logging.getLogger("vidrec.engine.checkpoint").info("hello")
    logger.debug("too fine")
    texts = [line.split(" ", 3)[-1] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert texts == ["the devices decide", "hello"]
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == texts


def test_other_ranks_send_warnings_only_with_their_rank(tmp_path, capsys):
    setup_logging(tmp_path, rank=3)
    logger.info("quiet")
    logger.warning("cannot read")
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == ["[rank 3] cannot read"]


def test_a_log_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(UserError, match=r"log file .*nowhere/log.txt cannot be written \(No such file or directory\); choose a folder"):
        setup_logging(tmp_path / "nowhere")


def test_clock_counts_items_and_waiting():
    clock = WaitClock("abc")
    assert list(clock) == ["a", "b", "c"]
    seconds, waited, items = clock.read()
    assert items == 3 and 0.0 <= waited <= seconds
    assert clock.read().items == 0


@pytest.mark.parametrize(("seconds", "said"), [(0.0, [f"test {done}/3 eta 0:00:00" for done in (1, 2, 3)]), (10.0, [])])
def test_a_test_says_where_it_is_and_how_long_it_takes_after_some_seconds(caplog, monkeypatch, seconds, said):
    caplog.set_level(logging.INFO, "vidrec")
    monkeypatch.setattr(progress, "LINE_EVERY_S", seconds)
    assert list(shown("abc", 3, "test")) == ["a", "b", "c"]
    assert [record.message for record in caplog.records] == said


def test_duration():
    assert (duration_text(3725.2), duration_text(0.4)) == ("1:02:05", "0:00:00")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_the_file_gets_lines(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    setup_logging(tmp_path)
    train(tmp_path, epochs=1, num_train=8)
    shown_text = terminal.getvalue()
    assert "epoch 1/1: 100%" in shown_text and " clips/s data " in shown_text
    assert "epoch 1/1 step 2/2" not in shown_text, "the bar shows that"
    assert "epoch 1/1 training loss" in shown_text
    assert "epoch 1/1 step 2/2 loss " in (tmp_path / "log.txt").read_text()


def test_batches_are_augmented_beside_the_network_and_their_soft_labels_count(tmp_path):
    """A batch whose labels are all spread over both other classes drives the scores to the log of these shares."""

    def augment(clips, labels, plans):
        assert plans == () and clips.dtype == torch.uint8
        return torch.zeros_like(clips), torch.tensor([[0.75, 0.25, 0.0]]).expand(len(labels), 3)

    toy = Toy(folder=str(tmp_path), epochs=30, dropout=0.0, lr=0.5)
    trainer, state = make_trainer(toy, toy_config(toy))
    trainer.stepper.augment = augment
    trainer.run(state)
    numbers = [line for line in lines(tmp_path) if line["kind"] == "epoch"][-1]
    assert numbers["top1"] == 1.0 and numbers["loss"] == pytest.approx(0.5623, abs=0.01)  # the entropy of 3/4 and 1/4
