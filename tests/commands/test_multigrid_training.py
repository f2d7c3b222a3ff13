"""Multigrid training and augmentation through the real command."""

import json

import pytest
import torch
from tool_runs import TORCHRUN_2, run_tool

from vidrec.commands import train as train_command

GRID = ["CONFIG.TRAIN.MULTIGRID.USE_LONG_CYCLE", "True", "CONFIG.TRAIN.MULTIGRID.LONG_CYCLE_EPOCH", "[1]"]
C3D = ["CONFIG.MODEL.BACKBONE", "{TYPE: C3D, WIDTH: 2}", "CONFIG.MODEL.HEAD", "{TYPE: C3DHead, HIDDEN: 4}"]
C3D += ["CONFIG.DATA.CLIP_LEN", "16", "CONFIG.DATA.CROP_SIZE", "96", "CONFIG.DATA.SHORT_SIDE_SIZE", "96"]
SIZES = ["CONFIG.DATA.CROP_SIZE", "64", "CONFIG.DATA.SHORT_SIDE_SIZE", "64", "CONFIG.TRAIN.BATCH_SIZE", "2"]


def test_a_run_goes_through_its_shapes_and_says_so(config, tmp_path, capsys):
    arguments = ["--config-file", str(config), *GRID, *SIZES, "CONFIG.TRAIN.MULTIGRID.USE_SHORT_CYCLE", "True"]
    assert train_command.main([*arguments, "CONFIG.TRAIN.EPOCH_NUM", "2"]) == 0
    log = (tmp_path / "runs/run/log.txt").read_text()
    assert "multigrid training; BatchNorm takes its statistics over parts of 2 clips:" in log
    assert "  epochs 1-1: 2 steps, learning rate x 2, 16 clips of 2 x 32^2, 8 clips of 2 x 48^2, 4 clips of 2 x 64^2 per process" in log
    assert "  epochs 2-2: 4 steps, learning rate x 1, 8 clips of 4 x 32^2, 4 clips of 4 x 48^2, 2 clips of 4 x 64^2 per process" in log
    assert "2 epochs of up to 12 steps" in log
    found = [json.loads(line) for line in (tmp_path / "runs/run/metrics.jsonl").read_text().splitlines()]
    assert [(line["lr"], line["clips"]) for line in found if line["kind"] == "epoch"] == [(0.02, 24), (0.01, 22)]
    assert [(line["epoch"], line["step"]) for line in found if line["kind"] == "step"] == [(0, 1), (1, 1), (1, 3)]


def test_a_shape_that_the_network_cannot_take_is_said_before_the_first_batch(config, capsys):
    pools = ["CONFIG.MODEL.BACKBONE.TEMPORAL_POOLS", "[4, 1]"]
    with pytest.raises(SystemExit):
        train_command.main(["--config-file", str(config), *GRID, *SIZES, *pools])
    error = capsys.readouterr().err
    assert "CONFIG.TRAIN.MULTIGRID needs clips of 2 frames of 64 x 64 pixels, which the network cannot take" in error
    assert "Traceback" not in error and "step 1" not in error


def test_batch_norm_over_parts_changes_the_weights_and_not_their_names(config, tmp_path):
    found = []
    for name, clips in (("whole", 0), ("parts", 2)):
        arguments = ["CONFIG.TRAIN.BN_SUB_BATCH", str(clips), "CONFIG.LOG.EXP_NAME", name, "CONFIG.TRAIN.EPOCH_NUM", "1"]
        assert train_command.main(["--config-file", str(config), *arguments]) == 0
        found.append(torch.load(tmp_path / "runs" / name / "checkpoints/epoch_0001.pth", weights_only=True)["model"])
    assert list(found[0]) == list(found[1])
    assert not all(torch.equal(found[0][key], found[1][key]) for key in found[0])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["CONFIG.TRAIN.BN_SUB_BATCH", "3"], "CONFIG.TRAIN.BN_SUB_BATCH is 3 and BATCH_SIZE is 4 clips; the batch must be a multiple"),
        (["CONFIG.TRAIN.BN_SUB_BATCH", "-1"], "CONFIG.TRAIN.BN_SUB_BATCH is -1; it must be at least 0 clips"),
        (["CONFIG.TRAIN.BN_SUB_BATCH", "2", "CONFIG.MODEL.USE_AFFINE", "True"], "BN_SUB_BATCH is 2 and CONFIG.MODEL.USE_AFFINE is True"),
        (["CONFIG.TRAIN.BN_SUB_BATCH", "2", "CONFIG.MODEL.SYNC_BN", "True"], "over all processes, and CONFIG.TRAIN.BN_SUB_BATCH is 2"),
        (
            ["CONFIG.TRAIN.BN_SUB_BATCH", "2", *C3D],
            "BN_SUB_BATCH is 2; this network has no BatchNorm",
        ),
    ],
)
def test_parts_that_cannot_be_are_refused(config, capsys, overrides, words):
    with pytest.raises(SystemExit):
        train_command.main(["--config-file", str(config), *overrides])
    error = capsys.readouterr().err
    assert words in error and "Traceback" not in error


@pytest.mark.slow
def test_augmented_runs_of_one_and_two_processes_end_with_close_weights(config, tmp_path):
    """The batches are the same; sums over processes are rounded otherwise, and BatchNorm sees half a batch, so it is switched off."""
    settings = ["CONFIG.DATA.AUG.MIX.MIXUP_ALPHA", "1", "CONFIG.DATA.AUG.RAND_AUGMENT.PROB", "1", "CONFIG.MODEL.HEAD.DROPOUT", "0"]
    settings += ["CONFIG.MODEL.BN_EVAL", "True", "CONFIG.TRAIN.OPTIMIZER", "SGD"]
    found = []
    for name, launcher, more in (
        ("one", None, ["CONFIG.DATA.AUG_DEVICE", "device"]),
        ("two", TORCHRUN_2, ["CONFIG.TRAIN.BATCH_SIZE", "2"]),
    ):
        options = {"launcher": launcher} if launcher else {}
        run_tool("train_ddp_pytorch.py", "--config-file", config, *settings, *more, "CONFIG.LOG.EXP_NAME", name, **options)
        found.append(torch.load(tmp_path / "runs" / name / "checkpoints/epoch_0002.pth", weights_only=True)["model"])
    assert all(torch.allclose(found[0][key].float(), found[1][key].float(), atol=1e-4) for key in found[0])
