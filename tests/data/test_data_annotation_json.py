"""JSON lists are read entry by entry, whatever the blocks in which the file comes; and the message about each mistake."""

import hashlib
import json
import random

import pytest

from vidrec.data.annotations import json_stream, read_table
from vidrec.utils.errors import DataError

DOCUMENTS = [
    "[]",
    "{}",
    '[1, 23, 4.5e3, "a", null, [true, {"b": []}]]',
    ' { "a.mp4" : 3 ,\n"b \\" c.mp4":[0, 3], "\u00e9\\u00e9": {"x": -1} }\r\n',
    json.dumps([{"path": f"v{number}.mp4", "label": number} for number in range(30)], indent=1),
]


def entries(file):
    digest = hashlib.sha256()
    found = list(json_stream.read_json(file, digest.update))
    return found, digest.hexdigest()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 2**22])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_of_any_size_give_what_the_json_library_reads(tmp_path, monkeypatch, document, size):
    file = tmp_path / "l.json"
    file.write_bytes(b"\xef\xbb\xbf" * (size % 2) + document.encode())
    whole = json.loads(document)
    expected = list(whole.items()) if isinstance(whole, dict) else [("", value) for value in whole]
    monkeypatch.setattr(json_stream, "BLOCK_BYTES", size)
    assert entries(file) == (expected, hashlib.sha256(file.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("[1", "Expecting ',' delimiter: line 1 column 3 (char 2)"),
        ('[{"path": "a.mp4", "label": 1}\n {"path"', "Expecting ',' delimiter: line 2 column 2 (char 32)"),
        ("[1,\n]", "Expecting value: line 2 column 1 (char 4)"),
        ("[1] x", "Extra data: line 1 column 5 (char 4)"),
        ("{1: 2}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"a" 2}', "Expecting ':' delimiter: line 1 column 6 (char 5)"),
        ('{"a": 2,}', "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)"),
        ('["a', "Unterminated string starting at: line 1 column 2 (char 1)"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(tmp_path, content, reason):
    (tmp_path / "l.json").write_text(content)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "l.json", num_classes=3)
    assert str(caught.value).startswith(f"{tmp_path}/l.json is not JSON ({reason}")


def test_places_count_from_the_start_of_the_file_and_not_of_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "BLOCK_BYTES", 64)
    monkeypatch.setattr(json_stream, "LONGEST", 100)
    rows = [f'{{"path": "v{number}.mp4", "label": 1}},' for number in range(40)]
    content = "[\n" + "\n".join(rows) + '\n{"path": oops}]'
    (tmp_path / "l.json").write_text(content)
    place = content.index("oops")
    with pytest.raises(DataError, match=rf"Expecting value: line 42 column 10 \(char {place}\)"):
        read_table(tmp_path / "l.json", num_classes=3)


def test_no_utf8_is_no_json(tmp_path):
    (tmp_path / "l.json").write_bytes(b'["\xff"]')
    with pytest.raises(DataError, match=r"l.json is not JSON \('utf-8' codec can't decode byte 0xff"):
        read_table(tmp_path / "l.json", num_classes=3)


def test_labels_that_python_calls_equal_are_not_taken_for_each_other(tmp_path):
    (tmp_path / "l.json").write_text('{"a.mp4": 1, "b.mp4": true, "c.mp4": 1.0, "d.mp4": "1"}')
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "l.json", num_classes=3)
    shown = str(caught.value).splitlines()[1:]
    assert [line.removeprefix(f"  - {tmp_path}/l.json:")[:18] for line in shown] == ["2: label 'true' is", "3: label '1.0' is "]


def test_records_of_changing_keys(tmp_path):
    generator = random.Random(0)
    records = []
    for number in range(300):
        record = {"Path": f"v{number}.mp4", "LABEL": number % 7, "num_frames": number, "note": None}
        keys = [*record]
        generator.shuffle(keys)
        records.append({key: record[key] for key in keys if key != "note" or number % 2})
    (tmp_path / "l.json").write_text(json.dumps(records))
    table = read_table(tmp_path / "l.json", num_classes=7)
    assert table.labels.tolist() == [number % 7 for number in range(300)]
    assert table.num_frames.tolist() == list(range(300))
    assert table.listed_path(299) == "v299.mp4"
