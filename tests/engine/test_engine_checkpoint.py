"""Checkpoints: whole or not there, checked when read, refused when they do not fit."""

import os
import pickle
import resource

import pytest
import torch
from torch import nn

from vidrec.engine.checkpoint import Checkpointer, RunState, hand_out
from vidrec.engine.checkpoint_file import read_checkpoint
from vidrec.utils.errors import CheckpointError

CONFIG = "CONFIG:\n  TRAIN: {LR: 0.1, EPOCH_NUM: 3, RESUME: ''}\n  LOG: {LEVEL: DEBUG}\nDDP_CONFIG: {GPU: 0}\n"


def parts(width=3):
    torch.manual_seed(0)
    model = nn.Linear(2, width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def checkpointer(folder, config=CONFIG):
    return Checkpointer(folder, config=config, seed=0)


def saved(folder, *epochs):
    run = checkpointer(folder)
    for epoch in epochs:
        run.save(run.epoch_path(epoch), RunState(epoch, 0, 0.5), **parts())
    return run


def test_a_checkpoint_gives_back_weights_momentum_and_place(tmp_path):
    run = saved(tmp_path / "checkpoints", 1, 2)
    fresh = parts()
    with torch.no_grad():
        fresh["model"].weight.zero_()
        fresh["optimizer"].state[fresh["model"].weight]["momentum_buffer"].zero_()
    state, expected = run.restore("auto", **fresh), parts()
    assert (state.epoch, state.step, state.best) == (2, 0, 0.5)
    assert torch.equal(fresh["model"].weight, expected["model"].weight)
    assert torch.equal(fresh["optimizer"].state[fresh["model"].weight]["momentum_buffer"], torch.ones(3, 2))
    assert sorted(path.name for path in run.folder.iterdir()) == ["epoch_0001.pth", "epoch_0002.pth"]
    content = torch.load(run.epoch_path(1), weights_only=True)
    assert list(content["model"]) == ["weight", "bias"]
    assert (content["seed"], content["config"], content["world_size"], content["epoch"]) == (0, CONFIG, 1, 1)


class Part:
    def __init__(self, value):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def test_what_else_has_a_state_gets_it_back_and_only_once(tmp_path):
    run = checkpointer(tmp_path)
    run.save(run.path(RunState(1, 7)), RunState(1, 7), **parts(), extras={"scaler": Part(3.5)})
    state = run.restore("auto", **parts())
    assert (state.epoch, state.step, state.extras) == (1, 7, {"scaler": {"value": 3.5}})
    with pytest.raises(CheckpointError, match=r"holds the states of scaler; the run needs those of ema too"):
        hand_out(state, {"scaler": Part(0), "ema": Part(0)})
    fresh = Part(0)
    hand_out(state, {"scaler": fresh})
    assert (fresh.value, state.extras) == (3.5, {})


def test_the_newest_is_found_by_epoch_and_step(tmp_path):
    run = checkpointer(tmp_path)
    for state in (RunState(9), RunState(10, 999999), RunState(10, 1000000), RunState(10)):
        run.save(run.path(state), state, **parts())
    found = [path.name for path in run.files()]
    assert found == ["epoch_0010_step_1000000.pth", "epoch_0010_step_999999.pth", "epoch_0010.pth", "epoch_0009.pth"]
    assert run.restore("auto", **parts()).step == 1000000


def test_nothing_to_resume_starts_at_the_beginning(tmp_path):
    run = checkpointer(tmp_path)
    assert run.restore("", **parts()) == RunState(0, 0, None)
    assert run.restore("auto", **parts()) == RunState(0, 0, None)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    place = data.index(parts()["model"].state_dict()["weight"].numpy().tobytes())
    data[place + 1] ^= 4
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty])
def test_a_damaged_newest_file_is_said_and_the_one_before_taken(tmp_path, caplog, damage):
    run = saved(tmp_path, 1, 2, 10)
    damage(run.epoch_path(10))
    caplog.set_level("WARNING", "vidrec")
    assert run.restore("auto", **parts()).epoch == 2
    assert "epoch_0010.pth is damaged" in caplog.text and "The checkpoint before it is taken." in caplog.text


