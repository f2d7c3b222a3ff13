"""Every common form of an annotation file, and every message about a wrong one."""

import hashlib
import multiprocessing
import os
import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from vidrec.data.annotations import VideoTable, read_class_names, read_table
from vidrec.data.remote import table_of
from vidrec.utils.errors import DataError


def read(tmp_path: Path, content: str | bytes, num_classes: int = 10, **options) -> VideoTable:
    file = tmp_path / "list.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(file, num_classes=num_classes, **options)


def rows(table: VideoTable) -> list[tuple[str, int, int]]:
    names = [table.path(index).removeprefix(table.folder + "/") for index in range(len(table))]
    return list(zip(names, table.num_frames.tolist(), table.labels.tolist(), strict=True))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a.mp4 12 3\nb/c.mp4 0 4\n", [("a.mp4", 12, 3), ("b/c.mp4", 0, 4)]),
        ("a.mp4 3\nb.mp4 4", [("a.mp4", 0, 3), ("b.mp4", 0, 4)]),
        ("a.mp4\t12\t3\n", [("a.mp4", 12, 3)]),
        ("a.mp4,12,3\nb.mp4, 0 , 4\n", [("a.mp4", 12, 3), ("b.mp4", 0, 4)]),
        ("a.mp4,3\nb.mp4,4\n", [("a.mp4", 0, 3), ("b.mp4", 0, 4)]),
        ("my clip.mp4 12 3\n", [("my clip.mp4", 12, 3)]),
        ("my clip.mp4 3\n", [("my clip.mp4", 0, 3)]),
        ('"my clip.mp4" 12 3\n\'b.mp4\' 1 2\n', [("my clip.mp4", 12, 3), ("b.mp4", 1, 2)]),
        ('"a, b.mp4",3\n"say ""hi"".mp4","4"\n', [("a, b.mp4", 0, 3), ('say "hi".mp4', 0, 4)]),
        ("a,b.mp4 7 3\nc.mp4 7 2\n", [("a,b.mp4", 7, 3), ("c.mp4", 7, 2)]),
        ("clip 12 3\nb.mp4 4\nc.mp4 5\n", [("clip 12", 0, 3), ("b.mp4", 0, 4), ("c.mp4", 0, 5)]),
        ("\ufeffa.mp4 3\r\n\r\n# no video\r\nb.mp4 4\r\n", [("a.mp4", 0, 3), ("b.mp4", 0, 4)]),
        ("v\u00eddeo.mp4 3\n", [("v\u00eddeo.mp4", 0, 3)]),
        ("/elsewhere/a.mp4 3\n", [("/elsewhere/a.mp4", 0, 3)]),
    ],
)
def test_forms(tmp_path, content, expected):
    assert rows(read(tmp_path, content)) == expected


def test_data_folder_with_and_without_slash_and_empty(tmp_path):
    (tmp_path / "videos").mkdir()
    expected = str(tmp_path / "videos" / "a.mp4")
    assert read(tmp_path, "a.mp4 3", data_folder=tmp_path / "videos").path(0) == expected
    assert read(tmp_path, "a.mp4 3", data_folder=f"{tmp_path}/videos/").path(0) == expected
    assert read(tmp_path, "a.mp4 3").path(0) == str(tmp_path / "a.mp4")


def test_path_that_is_not_utf8_comes_through(tmp_path):
    assert read(tmp_path, b"\xff.mp4 3\n").path(0).endswith("\udcff.mp4")


def test_hash_is_of_the_file(tmp_path):
    assert read(tmp_path, "a.mp4 3\n").sha256 == hashlib.sha256(b"a.mp4 3\n").hexdigest()


def test_all_wrong_lines_are_reported_together(tmp_path):
    content = "a.mp4 0 3\nb.mp4 0 ten\nc.mp4 0 10\nd.mp4 x 1\ne.mp4\nf.mp4 1 -1\n" + "ok.mp4 0 0\n" * 9
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    file = tmp_path / "list.txt"
    assert str(caught.value).splitlines() == [
        f"{file} has 5 wrong lines (read as `path num_frames label`):",
        f"  - {file}:2: label 'ten' is not an integer; it must be an integer in [0, 10). Correct it.",
        f"  - {file}:3: label 10 is outside [0, 10); labels count from 0. Correct it, or set CONFIG.DATA.NUM_CLASSES.",
        f"  - {file}:4: num_frames 'x' is not an integer; it must be an integer, 0 where it is unknown. Correct it.",
        f"  - {file}:5: 'e.mp4' has 1 of 3 fields; wanted is `path num_frames label`.",
        f"  - {file}:6: label -1 is outside [0, 10); labels count from 0. Correct it, or set CONFIG.DATA.NUM_CLASSES.",
    ]


