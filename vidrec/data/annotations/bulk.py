"""Text lists in bulk: numpy on the bytes, for lines that hold nothing unusual.

A line is clean where its fields can be found from its end by looking for digits and separators alone. What is said here of a clean line
is what `line.py` says of it; every other line is left to that.
"""

from typing import NamedTuple

import numpy as np

from vidrec.data.annotations.chunks import BLANK, ODD, QUOTE, Chunk, Numbers, is_any, number_before
from vidrec.data.annotations.filling import Fields
from vidrec.data.annotations.line import Ends, Form
from vidrec.data.annotations.named import NameEnds
from vidrec.data.annotations.several import LabelLists, find_lists, take_more

_SETS = {None: b" \t", b",": b",", b"\t": b"\t"}  # the bytes that can separate fields


class Tails(NamedTuple):
    """The last three fields of every line as numbers, from the last on; [N] arrays."""

    numbers: tuple[Numbers, Numbers, Numbers]
    clean: np.ndarray  # bool
    quote: np.ndarray  # place of the quote that ends a path in quotes; -1 for a path without
    lists: LabelLists | None  # of the lines that end in several labels, the first of which is in `numbers`


def read_tails(
    chunk: Chunk, delimiters: tuple[bytes | None, ...], names: NameEnds | None = None, *, named_by: bytes | None = None
) -> Tails:
    """The ends of all lines of a chunk.

    Args:
        delimiters: that may separate numbers.
        names: finds the lines that end in a class name, which stands for its number; None where there are none.
        named_by: what separates these names.
    """
    data, quotes = chunk.data, _quote_pairs(chunk)
    last = number_before(data, chunk.ends)
    named = no_label = listed = np.zeros(len(chunk), bool)
    if names is not None and not last.found.all():
        separators = np.flatnonzero(is_any(data, _SETS[named_by]))
        found, sure = names.find(chunk, separators, by_blanks=named_by is None, wanted=~last.found)
        named, no_label, last = found.found, sure & ~found.found, _either(sure, found, last)
    lists = find_lists(chunk, last, quotes)
    if lists is not None:
        listed, last = lists.first.found, _either(lists.first.found, lists.first, last)
    second = number_before(data, last.place)
    third = number_before(data, second.place)
    clean = last.found & ~last.decimal & (chunk.flags & ODD == 0)
    clean &= is_any(data[last.place], b"".join(_SETS[delimiter] for delimiter in delimiters))
    for number in (last, second, third):
        # a sign, doubled blanks, a blank beside a comma and a number in quotes are for the careful reader
        before = data[number.place]
        clean &= ~is_any(before, b"+-") | ~number.found
        clean &= ~is_any(before, b" \t,'") | number.found
    quote = np.where(quotes[0] == chunk.starts, quotes[1], -1)
    quoted = (quote >= 0) & _ends_in_numbers(data, quote, (last, second, third))
    # `a.mp4 0,3` may be two labels
    known = named | listed | (data[last.place] != ord(",")) | (chunk.flags & BLANK == 0)
    clean &= quoted | (listed & (quotes[1] == chunk.ends - 1)) | ((chunk.flags & QUOTE == 0) & known)
    clean = (clean | no_label) & ~is_any(data[chunk.starts], b"# \t'")
    if chunk.number == 1:
        clean[0] = False  # byte order mark, header
    return Tails((last, second, third), clean, quote, lists)


def count_clean_ends(chunk: Chunk, tails: Tails, delimiter: bytes | None) -> Ends:
    """What the clean lines of a chunk end in."""
    last, second, third = tails.numbers
    one = tails.clean & last.found & is_any(chunk.data[last.place], _SETS[delimiter])
    after = one & second.found & is_any(chunk.data[second.place], _SETS[delimiter])
    three = after & third.found & is_any(chunk.data[third.place], _SETS[delimiter]) & (second.value > third.value)
    return Ends(int(one.sum()), int((after & ~second.decimal).sum()), int(three.sum()))


def read_fields(chunk: Chunk, form: Form, num_classes: int, names: NameEnds | None = None) -> Fields:
    """Path, label and numbers of the lines that are clean and right in this form."""
    tails = read_tails(chunk, (form.delimiter,), names, named_by=form.delimiter)
    used = tails.numbers[: form.columns - 1]
    plain = tails.clean & (used[0].value < num_classes)
    for number in used:
        plain &= number.found & is_any(chunk.data[number.place], _SETS[form.delimiter])
    quoted = tails.quote >= 0
    path_starts, path_ends = chunk.starts + quoted, used[-1].place - quoted
    plain &= (path_ends > path_starts) & ~is_any(chunk.data[path_ends - 1], b" \t") & (~quoted | (path_ends == tails.quote))
    if tails.lists is not None:
        plain &= tails.lists.labels.max(axis=1) < num_classes
    num_frames, spans, seconds = np.zeros(len(chunk)), None, False
    if form.columns == 3:
        plain &= ~used[1].decimal
        num_frames = used[1].value
    if form.columns == 4:
        plain &= used[1].value > used[2].value
        spans = np.stack([used[2].value, used[1].value], axis=1)
        seconds = bool((plain & (used[1].decimal | used[2].decimal)).any())
    more = None if tails.lists is None else take_more(tails.lists, plain)
    return Fields(plain, path_starts, path_ends, used[0].value, num_frames, spans, seconds, more)


def _either(chosen: np.ndarray, these: Numbers, others: Numbers) -> Numbers:
    return Numbers(*(np.where(chosen, one, other) for one, other in zip(these, others, strict=True)))


def _quote_pairs(chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """[N] places of the first and the second double quote of lines with exactly two; -1 for other lines."""
    first, second = np.full(len(chunk), -1), np.full(len(chunk), -1)
    if (chunk.flags & QUOTE).any():
        quotes = np.flatnonzero(chunk.data == ord('"'))
        before = np.searchsorted(quotes, chunk.starts)
        two = np.searchsorted(quotes, chunk.ends) - before == 2
        first[two], second[two] = quotes[before[two]], quotes[before[two] + 1]
    return first, second


def _ends_in_numbers(data: np.ndarray, quote: np.ndarray, numbers: tuple[Numbers, ...]) -> np.ndarray:
    """[N] bool: behind the quote stand one to three numbers, each after one separator, the same one."""
    separator = data[numbers[0].place]
    found, so_far = np.zeros(len(quote), bool), np.ones(len(quote), bool)
    for number in numbers:
        so_far = so_far & number.found & (data[number.place] == separator)
        found |= so_far & (number.place == quote + 1)
    return found
