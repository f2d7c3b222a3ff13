"""One line of a text list, read with care: quotes, blanks in paths, signs, names for labels."""

import re
from typing import NamedTuple

from vidrec.data.annotations.classes import CORRECT, ClassMap, is_integer, is_label_list, text_of, unquoted
from vidrec.data.annotations.rows import NO_SPAN, Row

COLUMNS = {2: ("path", "label"), 3: ("path", "num_frames", "label"), 4: ("path", "start", "end", "label")}
HEADER = "Put # before a header line."
_NUMBER = re.compile(rb"\d{1,9}(?:\.\d{1,9})?")
_EXTENSION = re.compile(rb"\.\w{2,4}[\"']?$")


class Form(NamedTuple):
    """How the lines of a list are read.

    Args:
        delimiter: between fields; None stands for any number of blanks (spaces, tabs).
        columns: 2, 3 or 4 (COLUMNS).
    """

    delimiter: bytes | None
    columns: int

    def __str__(self) -> str:
        """Example: `path num_frames label`"""
        between = {None: " ", b",": ",", b"\t": "<tab>"}[self.delimiter]
        return f"`{between.join(COLUMNS[self.columns])}`"


class Ends(NamedTuple):
    """What lines end in, counted per delimiter to find the form of a list."""

    one: int = 0  # a label
    two: int = 0  # an integer and a label
    three: int = 0  # start, end above start, and a label

    def plus(self, other: "Ends") -> "Ends":
        return Ends(*(mine + its for mine, its in zip(self, other, strict=True)))


def count_ends(line: bytes, delimiters: tuple[bytes | None, ...], classes: ClassMap) -> list[Ends]:
    """What a line ends in, for each delimiter."""
    blanks = _take_label(line, None, classes)
    several = len(blanks) == 2 and is_label_list(blanks[1]) and b"," in blanks[1] and _names_a_video(blanks[0])
    counts = []
    for delimiter in delimiters:
        fields = blanks if delimiter is None else _take_label(line, delimiter, classes)
        known = len(fields) == 2 and (classes.is_label(fields[1]) or is_label_list(fields[1]))
        if not known or (several and delimiter == b","):
            counts.append(Ends())  # `a.mp4 0,3,7` is no list of commas
            continue
        before = fields[0].rsplit(delimiter, 2)
        two = len(before) > 1 and is_integer(before[-1])
        three = len(before) > 2 and _is_span(before[-2], before[-1])
        counts.append(Ends(1, int(two), int(three)))
    return counts


def parse_line(line: bytes, form: Form, classes: ClassMap, *, first: bool) -> Row:
    """The video that a line names.

    Args:
        line: without line end and outer blanks, not empty.
        first: it is the first of its list, and may be a header.

    Raises:
        ValueError: saying what is wrong with it.
    """
    fields = _take_label(line, form.delimiter, classes)
    if len(fields) == 2:
        fields = [*fields[0].rsplit(form.delimiter, form.columns - 2), fields[1]]
    if len(fields) < form.columns:
        raise ValueError(f"{text_of(line)!r} has {len(fields)} of {form.columns} fields; wanted is {form}.")
    path = unquoted(fields[0].strip())
    if not path:
        raise ValueError(f"{text_of(line)!r} has no path; wanted is {form}.")
    if b"\r" in path:
        raise ValueError(
            f"{text_of(line)!r:.80} holds a carriage return; lines must end in a line feed, alone or after one. Convert the file."
        )
    check_path(path)
    remedy = HEADER if first else CORRECT
    labels = classes.parse(fields[-1], remedy)
    if form.columns == 3:
        return Row(path, labels, frame_count(fields[1], remedy))
    span, seconds = parse_span(fields[1], fields[2], remedy) if form.columns == 4 else (NO_SPAN, False)
    return Row(path, labels, 0, span, seconds)


def check_path(path: bytes) -> None:
    """Raises ValueError for a path with a zero byte, which no file can have."""
    if b"\0" in path:
        raise ValueError(f"{text_of(path)!r:.80} holds a zero byte, which no path can; the list may be damaged. {CORRECT}")


def frame_count(field: bytes, remedy: str = CORRECT) -> int:
    """The integer of a num_frames field. Raises ValueError where it holds none."""
    content = unquoted(field.strip())
    if not is_integer(content):
        raise ValueError(f"num_frames {text_of(content)!r} is not an integer; it must be an integer, 0 where it is unknown. {remedy}")
    return int(content)


def parse_span(start: bytes, end: bytes, remedy: str = CORRECT) -> tuple[tuple[float, float], bool]:
    """(start, end) of two fields, and whether one has a decimal point, which means seconds. Raises ValueError for no span."""
    limits = []
    for name, field in (("start", start), ("end", end)):
        content = unquoted(field.strip())
        if not _NUMBER.fullmatch(content):
            raise ValueError(f"{name} {text_of(content)!r} is not a number; it must be frames (whole) or seconds (with a point). {remedy}")
        limits.append(float(content))
    if limits[1] <= limits[0]:
        raise ValueError(f"end {limits[1]:g} is not above start {limits[0]:g}; the end is the first frame or second left out. {remedy}")
    return (limits[0], limits[1]), b"." in start or b"." in end


def _take_label(line: bytes, delimiter: bytes | None, classes: ClassMap) -> list[bytes]:
    """[what stands before the label, the label], or the whole line alone where nothing is separated."""
    mark = line[-1:]
    if mark in (b'"', b"'") and (start := line.rfind(mark, 0, -1)) > 0:
        before = line[:start] if delimiter is None else line[:start].rstrip(b" \t" if delimiter == b"," else b" ")
        if before.endswith(delimiter or (b" ", b"\t")):
            return [before[: -len(delimiter or b" ")].rstrip(), line[start:]]
    for count in classes.word_counts if delimiter is None else ():
        words = line.rsplit(None, count)
        if len(words) > count and classes.number(text_of(b" ".join(words[1:]))) is not None:
            return [words[0], b" ".join(words[1:])]
    return line.rsplit(delimiter, 1)


def _is_span(start: bytes, end: bytes) -> bool:
    try:
        parse_span(start, end)
    except ValueError:
        return False
    return True


def _names_a_video(text: bytes) -> bool:
    """Whether what stands before `0,3` looks like a whole path or a path with a number, so that the comma separates labels."""
    return bool(_EXTENSION.search(text)) or (len(text.rsplit(None, 1)) == 2 and is_integer(text.rsplit(None, 1)[1]))
