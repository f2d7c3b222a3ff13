"""Shards: the same samples as from files, by path, memory and HTTP, and an end to everything that can go wrong on the way."""

import hashlib
import shutil
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from range_server import RangeServer
from video_files import write_video

from vidrec.commands.make_shards import make_shards
from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.build import build_dataset, build_loader, build_sampler
from vidrec.data.manifest import ManifestRow, write_manifest
from vidrec.data.shards.fetch import Patience
from vidrec.data.shards.table import open_shards
from vidrec.data.sources import open_table
from vidrec.utils.errors import DataError, UserError, VideoError

QUICK = Patience(attempts=3, back_off=0.01, stall=1.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with `list.txt`, 9 videos (one of them an HTML page, one with an odd name) and their `shards/`."""
    folder = tmp_path_factory.mktemp("made")
    names = [f"v{number}.mp4" for number in range(7)] + ["-odd name.1.mkv", "page.mp4"]
    for name in names[:-1]:
        write_video(folder / name, 10, noisy=True, hidden=2 if name == "v3.mp4" else 0)
    (folder / names[-1]).write_text("<html>not found</html>")
    (folder / "list.txt").write_text("".join(f"{name} 0 {row % 3}\n" for row, name in enumerate(names)))
    make_shards(str(folder / "list.txt"), folder / "shards", size="40KB")
    return folder


@pytest.fixture
def shards(made, tmp_path) -> Path:
    """A copy of the shards that a test may spoil."""
    return shutil.copytree(made / "shards", tmp_path / "shards")


def make_cfg(annotation: str, workers: int = 0):
    cfg = get_cfg_defaults()
    data = cfg.CONFIG.DATA
    data.TRAIN_ANNO_PATH = data.VAL_ANNO_PATH = annotation
    data.NUM_CLASSES, data.CLIP_LEN, data.FRAME_RATE, data.NUM_WORKERS = 3, 4, 2, workers
    data.SHORT_SIDE_SIZE, data.CROP_SIZE, data.KEEP_ASPECT_RATIO = 40, 32, True
    data.TEST_NUM_SEGMENT, data.TEST_NUM_CROP = 2, 1
    cfg.CONFIG.TRAIN.BATCH_SIZE, cfg.CONFIG.TRAIN.SEED = 3, 11
    return cfg


def epoch_digest(annotation: str, *, workers: int, skip: int = 0, epoch: int = 1) -> list[str]:
    """For each batch of an epoch, a hash of the rows and pixels in it."""
    from vidrec.data.loaders import make_loader

    cfg = make_cfg(annotation)
    dataset = build_dataset(cfg, "train")
    sampler = build_sampler(cfg, dataset, "train", rank=0, world_size=1)
    sampler.set_epoch(epoch)
    sampler.skip_batches(skip)
    batches = make_loader(dataset, sampler, batch_size=3, num_workers=workers)
    return [hashlib.sha256(batch.indices.numpy().tobytes() + batch.clips.numpy().tobytes()).hexdigest() for batch in batches]


def test_an_epoch_from_shards_equals_the_one_from_files(made):
    expected = epoch_digest(str(made / "list.txt"), workers=0)
    assert len(set(expected)) == 3
    for workers in (0, 2):
        assert epoch_digest(str(made / "shards/index.json"), workers=workers) == expected
        with RangeServer(made / "shards") as server:
            assert epoch_digest(f"{server.url}/index.json", workers=workers) == expected
    assert epoch_digest(str(made / "shards/index.json"), workers=0, skip=2) == expected[2:]
    assert epoch_digest(f"file://{made}/shards/index.json", workers=0) == expected
    memory = fsspec.filesystem("memory")
    memory.put(str(made / "shards") + "/", "/bucket/train/", recursive=True)
    assert epoch_digest("memory://bucket/train/index.json", workers=0) == expected


def test_test_videos_from_shards_equal_those_from_files(made):
    one, other = (build_dataset(make_cfg(str(made / name)), "test") for name in ("list.txt", "shards/index.json"))
    assert len(one) == len(other) == 9
    for row in range(8):
        assert np.array_equal(one[row].frames.numpy(), other[row].frames.numpy())
        assert one[row].label == other[row].label
    assert (
        other[7].path
        == f"{made}/shards/{open_table(str(made / 'shards/index.json'), data_folder='', num_classes=3).path(7).split('/')[-1]}"
    )
    assert other[7].path.endswith(".tar#00000007--odd_name_1.mkv")
    assert other[8].failure.reason == (
        f"{other[8].path} cannot be read: Invalid data found when processing input; a video file that FFmpeg can decode is wanted. "
        "Fetch or encode it again."
    )


@pytest.mark.parametrize("decoder", ["auto", "decord", "pyav"])
def test_every_reader_reads_from_memory_what_it_reads_from_files(made, decoder):
    from vidrec.data.decoders import open_video

    table = open_table(str(made / "shards/index.json"), data_folder="", num_classes=3)
    with open_video(table.source(1), decoder) as inside, open_video(made / "v1.mp4", decoder) as outside:
        assert (len(inside), inside.fps) == (len(outside), outside.fps) == (10, 25.0)
        assert np.array_equal(inside.get_frames([3, 0, 3]).numpy(), outside.get_frames([3, 0, 3]).numpy())
        with pytest.raises(IndexError):
            inside.get_frames([10])


def test_one_range_request_brings_one_video(made):
    with RangeServer(made / "shards") as server:
        table = open_shards(f"{server.url}/index.json", num_classes=3)
        server.requests.clear()
        content = table.source(4).content
        assert content == (made / "v4.mp4").read_bytes()
        assert len(server.requests) == 1
        first, last = server.requests[0][1].removeprefix("bytes=").split("-")
        assert int(last) + 1 - int(first) == 512 + len(content)


def test_requests_that_fail_in_passing_are_tried_again(made):
    with RangeServer(made / "shards") as server:
        table = open_shards(f"{server.url}/index.json", num_classes=3, patience=QUICK)
        server.statuses = [503, 429]
        assert table.source(0).content == (made / "v0.mp4").read_bytes()
        server.cuts = 2
        assert table.source(0).content == (made / "v0.mp4").read_bytes()


def test_an_epoch_survives_a_store_that_fails_at_every_tenth_request(made):
    expected = epoch_digest(str(made / "list.txt"), workers=0)
    with RangeServer(made / "shards", fail_every=10) as server:
        assert epoch_digest(f"{server.url}/index.json", workers=2) == expected


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"statuses": [503] * 9}, "3 attempts failed, the last with ClientResponseError: 503, message='Service Unavailable'"),
        ({"statuses": [404]}, "there is no such file"),
        ({"statuses": [403]}, "the server answers 403 Forbidden"),
        ({"cuts": 9}, "3 attempts failed, the last with ClientPayloadError: "),
        ({"stall": 30.0}, "3 attempts failed, the last with FSTimeoutError"),
        ({"ranges": False}, "the store sends more than the range asked for; one that supports range requests is needed."),
    ],
)
def test_reads_that_fail_end_with_shard_member_and_offset(made, rules, reason):
    with RangeServer(made / "shards") as server:
        table = open_shards(f"{server.url}/index.json", num_classes=3, patience=QUICK._replace(stall=0.3, attempts=3))
        for name, value in rules.items():
            setattr(server, name, value)
        started = time.monotonic()
        with pytest.raises(VideoError) as caught:
            table.source(1)
        assert time.monotonic() - started < 10
        size = (made / "v1.mp4").stat().st_size
        start = f"{server.url}/shard-000000.tar#00000001-v1.mp4 ({size:,} bytes at byte "
        assert str(caught.value).startswith(start) and reason in str(caught.value)


def test_a_store_without_an_answer_is_no_hang(made, monkeypatch):
    """A file system whose calls cannot be interrupted is left to itself after the time limit."""
    memory = fsspec.filesystem("memory")
    memory.put(str(made / "shards") + "/", "/slow/", recursive=True)
    table = open_shards("memory://slow/index.json", num_classes=3, patience=Patience(attempts=2, back_off=0.01, stall=0.2))
    monkeypatch.setattr(type(memory), "cat_file", lambda *arguments, **options: time.sleep(60))
    with pytest.raises(VideoError, match=r"slow/shard-000000.tar#00000000-v0.mp4 .*2 attempts failed, .* no answer within 0\.\d+ seconds"):
        table.source(0)


@pytest.mark.parametrize("remote", [False, True])
def test_truncated_shard_is_named(shards, remote):
    with RangeServer(shards) as server:
        table = open_shards(f"{server.url if remote else shards}/index.json", num_classes=3, patience=QUICK)
        last = shards / table.path(7).split("/")[-1].split("#")[0]
        whole = last.read_bytes()
        place = int(table._offset[7])
        for kept, reason in ((place + 100, "the shard is cut short, 100 bytes come; copy it again."), (place - 512, "")):
            last.write_bytes(whole[:kept])
            with pytest.raises(VideoError) as caught:
                table.source(7)
            assert f"{last.name}#00000007--odd_name_1.mkv ({int(table._size[7]):,} bytes at byte {place:,}) cannot be read: " in str(
                caught.value
            )
            assert reason in str(caught.value)
    last.unlink()
    with pytest.raises(VideoError, match="cannot be read: there is no such file; check the store"):
        open_shards(f"{shards}/index.json", num_classes=3).source(7)


def test_a_shard_of_another_index_is_noticed(shards, made):
    table = open_shards(str(shards / "index.json"), num_classes=3)
    shard = shards / "shard-000000.tar"
    content = bytearray(shard.read_bytes())
    offset = int(table._offset[1])
    content[offset - 512 : offset - 504] = b"00000009"
    shard.write_bytes(content)
    with pytest.raises(VideoError, match=r"there is no member .*; index and shard do not belong together, copy both"):
        table.source(1)
    content[offset - 512 : offset] = content[:512]
    shard.write_bytes(content)
    with pytest.raises(VideoError, match=r"'00000000-v0.mp4' of [0-9,]+ bytes is there; index and shard do not belong together"):
        table.source(1)


def test_an_unreadable_member_costs_one_sample_and_is_reported(made):
    cfg = make_cfg(str(made / "shards/index.json"), workers=1)
    dataset = build_dataset(cfg, "train")
    sampler = build_sampler(cfg, dataset, "train", rank=0, world_size=1)
    loader = build_loader(cfg, dataset, sampler, "train", local_world_size=1, pin_memory=False)
    failures = [failure for batch in loader for failure in batch.failures]
    assert {failure.path.split("#")[1] for failure in failures} == {"00000008-page.mp4"}
    assert all(failure.path in failure.reason for failure in failures)


def test_urls_that_cannot_be_opened_are_explained(made, tmp_path):
    with pytest.raises(UserError, match=r"gibberish://x/index.json cannot be opened: .*gibberish.*; a local path or a URL"):
        open_shards("gibberish://x/index.json", num_classes=3)
    with pytest.raises(
        DataError, match=r"The shard index file://.*/none.json cannot be read: none.json: there is no such file; .*TRAIN_ANNO_PATH"
    ):
        open_table(f"file://{tmp_path}/none.json", data_folder="", num_classes=3)
    with pytest.raises(DataError, match=r"The data folder is '/data', but .*index.json is a shard index, .*; '' is wanted"):
        open_table(str(made / "shards/index.json"), data_folder="/data", num_classes=3)
    with pytest.raises(DataError, match=r"index.json has 3 labels outside \[0, 2\).*\n  - 00000002-v2.mp4: label 2\n"):
        open_table(str(made / "shards/index.json"), data_folder="", num_classes=2)


def test_package_that_a_protocol_needs_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.http", raising=False)
    sys.modules["fsspec.registry"]._registry.pop("http", None)
    with pytest.raises(UserError, match=r"cannot be opened: .*aiohttp.*Install it: pip install aiohttp"):
        open_shards("http://127.0.0.1:9/index.json", num_classes=3)


def test_a_manifest_leaves_members_of_shards_out(made, tmp_path):
    index = str(made / "shards/index.json")
    table = open_table(index, data_folder="", num_classes=3)
    rows = [ManifestRow(table.path(row), "hung" if row in (0, 8) else "ok", 10, 25.0, 64, 48, 0, "h264", "", "") for row in range(9)]
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        write_manifest(file, rows)
    cfg = make_cfg(index)
    cfg.CONFIG.DATA.MANIFEST = str(tmp_path / "manifest.csv")
    kept = build_dataset(cfg, "train").table
    assert [kept.path(row) for row in range(7)] == [table.path(row) for row in range(1, 8)]
    assert kept.source(1).content == (made / "v2.mp4").read_bytes()
    assert kept.labels.tolist() == [1, 2, 0, 1, 2, 0, 1]
