"""Files of strangers, given to the commands in every place that takes one: each ends in one message, and none of them runs code."""

import builtins
import http.server
import io
import pickle
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from vidrec.commands import convert_weights, replay_batch, test, train
from vidrec.data.shards.index import ShardFile, ShardIndex, pack_index
from vidrec.engine.checkpoint import read_checkpoint
from vidrec.utils.archives import swelling


class Evil:
    """Unpickling it would make the canary."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return builtins.open, (str(self.canary), "w")


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Evil(path))).close()  # the trap works where nothing guards it
    assert path.exists()
    path.unlink()
    return path


def error_of(capsys, command, *arguments) -> str:
    """What a command says that must end with status 1: one message, no traceback."""
    with pytest.raises(SystemExit) as ended:
        command.main(list(map(str, arguments)))
    said = capsys.readouterr().err
    assert ended.value.code == 1 and "Traceback" not in said
    return said


def start(config, *overrides):
    return "--config-file", config, *overrides


def evil_files(folder: Path, canary: Path) -> dict[str, Path]:
    """Pickles that would run code, in every form that torch.load knows."""
    zipped, legacy, bare = folder / "zip.pth", folder / "legacy.pth", folder / "bare.pth"
    torch.save({"model": Evil(canary)}, zipped)
    torch.save({"model": Evil(canary)}, legacy, _use_new_zipfile_serialization=False)
    bare.write_bytes(pickle.dumps({"model": Evil(canary)}))
    return {"zip": zipped, "legacy": legacy, "bare": bare}


@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_a_pickle_runs_no_code_wherever_it_is_given(config, tmp_path, canary, capsys, form):
    path = evil_files(tmp_path, canary)[form]
    weights = ("CONFIG.MODEL.LOAD", "True", "CONFIG.MODEL.PRETRAINED_PATH", path)
    said = [
        error_of(capsys, train, *start(config, "CONFIG.TRAIN.RESUME", path)),
        error_of(capsys, train, *start(config, *weights)),
        error_of(capsys, test, *start(config, *weights)),
        error_of(capsys, convert_weights, path, tmp_path / "out.pth"),
        error_of(capsys, replay_batch, path),
    ]
    assert all(str(path) in text for text in said)
    assert not canary.exists() and not (tmp_path / "out.pth").exists()


def test_a_checkpoint_in_the_folder_of_a_run_runs_no_code(config, tmp_path, canary, capsys):
    folder = tmp_path / "runs/run/checkpoints"
    folder.mkdir(parents=True)
    evil_files(tmp_path, canary)["zip"].rename(folder / "epoch_0001.pth")
    said = error_of(capsys, train, *start(config, "CONFIG.TRAIN.RESUME", "auto"))
    assert "None of the 1 checkpoints" in said and not canary.exists()


def test_a_replay_whose_config_is_hostile_runs_no_code(tmp_path, canary, capsys):
    content = dict.fromkeys(("model", "batches", "videos", "loss", "epoch", "step", "rank"), 0)
    text = f"CONFIG: {{TRAIN: {{LR: !!python/object/apply:builtins.open [{canary}, w]}}}}"
    torch.save({"replay": 1, "config": text, **content}, tmp_path / "replay.pth")
    assert "could not determine a constructor for the tag" in error_of(capsys, replay_batch, tmp_path / "replay.pth")
    assert not canary.exists()


@pytest.mark.parametrize("tag", ["python/object/apply:builtins.open", "python/object/new:builtins.open", "python/name:builtins.open"])
def test_a_config_runs_no_code(tmp_path, canary, capsys, tag):
    path = tmp_path / "evil.yaml"
    path.write_text(f"CONFIG: {{TRAIN: {{LR: !!{tag} [{canary}, w]}}}}")
    assert "evil.yaml" in error_of(capsys, train, *start(path))
    base = tmp_path / "base.yaml"
    base.write_text("_BASE_: evil.yaml")
    assert "evil.yaml" in error_of(capsys, train, *start(base))
    assert not canary.exists()


@pytest.mark.parametrize("bomb", ["compressed", "overlapping"])
def test_a_bomb_is_not_unpacked(config, tmp_path, capsys, bomb):
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if bomb == "compressed" else zipfile.ZIP_STORED) as archive:
        archive.writestr("bomb/data.pkl", bytes(50_000_000 if bomb == "compressed" else 100_000))
        if bomb == "overlapping":
            archive.filelist += [archive.filelist[0]] * 9
    weights = ("CONFIG.MODEL.LOAD", "True", "CONFIG.MODEL.PRETRAINED_PATH", path)
    for arguments in (("CONFIG.TRAIN.RESUME", path), weights):
        said = error_of(capsys, train, *start(config, *arguments))
        assert "no file of torch.save" in said and ("would unpack to 50,000,000" if bomb == "compressed" else "1,000,000") in said


def test_what_torch_saves_is_no_bomb(tmp_path):
    torch.save({"x": torch.zeros(1_000_000), "text": "a" * 1_000_000}, tmp_path / "large.pth")
    assert swelling(tmp_path / "large.pth") == "" and swelling(tmp_path / "missing.pth") == ""


STRAYS = ("../secret.mp4", "/etc/hostname", "link.mp4", "sub/../../secret.mp4")


@pytest.mark.parametrize("stray", STRAYS)
def test_a_list_leads_out_of_no_folder_with_confine(config, demo_data, tmp_path, capsys, stray):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.mp4").write_bytes(next((demo_data / "train").rglob("*.mp4")).read_bytes())
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "list.txt").write_text(f"{stray} 0\n" * 12)
    lists = ("CONFIG.DATA.TRAIN_ANNO_PATH", folder / "list.txt", "CONFIG.DATA.CONFINE", "True")
    assert f"'{stray}'" in error_of(capsys, train, *start(config, *lists))


class _Seen(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        self.send_error(404)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), _Seen) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("decoder", ["auto", "opencv"])
def test_names_that_mean_something_to_a_decoder_are_names_of_files_only(config, demo_data, tmp_path, capsys, monkeypatch, server, decoder):
    """The list lies in the working directory, so that nothing but vidrec stands between a name and the decoder."""
    good = next((demo_data / "train").rglob("*.mp4")).resolve()
    names = [f"http://127.0.0.1:{server.server_port}/a.mp4", f"concat:{good}|{good}", f"subfile,,start,0,end,0,,:{good}", f"file:{good}"]
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("".join(f"{name} 0\n" for name in names * 3))
    lists = ("CONFIG.DATA.TRAIN_ANNO_PATH", "list.txt", "CONFIG.DATA.DECODER", decoder, "CONFIG.DATA.NUM_WORKERS", "0")
    said = error_of(capsys, train, *start(config, *lists))
    assert "training videos cannot be read" in said or "videos in a row cannot be read" in said
    assert server.seen == []


def test_a_name_that_begins_with_a_dash_is_a_name(config, demo_data, tmp_path, monkeypatch):
    good = next((demo_data / "train").rglob("*.mp4")).read_bytes()
    monkeypatch.chdir(tmp_path)
    Path("-vf.mp4").write_bytes(good)
    Path("list.txt").write_text("-vf.mp4 0\n" * 12)
    lists = ("CONFIG.DATA.TRAIN_ANNO_PATH", "list.txt", "CONFIG.DATA.NUM_WORKERS", "0")
    assert train.main(list(map(str, start(config, *lists, "CONFIG.VAL.FREQ", "0", "CONFIG.TRAIN.EPOCH_NUM", "1")))) == 0
    assert read_checkpoint(tmp_path / "runs/run/checkpoints/epoch_0001.pth")["epoch"] == 1


@pytest.fixture
def hostile_shard(demo_data, tmp_path):
    """A folder with a shard whose members' names lead out of it, and a function that writes an index over them with other shard names."""
    folder = tmp_path / "shards"
    folder.mkdir()
    video = next((demo_data / "train").rglob("*.mp4")).read_bytes()
    names = [b"../escaped.mp4", b"/tmp/vidrec-escaped.mp4"]
    with tarfile.open(folder / "shard.tar", "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name.decode())
            member.size = len(video)
            archive.addfile(member, io.BytesIO(video))
    with tarfile.open(folder / "shard.tar") as archive:
        offsets = [member.offset_data for member in archive]

    def write_index(shard_name: str) -> Path:
        shard = ShardFile(shard_name, (folder / "shard.tar").stat().st_size)
        ends, zeros = np.cumsum([0, *map(len, names)]), np.zeros(2, np.int64)
        index = ShardIndex((shard,), b"".join(names), ends, np.array(offsets), zeros + len(video), zeros, zeros, zeros)
        head, arrays = pack_index(index, arrays_name="index.bin")
        (folder / "index.json").write_bytes(head)
        (folder / "index.bin").write_bytes(arrays)
        return folder / "index.json"

    return write_index


def test_members_of_a_shard_are_read_and_never_unpacked(config, tmp_path, hostile_shard):
    more = ("CONFIG.DATA.CLIPS_PER_VIDEO", "1", "CONFIG.TRAIN.BATCH_SIZE", "2", "CONFIG.VAL.FREQ", "0", "CONFIG.TRAIN.EPOCH_NUM", "1")
    assert train.main(list(map(str, start(config, "CONFIG.DATA.TRAIN_ANNO_PATH", hostile_shard("shard.tar"), *more)))) == 0
    assert not (tmp_path / "escaped.mp4").exists() and not Path("/tmp/vidrec-escaped.mp4").exists()


def test_an_index_names_no_shard_outside_its_folder(config, hostile_shard, capsys):
    said = error_of(capsys, train, *start(config, "CONFIG.DATA.TRAIN_ANNO_PATH", hostile_shard("../shard.tar")))
    assert "'../shard.tar' is no plain file name" in said
