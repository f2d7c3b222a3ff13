"""Lines of a file and the numbers in them, some hundred thousand at a time, as numpy arrays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidrec.utils.errors import DataError

CHUNK_BYTES = 2**24
ODD, BLANK, QUOTE = 1, 2, 4  # of Chunk.flags: the line holds a control character, a space or tab, a double quote
_FLAGS = np.zeros(256, np.uint8)
_FLAGS[list(range(32))] = ODD
_FLAGS[list(b" \t")] = BLANK
_FLAGS[ord('"')] = QUOTE
_FLAGS[ord("\n")] = 0


class Chunk:
    """Some whole lines of a file.

    Args:
        text: a line end, then the lines, at least one, each with its line end.
        number: of the first line in its file, from 1.
    """

    def __init__(self, text: bytes, number: int):
        self.text, self.number = text, number
        data = np.frombuffer(text, np.uint8)
        breaks = np.flatnonzero(data == ord("\n"))
        starts, ends = breaks[:-1] + 1, breaks[1:]
        carriage = (data[ends - 1] == ord("\r")) & (ends > starts)
        flags = _FLAGS[data]
        flags[ends[carriage] - 1] = 0
        self.data = data  # [B] uint8
        self.starts, self.ends = starts, ends - carriage  # [N] int64, of each line without its line end
        self.flags = np.bitwise_or.reduceat(flags, starts)  # [N] uint8

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, index: int) -> bytes:
        """A line without outer blanks and byte order mark; empty for one that names no video."""
        line = self.text[self.starts[index] : self.ends[index]]
        if self.number + index == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        content = line.strip()
        return b"" if content.startswith(b"#") else content


def read_chunks(path: Path, seen: Callable[[bytes], None] = lambda block: None) -> Iterator[Chunk]:
    """The lines of a file, CHUNK_BYTES or so at a time; `seen` gets all of its bytes.

    Raises:
        DataError: a line is longer than that, which no list has.
    """
    rest, number = b"", 1
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            seen(block)
            lines, newline, rest = (rest + block).rpartition(b"\n")
            if not newline and len(rest) > CHUNK_BYTES:
                raise DataError(f"{path}:{number}: a line of more than {CHUNK_BYTES} bytes; a list of videos is wanted. Check the path.")
            if newline:
                yield Chunk(b"\n" + lines + b"\n", number)
                number += lines.count(b"\n") + 1
    if rest:
        yield Chunk(b"\n" + rest + b"\n", number)


class Numbers(NamedTuple):
    """The number that ends at each of some places; [N] each."""

    value: np.ndarray  # float64
    found: np.ndarray  # bool
    decimal: np.ndarray  # bool: it has a point
    place: np.ndarray  # of the byte before it


def number_before(data: np.ndarray, ends: np.ndarray) -> Numbers:
    """The number, of at most 9 digits on each side of a point, that ends before each place."""
    value, digits, place = digits_before(data, ends)
    found, decimal = digits > 0, np.zeros(len(ends), bool)
    value = value.astype(np.float64)
    pointed = found & (data[place] == ord("."))
    if pointed.any():
        whole, whole_digits, before = digits_before(data, place)
        decimal = pointed & (whole_digits > 0)
        scale = 10.0**digits
        value = np.where(decimal, (whole * scale + value) / scale, value)  # both exact below 2**53, so this is the nearest float
        place = np.where(decimal, before, place)
    return Numbers(value, found, decimal, place)


def digits_before(data: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value and count of up to 9 digits that end before each place, and the place of the byte before them.

    The text begins with a line end, so that there is always one.
    """
    place = np.maximum(ends - 1, 0)
    value, digits = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64)
    active = np.ones(len(ends), bool)
    for power in range(9):
        digit = data[place] - np.uint8(ord("0"))
        active &= digit <= 9
        if not active.any():
            break
        value += np.where(active, digit.astype(np.int64) * 10**power, 0)
        digits += active
        place = place - active
    return value, digits, place


def is_any(values: np.ndarray, characters: bytes) -> np.ndarray:
    """[N] bool: which bytes are one of some characters."""
    table = np.zeros(256, bool)
    table[list(characters)] = True
    return table[values]
