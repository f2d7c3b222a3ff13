"""The index of shards: packed and read back, and everything that can be wrong with one, in one message."""

import hashlib
import json

import numpy as np
import pytest

from vidrec.data.shards.index import ShardFile, ShardIndex, pack_index, read_arrays, read_head
from vidrec.utils.errors import DataError

WHERE = "http://host/train/index.json"


def make_index(**changes) -> ShardIndex:
    names = [b"00000000-a.mp4", b"00000001-b.mp4", b"00000002-c.avi"]
    index = ShardIndex(
        shards=(ShardFile("shard-000000.tar", 10240), ShardFile("shard-000001.tar", 20480)),
        names=b"".join(names),
        name_ends=np.array([0, 14, 28, 42]),
        offset=np.array([512, 4096, 512]),
        size=np.array([100, 6144, 1]),
        shard=np.array([0, 0, 1], dtype=np.int32),
        label=np.array([2, 0, 1], dtype=np.int32),
        num_frames=np.array([0, 30, 7], dtype=np.int32),
    )
    return index._replace(**changes)


def read_back(index: ShardIndex) -> ShardIndex:
    head, arrays = pack_index(index, arrays_name="index.bin")
    return read_arrays(read_head(head, WHERE), arrays, WHERE)


def test_an_index_comes_back_as_it_was_packed():
    index = read_back(make_index())
    assert index.shards == (ShardFile("shard-000000.tar", 10240), ShardFile("shard-000001.tar", 20480))
    assert [index.name(row) for row in range(3)] == ["00000000-a.mp4", "00000001-b.mp4", "00000002-c.avi"]
    assert (index.offset.tolist(), index.size.tolist(), index.shard.tolist()) == ([512, 4096, 512], [100, 6144, 1], [0, 0, 1])
    assert (index.label.tolist(), index.num_frames.tolist()) == ([2, 0, 1], [0, 30, 7])
    assert pack_index(index, arrays_name="index.bin") == pack_index(make_index(), arrays_name="index.bin")


def test_an_entry_costs_36_bytes_and_its_name():
    _, arrays = pack_index(make_index(), arrays_name="index.bin")
    assert len(arrays) == 3 * 36 + 8 + 42


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"size": np.array([100, 6145, 1])},
            "00000001-b.mp4: 6,145 bytes at byte 4,096 do not lie in shard-000000.tar, which has 10,240 bytes",
        ),
        ({"offset": np.array([0, 4096, 512])}, "00000000-a.mp4: 100 bytes at byte 0 do not lie in shard-000000.tar"),
        ({"offset": np.array([700, 4096, 512])}, "00000000-a.mp4: 100 bytes at byte 700 do not lie in"),
        ({"size": np.array([100, 2**63 - 1, 1])}, "00000001-b.mp4: 9,223,372,036,854,775,807 bytes at byte 4,096 do not lie in"),
        ({"offset": np.array([512, -512, 512])}, "00000001-b.mp4: 6,144 bytes at byte -512 do not lie in"),
        ({"size": np.array([0, 6144, 1])}, "00000000-a.mp4: 0 bytes at byte 512 do not lie in"),
        ({"shard": np.array([0, 0, 2], dtype=np.int32)}, "00000002-c.avi: shard 2 of 2 does not exist"),
        ({"names": b"00000000-a.mp400000000-a.mp400000002-c.avi"}, "00000000-a.mp4: two members have this name"),
    ],
)
def test_wrong_entries_are_named(changes, line):
    with pytest.raises(DataError) as caught:
        read_back(make_index(**changes))
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        f"The shard index {WHERE} has 1 wrong entry; each must be a member of its own inside its shard. "
        "Make the shards anew with tools/prepare/make_shards.py, or copy the whole folder again:"
    )
    assert lines[1].startswith(f"  - {line}") and len(lines) == 2


def test_all_wrong_entries_come_in_one_message():
    with pytest.raises(DataError, match="has 3 wrong entries") as caught:
        read_back(make_index(offset=np.array([0, 0, 0])))
    assert len(str(caught.value).splitlines()) == 4


def test_places_of_names_must_rise():
    with pytest.raises(DataError, match="is no shard index: the places of its names do not rise from the first byte to the last"):
        read_back(make_index(name_ends=np.array([0, 28, 14, 42])))


def changed_head(**changes) -> bytes:
    return json.dumps(json.loads(pack_index(make_index(), arrays_name="index.bin")[0]) | changes).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>", "is no shard index: it is no JSON"),
        (b"[1]", 'is no shard index: it has no "format": "vidrec-shards"'),
        (changed_head(format="parquet"), 'it has no "format": "vidrec-shards"'),
        (changed_head(version=2), "has version 2; this vidrec reads version 1. Make the shards anew"),
        (changed_head(videos=0), "it has no video"),
        (changed_head(videos="3"), "ValueError: '3' is no count"),
        (changed_head(shards=[{"name": "../secret.tar", "size": 1}]), "ValueError: '../secret.tar' is no plain file name"),
        (changed_head(shards=[{"name": "http://evil/x.tar", "size": 1}]), "is no plain file name"),
        (changed_head(shards=[{"name": "a.tar"}]), "KeyError: 'size'"),
        (changed_head(shards=[{"name": "a.tar", "size": 1}] * 2), "it names a shard twice"),
        (changed_head(arrays={"name": "..", "size": 1, "sha256": ""}), "'..' is no plain file name"),
    ],
)
def test_what_is_no_index_is_refused(content, reason):
    with pytest.raises(DataError) as caught:
        read_head(content, WHERE)
    assert WHERE in str(caught.value) and reason in str(caught.value)


def test_arrays_of_another_index_are_refused():
    head, arrays = pack_index(make_index(), arrays_name="index.bin")
    for other in (arrays[:-1], arrays[:-1] + b"x"):
        with pytest.raises(DataError, match=r"index.bin beside the shard index .* has 158 bytes; the file|has 157 bytes; the file of 158"):
            read_arrays(read_head(head, WHERE), other, WHERE)
    liar = json.loads(head) | {"videos": 10**6}
    with pytest.raises(DataError, match=r"index.bin is too short for 1000000 videos"):
        read_arrays(read_head(json.dumps(liar).encode(), WHERE), arrays, WHERE)
    assert json.loads(head)["arrays"]["sha256"] == hashlib.sha256(arrays).hexdigest()
