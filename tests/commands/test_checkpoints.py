"""Several checkpoints in one test: the mean of their scores, and of their weights."""

import json
import shutil

import numpy as np
import pytest
import torch
from tool_runs import write_config

import vidrec
from vidrec import load_config
from vidrec.commands import checkpoints
from vidrec.commands import test as test_command
from vidrec.models.build import build_model
from vidrec.utils.errors import UserError, WeightsError


@pytest.fixture(scope="module")
def made(demo_data, tmp_path_factory):
    """A config, and a run with checkpoints of three epochs that no training made."""
    folder = tmp_path_factory.mktemp("checkpoints")
    path = write_config(folder / "tiny.yaml", demo_data, folder / "runs")
    saved = folder / "runs/run/checkpoints"
    saved.mkdir(parents=True)
    for epoch in (1, 2, 3):
        torch.manual_seed(epoch)
        model = build_model(load_config(path))
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer += torch.rand(buffer.shape)
        torch.save(model.state_dict(), saved / f"epoch_{epoch:04d}.pth")
    return path, folder / "runs/run"


def run(made, name, *overrides):
    path, folder = made
    assert test_command.main(["--config-file", str(path), "CONFIG.LOG.EVAL_DIR", name, *map(str, overrides)]) == 0
    with np.load(folder / name / "scores.npz") as arrays:
        return arrays["scores"], json.loads((folder / name / "result.json").read_text())


def named(made, *entries, folder=True, **inference):
    overrides = [f"CONFIG.INFERENCE.{key}" if place == 0 else str(key) for pair in inference.items() for place, key in enumerate(pair)]
    cfg = load_config(made[0], ["CONFIG.INFERENCE.CHECKPOINTS", str(list(entries)), *overrides])
    return cfg, checkpoints.named_checkpoints(cfg, made[1] if folder else None)


@pytest.mark.parametrize("average", ["logits_mean", pytest.param("feature_mean", marks=pytest.mark.slow)])
def test_scores_of_several_checkpoints_are_averaged(made, average):
    protocol = ("CONFIG.TEST.AVERAGE", average)
    each = [run(made, f"alone_{epoch}", *protocol, "CONFIG.INFERENCE.CHECKPOINTS", f"[{epoch}]")[0] for epoch in (1, 3)]
    scores, result = run(made, "both", *protocol, "CONFIG.INFERENCE.CHECKPOINTS", "[1, epoch_0003.pth]")
    assert np.allclose(scores, (each[0].astype(float) + each[1]) / 2, rtol=0, atol=1e-6)
    saved = made[1] / "checkpoints"
    assert result["weights"] == f"mean of the scores of {saved}/epoch_0001.pth, {saved}/epoch_0003.pth"
    assert result["by_views"][-1]["top1"] == result["accuracy"]["top1"]


def test_weights_of_several_checkpoints_are_averaged(made, caplog):
    cfg, paths = named(made, "epoch_*.pth", COMBINE="weights")
    states = [torch.load(path, weights_only=True) for path in paths]
    model, source = checkpoints.build_averaged(cfg, made[1])
    found = model.state_dict()
    for name, tensor in found.items():
        if tensor.is_floating_point():
            assert torch.allclose(tensor, sum(state[name] for state in states) / 3, atol=1e-6), name
    assert source.startswith("mean of the weights of ") and source.count("epoch_") == 3
    assert "not those of the averaged weights" in caplog.text and "CONFIG.INFERENCE.BN_BATCHES 100" in caplog.text


@pytest.mark.parametrize("combine", ["scores", "weights"])
def test_best_checkpoint_counts_once_beside_that_of_its_epoch(made, combine, caplog):
    saved = made[1] / "checkpoints"
    shutil.copy(saved / "epoch_0002.pth", saved / "best.pth")
    caplog.set_level("INFO", logger="vidrec")
    cfg, paths = named(made, "best.pth", "epoch_*.pth", COMBINE=combine)
    networks, source = checkpoints.build_networks(cfg, made[1])
    (saved / "best.pth").unlink()
    assert len(paths) == 4 and len(networks) == (3 if combine == "scores" else 1)
    assert source == f"mean of the {combine} of {saved}/best.pth, {saved}/epoch_0001.pth, {saved}/epoch_0003.pth"
    assert f"{saved}/epoch_0002.pth has the weights of {saved}/best.pth, and is left out" in caplog.text
    if combine == "weights":
        other = checkpoints.build_averaged(named(made, "epoch_*.pth", COMBINE="weights")[0], made[1])[0].state_dict()
        assert all(torch.allclose(tensor, other[name], atol=1e-6) for name, tensor in networks[0].state_dict().items())


