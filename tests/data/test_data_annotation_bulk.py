"""What is read in bulk equals what is read with care, line by line, for lists of any kind of line."""

import random

import numpy as np
import pytest

from vidrec.data.annotations import bulk, chunks, columns, filling, lines, read_table
from vidrec.data.annotations.classes import ClassMap
from vidrec.utils.errors import DataError

PATHS = [
    "a.mp4",
    "b/c d.mp4",
    "clip 12",
    "x-3",
    "x_-4",
    "it's.avi",
    "'q.mp4'",
    '"w x.mp4"',
    '"c 1 2"',
    "v1.5",
    "#n.mp4",
    "a,b.mp4",
    "s+7",
    "e\u0301",
]
NUMBERS = ["3", "0", "+2", "-1", "12345", "1234567890", '"4"', "2.5", "0.25", ".5", "x", "7 ", " 5", "1,3", "jump", "00008"]
LISTS = ["1,3", "0;3", "5|4|3", '"0,3"', '"7"', "2,2", "1,3;4", "-1,3", "4,+2", "1,,3", "9,10", "2.5,1", ";1", ",".join("0123456789" * 2)]
BETWEEN = [" "] * 6 + ["\t", "  ", ",", ",", ", ", " ,"]


def some_list(random_lines: random.Random) -> bytes:
    """A list of mostly equal lines with some of every other kind between."""
    separator, columns = random_lines.choice([" ", ",", "\t"]), random_lines.choice([2, 3, 4])
    last = random_lines.choice(["1", "1", *LISTS[:4]])
    regular = [f"v{{}}.mp4{separator}" + separator.join(["5", "9", last][4 - columns :])]
    made, share = [], random_lines.choice([0.02, 0.1, 0.5])
    for number in range(random_lines.randrange(1, 60)):
        if random_lines.random() > share:
            made.append(regular[0].format(number))
            continue
        parts = [random_lines.choice(PATHS), *random_lines.choices(NUMBERS + LISTS, k=random_lines.randrange(0, 4))]
        line = parts[0] + "".join(random_lines.choice([separator, *BETWEEN]) + part for part in parts[1:])
        made.append(random_lines.choice([line, line, line, " " + line, line + " ", "", "# " + line, line + "\r"]))
    return random_lines.choice(["\n", "\r\n"]).join(made).encode() + random_lines.choice([b"", b"\n"])


WORDS = [
    "jump",
    "Jump",
    "air drumming",
    "air_drumming",
    "x - jump",
    "y z jump",
    "y - z jump",
    "- jump",
    "jump rope",
    "rope",
    "it's",
    "nothing",
]
NAMES = ["jump", "air drumming", "x - jump", "y z jump", "long jump rope now", "jump rope", "it's", "(punching)", "jump!", "z"]


def some_named_list(random_lines: random.Random) -> bytes:
    """A list with names for labels."""
    separator, columns = random_lines.choice([" ", ",", "\t"]), random_lines.choice([2, 2, 3, 4])
    middle, made, share = ["5", "9"][4 - columns :], [], random_lines.choice([0.02, 0.1, 0.5])
    for number in range(random_lines.randrange(1, 40)):
        usual = random_lines.random() > share
        path = f"v{number}.mp4" if usual else random_lines.choice(PATHS)
        label = random_lines.choice(NAMES[:3] if usual else [*WORDS, *NAMES, *NUMBERS, *LISTS])
        made.append(path + "".join((separator if usual else random_lines.choice(BETWEEN)) + part for part in [*middle, label]))
    return random_lines.choice(["\n", "\r\n"]).join(made).encode()


def outcome(file, names=None):
    """All there is to say about a list: the rows, or the message about it."""
    try:
        table = read_table(file, num_classes=10, class_names=names)
    except DataError as error:
        return str(error)
    rows = [(table.listed_path(i), table.label_set(i), table.span(i)) for i in range(len(table))]
    assert table.multi_label == any(len(labels) > 1 for _, labels, _ in rows)
    return rows, table.num_frames.tolist(), table.sha256


@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv"])
def test_text_lists_in_bulk_and_with_care(tmp_path, monkeypatch, suffix):
    file = tmp_path / f"list.{suffix}"
    lists = [some_list(random.Random(seed)) for seed in range(300)]
    found = []
    for content in lists:
        file.write_bytes(content)
        found.append(outcome(file))
    assert sum(isinstance(one, tuple) for one in found) > 40 and sum(isinstance(one, str) for one in found) > 40
    monkeypatch.setattr(lines, "_fast", lambda classes: False)
    for content, expected in zip(lists, found, strict=True):
        file.write_bytes(content)
        assert outcome(file) == expected, content


