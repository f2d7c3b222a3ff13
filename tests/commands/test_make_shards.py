"""tools/prepare/make_shards.py: plain tar files in WebDataset's layout, the same bytes every time, gone on with after a kill."""

import hashlib
import json
import os
import tarfile

import pytest
from tool_runs import run_tool

from vidrec.commands import make_shards as command
from vidrec.commands.make_shards import make_shards, parse_size
from vidrec.data.shards.write import Sample, plan_shards
from vidrec.utils.errors import DataError


@pytest.fixture
def listed(tmp_path):
    """A list of 5 files, which need be no videos here."""
    folder = tmp_path / "data"
    (folder / "b").mkdir(parents=True)
    names = ["b/one.mp4", "two words.v2.AVI", "-three.webm", "four", "five.mp4"]
    for number, name in enumerate(names):
        (folder / name).write_bytes(bytes([number]) * (3000 + number))
    (folder / "list.txt").write_text("".join(f"{name} {10 + number} {number}\n" for number, name in enumerate(names)))
    return folder / "list.txt"


def content(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "plan.json"}


def test_shards_have_the_layout_of_webdataset(listed, tmp_path):
    make_shards(str(listed), tmp_path / "out", size="14KB")
    shards = [f"shard-00000{number}.tar" for number in range(5)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.bin", "index.json", "plan.json", *shards]
    members = {}
    for path in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(path, "r:") as tar:
            members |= {member.name: tar.extractfile(member).read() for member in tar}
    assert list(members) == [
        "00000000-one.mp4", "00000000-one.cls", "00000000-one.json",
        "00000001-two_words_v2.avi", "00000001-two_words_v2.cls", "00000001-two_words_v2.json",
        "00000002--three.webm", "00000002--three.cls", "00000002--three.json",
        "00000003-four.video", "00000003-four.cls", "00000003-four.json",
        "00000004-five.mp4", "00000004-five.cls", "00000004-five.json",
    ]  # fmt: skip
    assert members["00000001-two_words_v2.avi"] == b"\x01" * 3001
    assert members["00000001-two_words_v2.cls"] == b"1"
    assert json.loads(members["00000001-two_words_v2.json"]) == {"path": "two words.v2.AVI", "label": 1, "num_frames": 11}


def test_the_same_videos_give_the_same_bytes(listed, tmp_path):
    make_shards(str(listed), tmp_path / "one", size="20KiB")
    for path in listed.parent.rglob("*.*"):
        os.utime(path, (1, 1))
    make_shards(str(listed), tmp_path / "other", size="20KiB")
    assert content(tmp_path / "one") == content(tmp_path / "other")
    assert sorted(content(tmp_path / "one")) == ["index.bin", "index.json", "shard-000000.tar", "shard-000001.tar"]


def test_a_killed_run_goes_on_with_the_shards_that_are_whole(listed, tmp_path, capsys):
    out = tmp_path / "out"
    make_shards(str(listed), out, size="14KB")
    expected, kept = content(out), (out / "shard-000001.tar").stat().st_mtime_ns
    for name in ("index.json", "index.bin", "shard-000003.tar"):
        (out / name).unlink()
    (out / "shard-000003.tar.tmp.999999999").write_bytes(b"half of it")
    make_shards(str(listed), out, size="14KB")
    assert content(out) == expected
    assert (out / "shard-000001.tar").stat().st_mtime_ns == kept
    make_shards(str(listed), out, size="14KB")
    assert capsys.readouterr().out.splitlines()[-1] == f"{out} holds these 5 shards of 5 videos already; kept."


def test_nothing_is_overwritten_unless_asked(listed, tmp_path):
    out = tmp_path / "out"
    make_shards(str(listed), out, size="14KB")
    with pytest.raises(DataError, match=r"out holds shards of another list, .* replace them with --force"):
        make_shards(str(listed), out, size="20KiB")
    (out / "mine.txt").write_text("kept")
    make_shards(str(listed), out, size="20KiB", force=True)
    assert sorted(path.name for path in out.glob("*.tar")) == ["shard-000000.tar", "shard-000001.tar"]
    assert (out / "mine.txt").read_text() == "kept"
    with pytest.raises(DataError, match="data is not empty and holds no shards of this tool; a new or empty folder"):
        make_shards(str(listed), listed.parent, force=True)


def test_videos_that_are_missing_or_empty_are_all_named(listed, tmp_path):
    (listed.parent / "b/one.mp4").unlink()
    (listed.parent / "four").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        make_shards(str(listed), tmp_path / "out")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("2 of 5 videos cannot be put into shards; all must be there. Mend the list, or take the cleaned one of ")
    assert "b/one.mp4 cannot be read: No such file" in lines[1] and "four cannot be read: it is empty" in lines[2]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("longer", [False, True])
def test_a_file_that_changes_while_it_is_copied_is_noticed(listed, tmp_path, monkeypatch, longer):
    """The plan is made from lengths; here a file changes between the plan and the copy."""
    prepare = command._prepare

    def change(*arguments):
        (listed.parent / "five.mp4").write_bytes(b"x" * (4000 if longer else 2000))
        return prepare(*arguments)

    monkeypatch.setattr(command, "_prepare", change)
    with pytest.raises(DataError, match=r"five.mp4 has changed its length while the shards were written; it must stay as it is"):
        make_shards(str(listed), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["plan.json"]


def test_shards_are_as_full_as_they_may_be():
    samples = [Sample(row, f"/v{row}", f"v{row}.mp4", 0, 0, size) for row, size in enumerate([100, 5000, 60000, 100])]
    assert [[sample.row for sample in shard] for shard in plan_shards(samples, 20480)] == [[0, 1], [2], [3]]
    assert [len(shard) for shard in plan_shards(samples, 10**9)] == [4]


@pytest.mark.parametrize(
    ("text", "size"), [("256MB", 256_000_000), ("64MiB", 67_108_864), ("1 gb", 10**9), ("20480", 20480), ("10kib", 10240)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1GB", "1TB", "10239", "1.5GB"])
def test_senseless_sizes_are_refused(text):
    with pytest.raises(DataError, match=r"--size is '.*'; it must be at least 10240 bytes, such as 64MiB, 256MB or 1GB"):
        parse_size(text)


def test_the_tool_as_a_user_types_it(listed, tmp_path):
    done = run_tool("prepare/make_shards.py", "--list", listed, "--out", tmp_path / "out")
    assert done.stdout == f"5 videos in 1 shards: {tmp_path / 'out' / 'index.json'}\n"


def test_a_folder_that_cannot_be_written_is_one_message(listed, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(["--list", str(listed), "--out", "/proc/nowhere"])
    assert caught.value.code == 1
    assert "The shards cannot be written to /proc/nowhere: " in capsys.readouterr().err