def test_statistics_of_averaged_weights_are_computed_from_training_clips(made):
    averaged = checkpoints.build_averaged(named(made, 1, 2, COMBINE="weights")[0], made[1])[0].state_dict()
    found, source = checkpoints.build_averaged(named(made, 1, 2, COMBINE="weights", BN_BATCHES=3)[0], made[1])
    again = checkpoints.build_averaged(named(made, 1, 2, COMBINE="weights", BN_BATCHES=3)[0], made[1])[0].state_dict()
    changed = {name for name, tensor in found.state_dict().items() if not torch.equal(tensor, averaged[name])}
    assert changed == {name for name in averaged if name.endswith(("running_mean", "running_var"))}
    assert all(torch.equal(tensor, again[name]) for name, tensor in found.state_dict().items())
    assert source.endswith(", BatchNorm statistics of 3 training batches") and not found.training


def test_checkpoints_are_named_by_file_pattern_and_epoch(made, tmp_path, monkeypatch):
    saved = made[1] / "checkpoints"
    assert named(made, 2, "epoch_000[13].pth")[1] == [str(saved / f"epoch_000{epoch}.pth") for epoch in (2, 1, 3)]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "epoch_0001.pth").write_bytes(b"")  # a file here goes before one of the run
    assert named(made, "epoch_0001.pth", str(saved / "epoch_0002.pth"))[1] == ["epoch_0001.pth", str(saved / "epoch_0002.pth")]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((9,), r"has 9, which is no file; .* \(epoch_0001.pth, epoch_0002.pth, epoch_0003.pth\)"),
        (("nowhere_*.pth",), r"has 'nowhere_\*.pth', which is no file; it must name a weights file, a pattern of some, or an epoch"),
        ((1, "epoch_000*.pth"), r"names \S+epoch_0001.pth twice; each checkpoint counts once"),
    ],
)
def test_checkpoints_that_are_not_there_or_twice_are_refused(made, entries, words):
    with pytest.raises(WeightsError, match=words):
        named(made, *entries)


def test_checkpoints_without_a_run_are_files(made):
    with pytest.raises(WeightsError, match=r"an epoch with a checkpoint in a run \(there is none\)"):
        named(made, 1, folder=False)


@pytest.mark.parametrize("combine", ["scores", "weights"])
def test_a_checkpoint_of_another_shape_is_refused_in_one_message(made, tmp_path, capsys, combine):
    other = load_config(made[0], ["CONFIG.MODEL.BACKBONE.WIDTH", "8"])
    torch.save(build_model(other).state_dict(), tmp_path / "wide.pth")
    arguments = ["CONFIG.INFERENCE.CHECKPOINTS", f"[1, {tmp_path}/wide.pth]", "CONFIG.INFERENCE.COMBINE", combine]
    with pytest.raises(SystemExit) as caught:
        test_command.main(["--config-file", str(made[0]), *arguments])
    said = capsys.readouterr().err
    assert caught.value.code == 1 and "Traceback" not in said
    assert f"{tmp_path}/wide.pth does not fit this I3DResNet" in said and "of another shape" in said


def test_a_file_in_place_of_the_results_folder_is_refused_before_the_test(made, capsys):
    (made[1] / "taken").touch()
    arguments = ["CONFIG.INFERENCE.CHECKPOINTS", "[1]", "CONFIG.LOG.EVAL_DIR", "taken"]
    with pytest.raises(SystemExit):
        test_command.main(["--config-file", str(made[0]), *arguments])
    assert "taken, which is a file; it must be a folder: name another in CONFIG.LOG.EVAL_DIR" in capsys.readouterr().err
    assert not (made[1] / "taken.partial").exists()


def test_other_commands_take_averaged_weights_and_no_mean_of_scores(made):
    both = ["CONFIG.INFERENCE.CHECKPOINTS", "[1, 2]"]
    with pytest.raises(UserError, match="names 2 files and COMBINE is scores, which only a test does"):
        vidrec.load(str(made[0]), overrides=both)
    averaged = vidrec.load(str(made[0]), overrides=[*both, "CONFIG.INFERENCE.COMBINE", "weights"])
    expected = checkpoints.build_averaged(named(made, 1, 2, COMBINE="weights")[0], made[1])[0].state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in averaged.model.state_dict().items())


def test_keys_that_do_not_go_together_are_refused(made):
    with pytest.raises(UserError, match="BN_BATCHES is 5 with COMBINE scores and some in CHECKPOINTS; only averaged weights"):
        named(made, 1, BN_BATCHES=5)
    with pytest.raises(UserError, match=r"CHECKPOINTS is \[0\]; it must be a list of files, patterns of files or numbers of epochs from 1"):
        named(made, 0)
    with pytest.raises(UserError, match=r"CHECKPOINTS is 'w.pth' \(str\); it must be a list of files, patterns"):
        load_config(made[0], ["CONFIG.INFERENCE.CHECKPOINTS", "w.pth"])
    with pytest.raises(UserError, match="COMBINE is 'mean'; it must be one of scores, weights"):
        named(made, 1, COMBINE="mean")