@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv"])
def test_text_lists_with_names_in_bulk_and_with_care(tmp_path, monkeypatch, suffix):
    file = tmp_path / f"list.{suffix}"
    lists = [some_named_list(random.Random(seed)) for seed in range(200)]
    found = []
    for content in lists:
        file.write_bytes(content)
        found.append(outcome(file, NAMES))
    assert sum(isinstance(one, tuple) for one in found) > 40 and sum(isinstance(one, str) for one in found) > 40
    monkeypatch.setattr(lines, "_fast", lambda classes: False)
    for content, expected in zip(lists, found, strict=True):
        file.write_bytes(content)
        assert outcome(file, NAMES) == expected, content


def test_tables_with_a_header_in_bulk_and_with_care(tmp_path, monkeypatch):
    file, names = tmp_path / "list.csv", [f"class {chr(97 + number)}" for number in range(10)]
    header = "label,start,video,end,num_frames,note\n"
    labels = [*NUMBERS, *names, '"0,3,7"', '"0,3,7"', "1;2", '"class a"', '"class b,class c"', '"0,3', '3"', '"', '""', "\"'3'\""]
    fields = [labels, ["", '"1"', *NUMBERS], [*PATHS, "", '"m,n.mp4"', '""', ' "o.mp4"', '"p""q.mp4"'], ["", "20", *NUMBERS]]
    fields += [['"12"', *NUMBERS], ["", "x", '"a, b"', 'a"b']]
    lists = []
    for seed in range(250):
        rng = random.Random(seed)
        rows = [",".join(["3", "1", f"v{n}.mp4", "2.5" if seed % 2 else "8", "40", ""]) for n in range(rng.randrange(40))]
        rows += [",".join(rng.choice(choices) for choices in fields) for _ in range(rng.randrange(4) * (seed % 3))]
        rng.shuffle(rows)
        lists.append((header + "\n".join(rows)).encode())
    found = []
    for content in lists:
        file.write_bytes(content)
        found.append(outcome(file, names))
    assert sum(isinstance(one, tuple) for one in found) > 40 and sum(isinstance(one, str) for one in found) > 40
    fast = columns._fields
    monkeypatch.setattr(columns, "_fields", lambda *given: fast(*given)._replace(plain=np.zeros(len(given[0]), bool)))
    for content, expected in zip(lists, found, strict=True):
        file.write_bytes(content)
        assert outcome(file, names) == expected, content


def test_clean_lines_are_read_in_bulk(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("first 1 1\n" + 'a.mp4 12 3\n"b c.mp4" 7 2\r\nit\'s.mp4 0 1\n')
    (chunk,) = chunks.read_chunks(file)
    fields = bulk.read_fields(chunk, lines._survey(file, ClassMap(4))[0], 4)
    assert fields.plain.tolist() == [False, True, True, True]  # the first line of a file may have a byte order mark
    assert [chunk.text[start:end] for start, end in zip(fields.path_starts[1:], fields.path_ends[1:], strict=True)] == [
        b"a.mp4",
        b"b c.mp4",
        b"it's.mp4",
    ]
    assert (fields.labels[1:].tolist(), fields.num_frames[1:].tolist()) == ([3, 2, 1], [12, 7, 0])


@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks_of_any_size_give_the_same_rows(tmp_path, monkeypatch, size):
    file = tmp_path / "list.txt"
    file.write_bytes(b"".join(b"v%d.mp4 %d 3\n" % (number, number) for number in range(50)) + b'"w" 7 2')
    expected = outcome(file)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", max(size, 16))
    assert outcome(file) == expected
    assert [chunk.number for chunk in chunks.read_chunks(file)][:2] == ([1, 2] if size < 64 else [1, 6])


def test_line_without_end_is_no_list(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 100)
    (tmp_path / "list.txt").write_bytes(b"a 1\n" + b"x" * 300)
    with pytest.raises(DataError, match=r"list.txt:2: a line of more than 100 bytes; a list of videos is wanted. Check the path."):
        read_table(tmp_path / "list.txt", num_classes=2)


def test_the_first_line_of_a_list_alone_may_be_a_header(tmp_path):
    seen = []
    filler = filling.Filler(
        tmp_path / "list.txt",
        in_bulk=lambda chunk: bulk.read_fields(chunk, lines.Form(None, 2), 4),
        carefully=lambda line, first: seen.append((line, first)) or lines.parse_line(line, lines.Form(None, 2), ClassMap(4), first=first),
    )
    filler.add(chunks.Chunk(b"\n# comment\n a 1\n b 2\nc 3\n d 1\n", 1))
    assert seen == [(b"a 1", True), (b"b 2", False), (b"d 1", False)]
    assert filler.rows.count == 4