def test_only_the_first_line_may_be_a_header(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, "# my list\n\npath label\na.mp4 3.0\nb.mp4 4\nc.mp4 5\n")
    file = tmp_path / "list.txt"
    assert str(caught.value).splitlines()[1:] == [
        f"  - {file}:3: label 'label' is not an integer; it must be an integer in [0, 10). Put # before a header line.",
        f"  - {file}:4: label '3.0' is not an integer; it must be an integer in [0, 10). Correct it.",
    ]


def test_at_most_20_wrong_lines_are_shown(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.mp4,99\n" * 30)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert "has 30 wrong lines (read as `path,label`); the first 20 are:" in lines[0]


def test_empty_list_missing_file_and_missing_folder(tmp_path):
    with pytest.raises(DataError, match=r"list.txt lists no video; at least 1 line `path label` is needed"):
        read(tmp_path, "# nothing\n\n")
    with pytest.raises(DataError, match=r"The annotation file .*none.txt does not exist; .* Check CONFIG.DATA.TRAIN_ANNO_PATH"):
        read_table(tmp_path / "none.txt", num_classes=2)
    with pytest.raises(DataError, match=r"The annotation file .* is a folder; .* Check CONFIG.DATA.TRAIN_ANNO_PATH"):
        read_table(tmp_path, num_classes=2)
    with pytest.raises(DataError, match=r"The annotation file is not given \(''\)"):
        read_table("", num_classes=2)
    with pytest.raises(DataError, match=r"The data folder .*nowhere does not exist; it must hold the videos"):
        read(tmp_path, "a.mp4 1", data_folder=tmp_path / "nowhere")


def test_class_names(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("jump\nrun fast\n\n")
    assert read_class_names(file, num_classes=2) == ["jump", "run fast"]
    with pytest.raises(DataError, match=r"names.txt has 2 class names, but CONFIG.DATA.NUM_CLASSES is 3"):
        read_class_names(file, num_classes=3)
    with pytest.raises(DataError, match=r"CONFIG.DATA.CLASS_NAMES is .*none.txt.* cannot be read"):
        read_class_names(tmp_path / "none.txt", num_classes=3)


def test_table_of_paths():
    table = VideoTable.from_paths(["a.mp4", Path("/b/c.mp4")], folder="/data")
    assert [table.path(0), table.path(1), table.labels.tolist()] == ["/data/a.mp4", "/b/c.mp4", [-1, -1]]
    assert len(VideoTable.from_paths([])) == 0


def test_rows_that_repeat_a_path_come_with_its_first_row():
    assert VideoTable.from_paths(["a", "b", "a", "c", "b", "a"]).repeats().tolist() == [[0, 2], [1, 4], [0, 5]]
    assert VideoTable.from_paths(["a", "b"]).repeats().tolist() == []
    assert VideoTable.from_paths([]).repeats().tolist() == []


def test_table_travels_to_a_process_by_reference():
    table = VideoTable.from_paths([f"{number:040}.mp4" for number in range(100_000)])
    assert pickle.loads(pickle.dumps(table)).path(7) == table.path(7)
    assert len(ForkingPickler.dumps(table)) < 2_000  # 4.4 MB of paths stay in shared memory
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        assert pool.apply(table.path, (99_999,)) == table.path(99_999)


def test_a_stamp_tells_a_file_from_another_of_its_path(tmp_path):
    table = VideoTable.from_paths(["a.mp4", "missing.mp4"], folder=str(tmp_path))
    (tmp_path / "a.mp4").write_bytes(b"12345")
    os.utime(tmp_path / "a.mp4", ns=(0, 1_500_000_000_123_456_000))
    assert table.stamp(0) == (5, 1_500_000_000_123_456_000)
    assert (table.stamp(1), table_of(["http://127.0.0.1/a.mp4"]).stamp(0)) == ((0, 0), (0, 0))
