"""What validation measures and decides, through the real commands."""

import json

import pytest
import torch

from vidrec.commands import test as test_command
from vidrec.commands import train as train_command


def entries(folder, kind):
    return [line for text in (folder / "metrics.jsonl").read_text().splitlines() if (line := json.loads(text))["kind"] == kind]


def test_validation_of_several_views_is_a_test_of_as_many(config, tmp_path):
    arguments = ["--config-file", str(config), "CONFIG.TRAIN.EPOCH_NUM", "1"]
    assert train_command.main([*arguments, "CONFIG.VAL.NUM_SEGMENT", "3", "CONFIG.VAL.NUM_CROP", "2"]) == 0
    assert test_command.main([*arguments, "CONFIG.DATA.TEST_NUM_CROP", "2"]) == 0
    folder = tmp_path / "runs/run"
    (val,) = entries(folder, "val")
    accuracy = json.loads((folder / "eval/result.json").read_text())["accuracy"]
    assert accuracy["views"] == 6
    assert [val[key] for key in ("top1", "top5", "mean_class")] == [accuracy[key] for key in ("top1", "top5", "mean_class")]
    assert "(views per video: 6 (3 x 2))" in (folder / "log.txt").read_text()
    assert "| 6 (3 x 2) |" in (folder / "summary.md").read_text()


def test_the_best_checkpoint_is_that_of_the_lowest_loss_and_training_ends_early(config, tmp_path):
    arguments = ["--config-file", str(config), "CONFIG.VAL.BEST_METRIC", "loss", "CONFIG.VAL.PATIENCE", "1", "CONFIG.TRAIN.EPOCH_NUM", "8"]
    assert train_command.main([*arguments, "CONFIG.TRAIN.LR", "2.0"]) == 0
    folder = tmp_path / "runs/run"
    losses, log = [val["loss"] for val in entries(folder, "val")], (folder / "log.txt").read_text()
    assert len(losses) < 8 and losses[-1] >= losses[-2] == min(losses), "the first that is no better is the last"
    best = torch.load(folder / "checkpoints/best.pth", weights_only=True)
    assert (best["best"], best["epoch"], best["extras"]["best"]["metric"]) == (losses[-2], len(losses) - 1, "loss")
    assert "training ends: validations in a row without a better loss: 1" in log
    assert f"best validation loss {losses[-2]:.4f}" in log


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["CONFIG.VAL.BEST_METRIC", "accuracy"], "BEST_METRIC is 'accuracy'; it must be one of map, top1, top5, mean_class, loss"),
        (["CONFIG.VAL.BEST_METRIC", "map"], "a list of one label a video (CONFIG.DATA.VAL_ANNO_PATH) gives mean_class, top1, top5"),
        (["CONFIG.VAL.BEST_METRIC", "ema_top1"], "DECAY is 0 and VALIDATE is both: set them so, or leave ema_ away"),
        (["CONFIG.VAL.PATIENCE", "-1"], "CONFIG.VAL.PATIENCE is -1; it must be at least 0 validations"),
        (["CONFIG.VAL.PATIENCE", "2", "CONFIG.VAL.FREQ", "0"], "there is no validation to wait for; set one of them"),
        (["CONFIG.VAL.NUM_CROP", "0"], "CONFIG.VAL.NUM_CROP is 0; it must be at least 1 crop"),
        (["CONFIG.VAL.NUM_SEGMENT", "2", "CONFIG.DATA.NUM_SEGMENT", "3"], "validation takes it once: set it 1"),
        (["CONFIG.VAL.NUM_SEGMENT", "2", "CONFIG.DATA.SAMPLING", "uniform"], "validation takes it once: set it 1"),
    ],
)
def test_wrong_validations_are_refused_before_the_first_batch(config, capsys, overrides, words):
    with pytest.raises(SystemExit):
        train_command.main(["--config-file", str(config), *overrides])
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error and "step 1" not in error
