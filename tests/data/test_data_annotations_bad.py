"""Lists that are not what they seem: each gets a message that says so, or is read as it was meant."""

import json
import os
import re
import sys

import pytest

from vidrec.data.annotations import read_class_names, read_table
from vidrec.utils.errors import DataError

# Python 3.10's csv module itself refuses it.
ZERO_IN_CSV = r"'a\x00b.mp4' holds a zero byte" if sys.version_info >= (3, 11) else "is no row of a table (line contains NUL)"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.txt", "a.mp4 1\n".encode("utf-16"), "l.txt is text in UTF-16; UTF-8 is wanted. Save it anew."),
        ("l.json", "[]".encode("utf-16"), "l.json is text in UTF-16"),
        ("l.txt", b"a.mp4 1\rb.mp4 2\r", r"'a.mp4 1\rb.mp4 2' holds a carriage return; lines must end in a line feed, alone or after one."),
        ("l.txt", b"a\0b.mp4 1\n", r"l.txt:1: 'a\x00b.mp4' holds a zero byte, which no path can; the list may be damaged. Correct it."),
        ("l.csv", b"path,label\na\0b.mp4,1\n", ZERO_IN_CSV),
        ("l.json", b'[{"path": "a\\u0000b.mp4", "label": 1}]', r"'a\x00b.mp4' holds a zero byte"),
        ("l.json", b'{"a\\u0000b.mp4": 1}', r"'a\x00b.mp4' holds a zero byte"),
        ("l.json", b'[{"path": ["a.mp4"], "label": 1}]', "path ['a.mp4'] is no text; wanted are records such as"),
        ("l.json", b'[{"path": null, "label": 1}]', "path None is no text"),
        ("l.json", b'[{"path": "\\ud800.mp4", "label": 1}]', r"'\ud800.mp4' holds half a character (surrogates not allowed). Correct it."),
        ("l.json", b'[{"path": "a.mp4", "label": "\\ud800"}]', r"'\ud800' holds half a character"),
        ("l.json", b'[{"path": "a.mp4", "label": 1, "num_frames": true}]', "num_frames 'true' is not an integer"),
        ("l.json", b'[{"path": "a.mp4", "label": 1, "start": 0, "end": Infinity}]', "end 'Infinity' is not a number"),
        ("l.json", b'[{"path": "a.mp4", "label": null}]', "label '' is not an integer"),
        ("l.csv", b"path,label\na.mp4,1\rb.mp4,2\r", r"'a.mp4,1\rb.mp4,2' is no row of a table (new-line character seen in unquoted"),
        (
            "l.csv",
            b'path,label\n"' + b"x" * 200_000 + b'""",1\n',
            "is no row of a table (field larger than field limit (131072)). Correct it.",
        ),
        ("l.csv", b"p" * 200_000 + b",label\n", "label 'label' is not an integer"),
        ("l.csv", b'path,label\n"a\nb.mp4",1\n', "the row has 1 of 2 fields; put fields that hold a delimiter in quotes."),
    ],
)
def test_a_list_that_is_wrong_says_how(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        read_table(tmp_path / name, num_classes=3)


def test_a_pipe_is_no_list(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is no regular file; a text file with lines"):
        read_table(tmp_path / "pipe", num_classes=3)


@pytest.mark.parametrize("other", ['[{"path": "b.mp4", "label": 2}]', '{"b.mp4": 2}', "[1, 2]", "<html>", ""])
def test_another_list_beside_a_json_list_is_not_taken_for_class_names(tmp_path, other):
    (tmp_path / "train_labels.json").write_text('{"a.mp4": 1}')
    (tmp_path / "val_labels.json").write_text(other)
    assert read_table(tmp_path / "train_labels.json", num_classes=3).label(0) == 1


@pytest.mark.parametrize("names", [["x", "y", "z"], {"x": "0", "y": "1", "z": "2"}, {"x": 0, "y": 1, "z": 2}])
def test_class_names_beside_a_json_list_are_taken(tmp_path, names):
    (tmp_path / "train.json").write_text('{"a.mp4": "y"}')
    (tmp_path / "labels.json").write_text(json.dumps(names))
    assert read_table(tmp_path / "train.json", num_classes=3).label(0) == 1


def test_two_classes_of_one_name(tmp_path):
    (tmp_path / "names.txt").write_text("jump\nrun\njump\n")
    message = "names.txt names the classes 0, 2 (from 0) alike, 'jump'; each needs a name of its own. Rename all but one."
    with pytest.raises(DataError, match=re.escape(message)):
        read_class_names(tmp_path / "names.txt", num_classes=3)


def test_names_outside_ascii(tmp_path):
    (tmp_path / "l.json").write_text(json.dumps({"\u4f60\u597d.mp4": 1, "\U0001f600.mp4": 2}))
    table = read_table(tmp_path / "l.json", num_classes=3)
    assert [table.listed_path(row) for row in range(2)] == ["\u4f60\u597d.mp4", "\U0001f600.mp4"]