def test_only_damaged_files_are_an_error(tmp_path):
    run = saved(tmp_path, 1)
    cut(run.epoch_path(1))
    with pytest.raises(CheckpointError, match=r"None of the 1 checkpoints .* can be read; remove them"):
        run.restore("auto", **parts())


def test_another_config_is_refused_with_every_key(tmp_path):
    saved(tmp_path, 1)
    other = checkpointer(tmp_path, CONFIG.replace("LR: 0.1", "LR: 0.2").replace("EPOCH_NUM: 3", "EPOCH_NUM: 5"))
    with pytest.raises(CheckpointError) as error:
        other.restore("auto", **parts())
    assert str(error.value).split("\n") == [
        "The run to go on with has another config:",
        "  - CONFIG.TRAIN.EPOCH_NUM was 3 and is now 5",
        "  - CONFIG.TRAIN.LR was 0.1 and is now 0.2",
        "Set these back, or start a new run with another CONFIG.LOG.EXP_NAME.",
    ]


def test_keys_that_do_not_change_the_result_may_differ(tmp_path):
    saved(tmp_path, 1)
    other = CONFIG.replace("DEBUG", "INFO").replace("GPU: 0", "GPU: 1").replace("RESUME: ''", "RESUME: auto")
    assert checkpointer(tmp_path, other).restore("auto", **parts()).epoch == 1


def test_another_network_is_refused(tmp_path):
    run = saved(tmp_path, 1)
    with pytest.raises(CheckpointError, match="of another network or optimizer than the config's"):
        run.restore("auto", **parts(width=4))


def test_a_file_that_runs_code_is_refused_and_not_run(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(canary),)

    for name, write in (("zip.pth", torch.save), ("plain.pth", lambda item, path: path.write_bytes(pickle.dumps(item)))):
        write(Evil(), tmp_path / name)
        with pytest.raises(CheckpointError, match=r"may be code; it was not run|is damaged or cut short"):
            read_checkpoint(tmp_path / name)
    assert not canary.exists()


def test_a_missing_file_and_a_file_of_weights_only(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pth does not exist; name a file, or set CONFIG.TRAIN.RESUME auto"):
        read_checkpoint(tmp_path / "nowhere.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"lacks model, optimizer, .* To start from its weights set CONFIG.MODEL.LOAD True"):
        read_checkpoint(tmp_path / "weights.pth")


def test_a_full_disk_leaves_the_old_checkpoint_and_no_scrap(tmp_path):
    run = saved(tmp_path, 1)
    before = run.epoch_path(1).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # writing beyond 1000 bytes fails, as on a full disk
    try:
        with pytest.raises(CheckpointError, match=r"epoch_0001.pth cannot be written \(.*bytes are free there\); earlier"):
            run.save(run.epoch_path(1), RunState(1), **parts())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("epoch_0001.pth", before)]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"The checkpoint folder .*file/checkpoints cannot be made or read \(Not a directory\)"):
        checkpointer(tmp_path / "file" / "checkpoints")


def test_scraps_of_a_killed_run_are_removed_at_the_start(tmp_path):
    (tmp_path / f"epoch_0003.pth.tmp.{2**22 + 7}").touch()
    checkpointer(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_going_on_with_fewer_processes_is_said(tmp_path, caplog):
    run = saved(tmp_path, 1)
    content = read_checkpoint(run.epoch_path(1)) | {"world_size": 2}
    torch.save(content, run.epoch_path(1))
    run.restore("auto", **parts())
    assert "the run was made by 2 processes and goes on with 1" in caplog.text


def test_going_on_with_another_decoder_is_said(tmp_path, caplog):
    caplog.set_level("WARNING", "vidrec")
    run = Checkpointer(tmp_path, config=CONFIG, seed=0, decoder="auto (av 18.1.0)")
    run.save(run.epoch_path(1), RunState(1, 0, 0.5), **parts())
    assert read_checkpoint(run.epoch_path(1))["versions"]["decoder"] == "auto (av 18.1.0)"
    run.restore("auto", **parts())
    assert caplog.text == ""
    Checkpointer(tmp_path, config=CONFIG, seed=0, decoder="auto (av 19.0.0)").restore("auto", **parts())
    assert "the run decoded its videos with auto (av 18.1.0) and goes on with auto (av 19.0.0): their frames may differ" in caplog.text
