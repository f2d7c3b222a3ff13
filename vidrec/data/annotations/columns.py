"""Tables with a header: .csv and .tsv files whose first line names their columns."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from vidrec.data.annotations.chunks import ODD, QUOTE, Chunk, Numbers, number_before, read_chunks
from vidrec.data.annotations.classes import CORRECT, ClassMap
from vidrec.data.annotations.filling import Fields, Filler
from vidrec.data.annotations.line import frame_count, parse_span
from vidrec.data.annotations.rows import NO_SPAN, Row, Rows
from vidrec.utils.errors import DataError

# Names of columns and of record keys, in lower case; where a table has several of a kind, the first of these is taken.
PATH = ("path", "video", "filename", "file", "video_path", "file_path", "filepath", "file_name", "video_name", "folder", "frame_dir")
LABEL = ("label", "labels", "class", "class_name", "category", "target", "action", "label_id", "class_id")
NUM_FRAMES = ("num_frames", "total_frames", "frames", "frame_count", "nframes")
START = ("start", "start_frame", "time_start", "start_time", "start_sec", "start_seconds")
END = ("end", "end_frame", "time_end", "end_time", "end_sec", "end_seconds")
IN_SECONDS = {"time_start", "start_time", "start_sec", "start_seconds"}


class Header(NamedTuple):
    """The columns of a table by what they mean; -1 where there is none."""

    delimiter: str
    width: int
    path: int
    label: int
    num_frames: int
    start: int
    end: int
    seconds: bool

    def __str__(self) -> str:
        """Example: `path,num_frames,label by its header`"""
        names = {self.path: "path", self.label: "label", self.num_frames: "num_frames", self.start: "start", self.end: "end"}
        between = "<tab>" if self.delimiter == "\t" else self.delimiter
        return f"`{between.join(names.get(place, '...') for place in range(self.width))}` by its header"


def has_header(path: Path) -> Header | None:
    """The header of a table; None where the first line names no column for the path and none for the label."""
    with _open(path) as file:
        line = next(_content(file), "")
    for delimiter in (",", "\t", ";"):
        names = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
        places = {name: place for place, name in reversed(list(enumerate(names)))}
        found = [first_key(places, keys) for keys in (PATH, LABEL, NUM_FRAMES, START, END)]
        if found[0] and found[1]:
            columns = [places[name] if name else -1 for name in found]
            return Header(delimiter, len(names), *columns, seconds=found[3] in IN_SECONDS)
    return None


def read_columns(path: Path, header: Header, classes: ClassMap) -> tuple[Rows, str]:
    """The rows of a table with a header, and the SHA-256 of the file. Raises DataError where it lists nothing or rows are wrong."""
    known, digest = _Known(classes), hashlib.sha256()
    filler = Filler(
        path,
        in_bulk=lambda chunk: _fields(chunk, header, known),
        carefully=lambda line, first: _row(line, header, classes),
    )
    for chunk in read_chunks(path, digest.update):
        filler.add(_without_header(chunk) if chunk.number == 1 else chunk)
    filler.mistakes.raise_if_any(str(header))
    if not filler.rows.count:
        raise DataError(f"The annotation file {path} lists no video; at least 1 line below the header is needed. Check the file.")
    return filler.rows, digest.hexdigest()


def first_key(found: Mapping[str, object], keys: tuple[str, ...]) -> str:
    """The first of some keys that is there; '' where none is."""
    return next((key for key in keys if key in found), "")


class _Known(dict):
    """Label fields that were read before, with their class number; -1 for what only the careful reader can judge."""

    def __init__(self, classes: ClassMap):
        self.classes = classes

    def __missing__(self, field: bytes) -> int:
        try:
            labels = self.classes.parse(field)
        except ValueError:
            return -1
        if len(labels) > 1:
            return -1
        self[field] = labels[0]
        return labels[0]


def _without_header(chunk: Chunk) -> Chunk:
    """The lines with the header made a comment, so that numbers stay."""
    header = next(index for index in range(len(chunk)) if chunk.line(index))
    start = int(chunk.starts[header])
    return Chunk(chunk.text[:start] + b"#" + chunk.text[start:], chunk.number)


def _fields(chunk: Chunk, header: Header, known: _Known) -> Fields:
    """The columns of the lines that hold neither quotes nor anything else unusual."""
    data, width = chunk.data, header.width
    delimiters = np.flatnonzero(data == ord(header.delimiter))
    first = np.searchsorted(delimiters, chunk.starts)
    odd = data[chunk.starts] == ord("#")
    odd |= chunk.flags & (QUOTE | ODD) != 0
    plain = ~odd & (np.searchsorted(delimiters, chunk.ends) - first == width - 1)
    # [N, width + 1]: the places before and behind each column
    bounds = np.zeros((len(chunk), width + 1), np.int64)
    bounds[:, 0], bounds[:, -1] = chunk.starts - 1, chunk.ends
    for column in range(1, width):
        bounds[plain, column] = delimiters[first[plain] + column - 1]
    starts, ends = bounds[:, header.path] + 1, bounds[:, header.path + 1]
    blank = np.isin(data, np.frombuffer(b" \t\r", np.uint8))
    plain &= (ends > starts) & ~blank[np.minimum(starts, len(data) - 1)] & ~blank[ends - 1]
    labels = np.full(len(chunk), -1.0)
    fields = zip((bounds[plain, header.label] + 1).tolist(), bounds[plain, header.label + 1].tolist(), strict=True)
    labels[plain] = [known[chunk.text[start:end]] for start, end in fields]
    plain &= labels >= 0
    num_frames, plain = _numbers(data, bounds, header.num_frames, plain)
    if header.start < 0 or header.end < 0:
        return Fields(plain, starts, ends, labels, num_frames.value, None, False)
    start, plain = _numbers(data, bounds, header.start, plain, decimals=True)
    end, plain = _numbers(data, bounds, header.end, plain, decimals=True)
    plain = plain & (end.value > start.value)
    seconds = header.seconds or bool((plain & (start.decimal | end.decimal)).any())
    return Fields(plain, starts, ends, labels, num_frames.value, np.stack([start.value, end.value], axis=1), seconds)


def _numbers(data: np.ndarray, bounds: np.ndarray, column: int, plain: np.ndarray, *, decimals: bool = False) -> tuple[Numbers, np.ndarray]:
    """The numbers of a column, and the plain lines that hold one there; zeros where there is no such column."""
    if column < 0:
        none = np.zeros(len(plain))
        return Numbers(none, plain, none > 0, none), plain
    numbers = number_before(data, bounds[:, column + 1])
    right = numbers.found & (numbers.place == bounds[:, column])
    return numbers, plain & right & (~numbers.decimal | decimals)


def _row(line: bytes, header: Header, classes: ClassMap) -> Row:
    """One row. Raises ValueError saying what is wrong with it."""
    fields = next(csv.reader([line.decode("utf-8", "surrogateescape")], delimiter=header.delimiter))
    if len(fields) != header.width:
        raise ValueError(f"the row has {len(fields)} of {header.width} fields; put fields that hold a delimiter in quotes. {CORRECT}")
    encoded = [field.strip().encode("utf-8", "surrogateescape") for field in fields]
    if not encoded[header.path]:
        raise ValueError(f"the row has no path; wanted is {header}.")
    labels = classes.parse(encoded[header.label])
    num_frames = _count(fields[header.num_frames]) if header.num_frames >= 0 else 0
    span, point = NO_SPAN, False
    if header.start >= 0 and header.end >= 0 and (encoded[header.start] or encoded[header.end]):
        span, point = parse_span(encoded[header.start], encoded[header.end])
    return Row(encoded[header.path], labels, num_frames, span, point or (header.seconds and span != NO_SPAN))


def _count(text: str) -> int:
    return frame_count(text.encode("utf-8", "surrogateescape")) if text.strip() else 0


def _content(file: TextIO) -> Iterator[str]:
    """Each line but empty ones and comments."""
    return (line for line in file if not line.startswith("#") and not line.isspace())


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
