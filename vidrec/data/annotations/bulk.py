"""Text lists in bulk: numpy on the bytes, for lines that hold nothing unusual.

A line is clean where its fields can be found from its end by looking for digits and separators alone. What is said here of a clean line
is what `line.py` says of it; every other line is left to that.
"""

from typing import NamedTuple

import numpy as np

from vidrec.data.annotations.chunks import BLANK, ODD, QUOTE, Chunk, Numbers, number_before
from vidrec.data.annotations.filling import Fields
from vidrec.data.annotations.line import Ends, Form
from vidrec.data.annotations.named import NameEnds

_SETS = {None: b" \t", b",": b",", b"\t": b"\t"}  # the bytes that can separate fields


class Tails(NamedTuple):
    """The last three fields of every line as numbers, from the last on; [N] arrays."""

    numbers: tuple[Numbers, Numbers, Numbers]
    clean: np.ndarray  # bool
    quote: np.ndarray  # place of the quote that ends a path in quotes; -1 for a path without


def read_tails(
    chunk: Chunk, delimiters: tuple[bytes | None, ...], names: NameEnds | None = None, *, named_by: bytes | None = None
) -> Tails:
    """The ends of all lines of a chunk.

    Args:
        delimiters: that may separate numbers.
        names: finds the lines that end in a class name, which stands for its number; None where there are none.
        named_by: what separates these names.
    """
    data = chunk.data
    last = number_before(data, chunk.ends)
    named = no_label = np.zeros(len(chunk), bool)
    if names is not None and not last.found.all():
        separators = np.flatnonzero(_is_any(data, _SETS[named_by]))
        found, sure = names.find(chunk, separators, by_blanks=named_by is None, wanted=~last.found)
        named, no_label = found.found, sure & ~found.found
        last = Numbers(*(np.where(sure, one, other) for one, other in zip(found, last, strict=True)))
    second = number_before(data, last.place)
    third = number_before(data, second.place)
    clean = last.found & ~last.decimal & (chunk.flags & ODD == 0)
    clean &= _is_any(data[last.place], b"".join(_SETS[delimiter] for delimiter in delimiters))
    for number in (last, second, third):
        # a sign, doubled blanks, a blank beside a comma and a number in quotes are for the careful reader
        before = data[number.place]
        clean &= ~_is_any(before, b"+-") | ~number.found
        clean &= ~_is_any(before, b" \t,'") | number.found
    quote = _closing_quotes(chunk)
    quoted = (quote >= 0) & _ends_in_numbers(data, quote, (last, second, third))
    # `a.mp4 0,3` may be two labels
    clean &= quoted | ((chunk.flags & QUOTE == 0) & (named | (data[last.place] != ord(",")) | (chunk.flags & BLANK == 0)))
    clean = (clean | no_label) & ~_is_any(data[chunk.starts], b"# \t'")
    if chunk.number == 1:
        clean[0] = False  # byte order mark, header
    return Tails((last, second, third), clean, quote)


def count_clean_ends(chunk: Chunk, tails: Tails, delimiter: bytes | None) -> Ends:
    """What the clean lines of a chunk end in."""
    last, second, third = tails.numbers
    one = tails.clean & last.found & _is_any(chunk.data[last.place], _SETS[delimiter])
    after = one & second.found & _is_any(chunk.data[second.place], _SETS[delimiter])
    three = after & third.found & _is_any(chunk.data[third.place], _SETS[delimiter]) & (second.value > third.value)
    return Ends(int(one.sum()), int((after & ~second.decimal).sum()), int(three.sum()))


def read_fields(chunk: Chunk, form: Form, num_classes: int, names: NameEnds | None = None) -> Fields:
    """Path, label and numbers of the lines that are clean and right in this form."""
    tails = read_tails(chunk, (form.delimiter,), names, named_by=form.delimiter)
    used = tails.numbers[: form.columns - 1]
    plain = tails.clean & (used[0].value < num_classes)
    for number in used:
        plain &= number.found & _is_any(chunk.data[number.place], _SETS[form.delimiter])
    quoted = tails.quote >= 0
    path_starts, path_ends = chunk.starts + quoted, used[-1].place - quoted
    plain &= (path_ends > path_starts) & ~_is_any(chunk.data[path_ends - 1], b" \t") & (~quoted | (path_ends == tails.quote))
    num_frames, spans, seconds = np.zeros(len(chunk)), None, False
    if form.columns == 3:
        plain &= ~used[1].decimal
        num_frames = used[1].value
    if form.columns == 4:
        plain &= used[1].value > used[2].value
        spans = np.stack([used[2].value, used[1].value], axis=1)
        seconds = bool((plain & (used[1].decimal | used[2].decimal)).any())
    return Fields(plain, path_starts, path_ends, used[0].value, num_frames, spans, seconds)


def _closing_quotes(chunk: Chunk) -> np.ndarray:
    """[N] place of the second of two double quotes of a line that begins with the first; -1 for any other line."""
    closing = np.full(len(chunk), -1)
    if not (chunk.flags & QUOTE).any():
        return closing
    quotes = np.flatnonzero(chunk.data == ord('"'))
    first = np.searchsorted(quotes, chunk.starts)  # of the quotes from each line's start on
    two = np.searchsorted(quotes, chunk.ends) - first == 2
    two[two] = quotes[first[two]] == chunk.starts[two]
    closing[two] = quotes[first[two] + 1]
    return closing


def _ends_in_numbers(data: np.ndarray, quote: np.ndarray, numbers: tuple[Numbers, ...]) -> np.ndarray:
    """[N] bool: behind the quote stand one to three numbers, each after one separator, the same one."""
    separator = data[numbers[0].place]
    found, so_far = np.zeros(len(quote), bool), np.ones(len(quote), bool)
    for number in numbers:
        so_far = so_far & number.found & (data[number.place] == separator)
        found |= so_far & (number.place == quote + 1)
    return found


def _is_any(values: np.ndarray, characters: bytes) -> np.ndarray:
    """[N] bool: which bytes are one of some characters."""
    table = np.zeros(256, bool)
    table[list(characters)] = True
    return table[values]
