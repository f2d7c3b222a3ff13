"""Checkpoints: whole or not there, checked when read, refused when they do not fit."""

import hashlib
import json
import os
import pickle
import random
import resource
import threading
import time
from collections import OrderedDict
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vidrec.data.samplers import TrainSampler
from vidrec.engine import checkpoint
from vidrec.engine.checkpoint import Checkpointer, RunState, hand_out
from vidrec.engine.checkpoint_file import manifest_path, plain_copy, read_checkpoint, write_checkpoint
from vidrec.engine.same_run import accumulated_for
from vidrec.utils.errors import CheckpointError

CONFIG = "CONFIG:\n  TRAIN: {LR: 0.1, EPOCH_NUM: 3, RESUME: ''}\n  LOG: {LEVEL: DEBUG}\nDDP_CONFIG: {GPU: 0}\n"


def parts(width=3):
    torch.manual_seed(0)
    model = nn.Linear(2, width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def checkpointer(folder, config=CONFIG, **more):
    return Checkpointer(folder, config=config, seed=0, clips_per_step=8, **more)


def write(run, path, state, **more):
    """A checkpoint, and the wait for it."""
    run.save([path], state, **parts(), **more)
    run.finish()


def saved(folder, *epochs):
    run = checkpointer(folder)
    for epoch in epochs:
        write(run, run.epoch_path(epoch), RunState(epoch, 0, 0.5))
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
    files = ["epoch_0001.pth", "epoch_0001.pth.json", "epoch_0002.pth", "epoch_0002.pth.json"]
    assert sorted(path.name for path in run.folder.iterdir()) == files
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
    write(run, run.path(RunState(1, 7)), RunState(1, 7), extras={"scaler": Part(3.5)})
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
        write(run, run.path(state), state)
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


def test_a_key_that_came_later_has_its_default_for_an_older_run(tmp_path):
    saved(tmp_path, 1)
    with_default, with_other = (CONFIG.replace("LR: 0.1", f"LR: 0.1, LABEL_SMOOTHING: {share}") for share in ("0.0", "0.1"))
    defaults = "CONFIG: {TRAIN: {LABEL_SMOOTHING: 0.0}}"
    assert checkpointer(tmp_path, with_default, defaults=defaults).restore("auto", **parts()).epoch == 1
    with pytest.raises(CheckpointError, match=r"LABEL_SMOOTHING was 0.0 and is now 0.1"):
        checkpointer(tmp_path, with_other, defaults=defaults).restore("auto", **parts())


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
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # writing beyond 1000 bytes fails, as on a full disk
    try:
        with pytest.raises(CheckpointError, match=r"epoch_0001.pth cannot be written \(.*bytes are free there\); earlier"):
            write(run, run.epoch_path(1), RunState(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_too_little_room_is_said_before_a_byte_is_written(tmp_path, monkeypatch):
    run = checkpointer(tmp_path)
    # weight and bias of 9 numbers and their momentum, of 4 bytes each, times 1.2
    with pytest.raises(CheckpointError, match=r"epoch_0001.pth cannot be written \(it needs 86 bytes; .* bytes are free there\)"):
        monkeypatch.setattr("vidrec.engine.checkpoint_file.free_bytes", lambda folder: 85)
        write(run, run.epoch_path(1), RunState(1))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("vidrec.engine.checkpoint_file.free_bytes", lambda folder: 86)
    write(run, run.epoch_path(1), RunState(1))


def test_any_flipped_bit_is_noticed(tmp_path):
    run, places = saved(tmp_path, 1), random.Random(0)
    whole = run.epoch_path(1).read_bytes()
    for _ in range(50):
        damaged = bytearray(whole)
        damaged[places.randrange(len(whole))] ^= 1 << places.randrange(8)
        run.epoch_path(1).write_bytes(damaged)
        with pytest.raises(
            CheckpointError, match=r"epoch_0001.pth is damaged \(its SHA-256 is not that of its manifest\); take an earlier"
        ):
            read_checkpoint(run.epoch_path(1))


def test_the_manifest_says_size_and_sha256(tmp_path):
    run = saved(tmp_path, 1)
    data = run.epoch_path(1).read_bytes()
    assert json.loads(manifest_path(run.epoch_path(1)).read_bytes()) == {
        "file": "epoch_0001.pth",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "epoch": 1,
        "step": 0,
    }


@pytest.mark.parametrize("manifest", [None, b"", b'{"bytes": 1'])
def test_a_file_without_its_manifest_is_judged_by_its_own_checksums(tmp_path, manifest):
    """So ends a run that is killed after the file was renamed and before its manifest was written."""
    run = saved(tmp_path, 1)
    manifest_path(run.epoch_path(1)).unlink()
    if manifest is not None:
        manifest_path(run.epoch_path(1)).write_bytes(manifest)
    assert read_checkpoint(run.epoch_path(1))["epoch"] == 1
    flip_a_bit(run.epoch_path(1))
    with pytest.raises(CheckpointError, match=r"epoch_0001.pth is damaged \(wrong checksum of .*data/\d+\)"):
        read_checkpoint(run.epoch_path(1))


class Gate:
    """Holds up every write until it is opened, and counts those that are there at once."""

    def __init__(self, monkeypatch):
        self.open, self.begun, self.inside, self.most = threading.Event(), threading.Event(), 0, 0
        self._write = checkpoint.write_checkpoint
        monkeypatch.setattr(checkpoint, "write_checkpoint", self)

    def __call__(self, path, content):
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.begun.set()
        assert self.open.wait(30)
        self._write(path, content)
        self.inside -= 1


def test_a_save_returns_at_once_and_holds_the_weights_of_its_moment(tmp_path, monkeypatch):
    gate, run, now = Gate(monkeypatch), checkpointer(tmp_path), parts()
    expected = now["model"].weight.detach().clone()
    run.save([run.epoch_path(1)], RunState(1), **now)
    assert gate.begun.wait(30) and not run.epoch_path(1).exists()
    with torch.no_grad():
        now["model"].weight.zero_()
        now["optimizer"].state[now["model"].weight]["momentum_buffer"].zero_()
    gate.open.set()
    run.save([run.best_path, run.epoch_path(2)], RunState(2), **now)
    assert run.epoch_path(1).exists(), "one save waits for the one before"
    run.finish()
    assert gate.most == 1
    content = read_checkpoint(run.epoch_path(1))
    assert torch.equal(content["model"]["weight"], expected)
    assert torch.equal(content["optimizer"]["state"][0]["momentum_buffer"], torch.ones(3, 2))
    assert run.epoch_path(2).read_bytes() == run.best_path.read_bytes()


def test_a_save_that_fails_is_an_error_of_the_next_and_only_once(tmp_path):
    run = checkpointer(tmp_path / "checkpoints")
    run.folder.rmdir()
    run.save([run.epoch_path(1)], RunState(1), **parts())
    while not run.failed:
        time.sleep(0.001)
    with pytest.raises(CheckpointError, match=r"epoch_0001.pth cannot be written \(No such file or directory; "):
        run.save([run.epoch_path(2)], RunState(2), **parts())
    assert not run.failed
    run.finish()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (np.float64(0.5), "numpy.float64"),
        (Path("x"), r"pathlib(\._local)?\.PosixPath"),
        (np.zeros(1), "numpy.ndarray"),
        ({1}, "builtins.set"),
    ],
)
def test_what_could_not_be_read_without_running_code_is_refused_when_saving(tmp_path, value, name):
    run = checkpointer(tmp_path)
    with pytest.raises(TypeError, match=rf"^checkpoint.extras.stop.value\[1\] is a {name}; a checkpoint holds tensors, numbers and text"):
        run.save([run.epoch_path(1)], RunState(1), **parts(), extras={"stop": Part([0.5, value])})


def test_a_plain_copy_shares_nothing_and_keeps_strides():
    frames = torch.zeros(1, 2, 3, 4, 4).to(memory_format=torch.channels_last_3d)
    copy = plain_copy(OrderedDict(a=(frames, 1, None), b=[True, "x"]))
    assert (type(copy), type(copy["a"]), copy["b"]) == (dict, tuple, [True, "x"])
    assert copy["a"][0].is_contiguous(memory_format=torch.channels_last_3d)
    frames.fill_(1)
    assert copy["a"][0].sum() == 0


def test_the_newest_of_all_kinds_are_kept_and_the_best(tmp_path):
    run = Checkpointer(tmp_path, config=CONFIG, seed=0, clips_per_step=8, keep_last=2)
    run.save([run.best_path], RunState(1), **parts())
    for state in (RunState(1), RunState(1, 5), RunState(2), RunState(2, 5)):
        run.save([run.path(state)], state, **parts())
    run.finish()
    files = ["best.pth", "epoch_0002.pth", "epoch_0002_step_000005.pth"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*files, *(f"{name}.json" for name in files)])
    run.epoch_path(2).unlink()
    assert [path.name for path in checkpointer(tmp_path).folder.glob("epoch_0002.pth*")] == [], "a manifest without its file goes too"


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"The checkpoint folder .*file/checkpoints cannot be made or read \(Not a directory\)"):
        checkpointer(tmp_path / "file" / "checkpoints")


