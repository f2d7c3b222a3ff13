"""Tables with a header: .csv and .tsv files whose first line names their columns."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from vidrec.data.annotations.chunks import ODD, QUOTE, Chunk, Numbers, is_any, number_before, read_chunks
from vidrec.data.annotations.classes import CORRECT, MAX_KEPT, ClassMap
from vidrec.data.annotations.filling import Fields, Filler
from vidrec.data.annotations.line import check_path, frame_count, parse_span
from vidrec.data.annotations.rows import NO_SPAN, More, Row, Rows
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
        try:
            names = [name.strip().lower() for name in _split(line, delimiter)]
        except ValueError:
            return None
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
    """Label fields that were read before, with the place of their labels in `sets`; -1 for what only the careful reader can judge."""

    def __init__(self, classes: ClassMap):
        super().__init__()
        self.classes = classes
        self.sets: list[tuple[int, ...]] = []

    def __missing__(self, field: bytes) -> int:
        try:
            self.sets.append(self.classes.parse(field))
        except ValueError:
            return -1
        self[field] = len(self.sets) - 1
        return self[field]

    def labels(self, fields: list[bytes]) -> tuple[np.ndarray, More | None]:
        """[n] the first label of each field, -1 for what only the careful reader can judge; and the labels after it."""
        if len(self.sets) > MAX_KEPT:
            self.clear()
            self.sets.clear()
        which = np.array([self[field] for field in fields], np.int64)
        sizes = np.array([*map(len, self.sets), 0])
        flat = np.array([-1, *(label for labels in self.sets for label in labels), -1])  # the last one for -1
        starts = np.concatenate([1 + np.cumsum(sizes[:-1]) - sizes[:-1], [0]])
        counts = np.maximum(sizes[which] - 1, 0)
        if not counts.any():
            return flat[starts[which]], None
        further = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return flat[starts[which]], More(counts, flat[np.repeat(starts[which] + 1, counts) + further])


def _without_header(chunk: Chunk) -> Chunk:
    """The lines with the header made a comment, so that numbers stay."""
    header = next(index for index in range(len(chunk)) if chunk.line(index))
    start = int(chunk.starts[header])
    return Chunk(chunk.text[:start] + b"#" + chunk.text[start:], chunk.number)


class _Bounds(NamedTuple):
    """Where the columns of each line begin and end, without the quotes around them; of meaning for the plain lines."""

    starts: np.ndarray  # [N, width]
    ends: np.ndarray  # [N, width]
    plain: np.ndarray  # [N] bool: of so many columns, and quotes stand around whole columns only


def _bounds(chunk: Chunk, header: Header) -> _Bounds:
    data, width = chunk.data, header.width
    delimiters, num_quotes = np.flatnonzero(data == ord(header.delimiter)), np.zeros(len(chunk), np.int32)
    if (chunk.flags & QUOTE).any():
        seen = np.cumsum(data == ord('"'), dtype=np.int32)
        before = seen[chunk.starts - 1]
        num_quotes = seen[chunk.ends - 1] - before
        line = np.searchsorted(chunk.starts, delimiters, side="right") - 1
        delimiters = delimiters[(seen[delimiters] - before[line]) % 2 == 0]
    first = np.searchsorted(delimiters, chunk.starts)
    plain = (data[chunk.starts] != ord("#")) & (chunk.flags & ODD == 0)
    plain &= np.searchsorted(delimiters, chunk.ends) - first == width - 1
    # [N, width + 1]: the places before and behind each column
    bounds = np.zeros((len(chunk), width + 1), np.int64)
    bounds[:, 0], bounds[:, -1] = chunk.starts - 1, chunk.ends
    for column in range(1, width):
        bounds[plain, column] = delimiters[first[plain] + column - 1]
    starts, ends = bounds[:, :-1] + 1, bounds[:, 1:]
    if not num_quotes.any():
        return _Bounds(starts, ends, plain)
    quoted = (data[np.minimum(starts, len(data) - 1)] == ord('"')) & (data[ends - 1] == ord('"')) & (ends - starts > 1)
    return _Bounds(starts + quoted, ends - quoted, plain & (num_quotes == 2 * quoted.sum(axis=1)))


def _fields(chunk: Chunk, header: Header, known: _Known) -> Fields:
    """The columns of the lines that hold nothing unusual."""
    data, bounds = chunk.data, _bounds(chunk, header)
    starts, ends, plain = bounds.starts[:, header.path], bounds.ends[:, header.path], bounds.plain
    plain = plain & (ends > starts) & ~is_any(data[np.minimum(starts, len(data) - 1)], b" \t\r") & ~is_any(data[ends - 1], b" \t\r")
    num_frames, plain = _numbers(data, bounds, header.num_frames, plain)
    spans, seconds = None, False
    if header.start >= 0 and header.end >= 0:
        start, plain = _numbers(data, bounds, header.start, plain, decimals=True)
        end, plain = _numbers(data, bounds, header.end, plain, decimals=True)
        plain = plain & (end.value > start.value)
        spans = np.stack([start.value, end.value], axis=1)
        seconds = header.seconds or bool((plain & (start.decimal | end.decimal)).any())
    text, limits = chunk.text, (bounds.starts[plain, header.label].tolist(), bounds.ends[plain, header.label].tolist())
    found, more = known.labels([text[start:end] for start, end in zip(*limits, strict=True)])
    labels = np.full(len(chunk), -1.0)
    labels[plain] = found
    if more is not None:
        counts = np.zeros(len(chunk), np.int64)
        counts[plain] = more.counts
        more = More(counts, more.values)
    return Fields(plain & (labels >= 0), starts, ends, labels, num_frames.value, spans, seconds, more)


def _numbers(data: np.ndarray, bounds: _Bounds, column: int, plain: np.ndarray, *, decimals: bool = False) -> tuple[Numbers, np.ndarray]:
    """The numbers of a column, and the plain lines that hold one there; zeros where there is no such column."""
    if column < 0:
        none = np.zeros(len(plain))
        return Numbers(none, plain, none > 0, none), plain
    numbers = number_before(data, bounds.ends[:, column])
    right = numbers.found & (numbers.place == bounds.starts[:, column] - 1)
    return numbers, plain & right & (~numbers.decimal | decimals)


def _row(line: bytes, header: Header, classes: ClassMap) -> Row:
    """One row. Raises ValueError saying what is wrong with it."""
    fields = _split(line.decode("utf-8", "surrogateescape"), header.delimiter)
    if len(fields) != header.width:
        raise ValueError(f"the row has {len(fields)} of {header.width} fields; put fields that hold a delimiter in quotes. {CORRECT}")
    encoded = [field.strip().encode("utf-8", "surrogateescape") for field in fields]
    if not encoded[header.path]:
        raise ValueError(f"the row has no path; wanted is {header}.")
    check_path(encoded[header.path])
    labels = classes.parse(encoded[header.label])
    num_frames = _count(fields[header.num_frames]) if header.num_frames >= 0 else 0
    span, point = NO_SPAN, False
    if header.start >= 0 and header.end >= 0 and (encoded[header.start] or encoded[header.end]):
        span, point = parse_span(encoded[header.start], encoded[header.end])
    return Row(encoded[header.path], labels, num_frames, span, point or (header.seconds and span != NO_SPAN))


def _split(line: str, delimiter: str) -> list[str]:
    """The fields of a line. Raises ValueError for one of 128 KiB, or a carriage return inside the line."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(f"{line!r:.80} is no row of a table ({error}). {CORRECT}") from error


def _count(text: str) -> int:
    return frame_count(text.encode("utf-8", "surrogateescape")) if text.strip() else 0


def _content(file: TextIO) -> Iterator[str]:
    """Each line but empty ones and comments."""
    return (line for line in file if not line.startswith("#") and not line.isspace())


def _open(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