def test_scraps_of_a_killed_run_are_removed_at_the_start(tmp_path):
    (tmp_path / f"epoch_0003.pth.tmp.{2**22 + 7}").touch()
    checkpointer(tmp_path)
    assert list(tmp_path.iterdir()) == []


def with_batches(batch_size, accumulate):
    return CONFIG.replace("LR: 0.1", f"LR: 0.1, BATCH_SIZE: {batch_size}, ACCUMULATE: {accumulate}")


def test_another_number_of_processes_may_bring_other_batches_and_keeps_the_clips_of_a_step(tmp_path, caplog):
    run = checkpointer(tmp_path, with_batches(4, 1))
    write(run, run.epoch_path(1), RunState(1))
    other = checkpointer(tmp_path, with_batches(2, 2))
    with pytest.raises(CheckpointError, match=r"BATCH_SIZE was 4 and is now 2"):
        other.restore("auto", **parts())
    content = read_checkpoint(run.epoch_path(1)) | {"world_size": 2, "clips_per_step": 16}
    write_checkpoint(run.epoch_path(1), content)
    other.restore("auto", **parts())
    assert other.clips_per_step == 16
    assert "the run was made by 2 processes and goes on with 1: the clips of each step stay the same" in caplog.text


@pytest.mark.parametrize(
    ("clips", "batch_size", "processes", "accumulated"), [(16, 8, 2, 1), (16, 8, 1, 2), (16, 4, 4, 1), (96, 8, 3, 4)]
)
def test_batches_that_make_up_a_step(clips, batch_size, processes, accumulated):
    assert accumulated_for(clips, batch_size=batch_size, processes=processes) == accumulated


@pytest.mark.parametrize(("clips", "batch_size", "processes"), [(16, 8, 3), (16, 8, 4), (16, 6, 1)])
def test_a_step_that_cannot_be_made_up_is_refused(clips, batch_size, processes):
    with pytest.raises(CheckpointError, match=rf"had {clips} clips; .*BATCH_SIZE {batch_size} in {processes} processes cannot make"):
        accumulated_for(clips, batch_size=batch_size, processes=processes)


@pytest.mark.parametrize(("processes", "batch_size"), [(1, 4), (4, 2), (4, 1), (8, 1)])
def test_global_batches_are_the_same_for_any_number_of_processes(processes, batch_size):
    """103 videos in steps of 8 clips, made by two processes with 4 each; the others go on after every step of the epoch."""

    def steps(world_size, batch_size, skipped=0):
        accumulated = accumulated_for(8, batch_size=batch_size, processes=world_size)
        samplers = [TrainSampler(103, batch_size, rank=rank, world_size=world_size, seed=3) for rank in range(world_size)]
        found = []
        for sampler in samplers:
            sampler.set_epoch(5)
            sampler.skip_batches(skipped * accumulated)
            batches = iter(list(sampler.batches()))
            whole = zip(*[batches] * accumulated, strict=False)
            found.append([sorted((key.position, key.index) for batch in step for key in batch) for step in whole])
        return [sorted(chain(*parts)) for parts in zip(*found, strict=True)]

    expected = steps(2, 4)
    assert len(expected) == 12 and len({position for step in expected for position, _ in step}) == 96
    for done in range(12):
        assert expected[:done] + steps(processes, batch_size, done) == expected


def test_going_on_with_another_decoder_is_said(tmp_path, caplog):
    caplog.set_level("WARNING", "vidrec")
    run = Checkpointer(tmp_path, config=CONFIG, seed=0, clips_per_step=8, decoder="auto (av 18.1.0)")
    write(run, run.epoch_path(1), RunState(1, 0, 0.5))
    assert read_checkpoint(run.epoch_path(1))["versions"]["decoder"] == "auto (av 18.1.0)"
    run.restore("auto", **parts())
    assert caplog.text == ""
    Checkpointer(tmp_path, config=CONFIG, seed=0, clips_per_step=8, decoder="auto (av 19.0.0)").restore("auto", **parts())
    assert "the run decoded its videos with auto (av 18.1.0) and goes on with auto (av 19.0.0): their frames may differ" in caplog.text
