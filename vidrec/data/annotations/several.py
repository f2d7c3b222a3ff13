"""Several labels at the ends of lines (`a.mp4 0,3,7`), in bulk."""

from typing import NamedTuple

import numpy as np

from vidrec.data.annotations.chunks import BLANK, Chunk, Numbers, digits_before, is_any
from vidrec.data.annotations.rows import More

MAX_LABELS = 16  # of one line; a line with more is for the careful reader
_BETWEEN = b",;|"


class LabelLists(NamedTuple):
    """Lines that end in several labels, or in labels in double quotes."""

    first: Numbers  # [N] the first label; found: the line has a list, place: of what separates it from the rest
    labels: np.ndarray  # [N, K] all labels, the last one first; 0 where there is none
    counts: np.ndarray  # [N] how many they are, 0 in other lines


def find_lists(chunk: Chunk, last: Numbers, quotes: tuple[np.ndarray, np.ndarray]) -> LabelLists | None:
    """The lists of labels at the ends of lines, found as the careful reader does; None where no line has one.

    Blanks or a tab before them, they may be separated by `,`, `;` or `|`; a comma before them, by `;` or `|`. In quotes all of these
    may stand.

    Args:
        last: the numbers at the ends of lines.
        quotes: [N] of the lines with two double quotes their places, -1 for other lines.
    """
    data = chunk.data
    mark = data[last.place]
    wanted = last.found & ~last.decimal & (is_any(mark, b";|") | ((mark == ord(",")) & (chunk.flags & BLANK != 0)))
    quoted = (quotes[1] == chunk.ends - 1) & (quotes[0] > chunk.starts)
    lines = np.flatnonzero(wanted | quoted)
    if not len(lines):
        return None
    in_quotes = quoted[lines]
    found = _walk(data, chunk.ends[lines] - in_quotes, _BETWEEN)
    after_blank = ~in_quotes & is_any(data[found.place], b" \t")
    right = after_blank & (~found.commas | _names_a_video(data, found.place))
    right |= in_quotes & (found.place == quotes[0][lines])
    found.place[in_quotes] -= 1
    by_comma = np.flatnonzero(~in_quotes & ~after_blank & ~is_any(data[found.place], b"+-"))
    shorter = _walk(data, chunk.ends[lines[by_comma]], b";|")
    for whole, part in zip(found, shorter, strict=True):
        whole[by_comma] = part
    right[by_comma] = data[shorter.place] == ord(",")
    right &= (found.counts > 0) & ~_repeats(found)
    return _for_all(len(chunk), lines[right], _Walk(*(part[right] for part in found)))


def take_more(lists: LabelLists, plain: np.ndarray) -> More:
    """The labels of the plain lines after the first; none of other lines."""
    counts = np.where(plain, np.maximum(lists.counts - 1, 0), 0)
    chosen = np.arange(lists.labels.shape[1]) < counts[:, None]
    return More(counts, lists.labels[:, ::-1][chosen[:, ::-1]])


class _Walk(NamedTuple):
    """The numbers that end at some places, each after the one before it."""

    labels: np.ndarray  # [n, MAX_LABELS] the last one first
    counts: np.ndarray  # [n] how many; 0 where a separator has no number before it, or there are too many
    commas: np.ndarray  # [n] bool: a comma stands between them
    place: np.ndarray  # [n] of the byte before them


def _walk(data: np.ndarray, ends: np.ndarray, between: bytes) -> _Walk:
    labels = np.zeros((len(ends), MAX_LABELS), np.int32)
    counts, commas, place = np.zeros(len(ends), np.int64), np.zeros(len(ends), bool), ends - 1
    lines = np.arange(len(ends))  # that may go on
    for count in range(MAX_LABELS):
        value, digits, here = digits_before(data, ends[lines])
        good = digits > 0
        counts[lines[~good]] = 0
        lines, value, here = lines[good], value[good], here[good]
        labels[lines, count], counts[lines], place[lines] = value, count + 1, here
        goes_on = is_any(data[here], between)
        lines, here = lines[goes_on], here[goes_on]
        if not len(lines):
            break
        commas[lines] |= data[here] == ord(",")
        ends = place
    counts[lines] = 0
    return _Walk(labels, counts, commas, place)


def _for_all(num_lines: int, lines: np.ndarray, found: _Walk) -> LabelLists | None:
    if not len(lines):
        return None
    width = int(found.counts.max())
    labels, counts, place = np.zeros((num_lines, width), np.int32), np.zeros(num_lines, np.int64), np.zeros(num_lines, np.int64)
    labels[lines], counts[lines], place[lines] = found.labels[:, :width], found.counts, found.place
    first = labels[np.arange(num_lines), np.maximum(counts - 1, 0)]
    return LabelLists(Numbers(first.astype(np.float64), counts > 0, np.zeros(num_lines, bool), place), labels, counts)


def _names_a_video(data: np.ndarray, place: np.ndarray) -> np.ndarray:
    """[n] bool: what ends before each place ends like a file name, or in a blank and a whole number, so that commas separate labels."""
    found, letters = np.zeros(len(place), bool), np.ones(len(place), bool)
    for count in range(1, 5):
        letters = letters & _WORD[data[np.maximum(place - count, 0)]]
        found |= letters & (count > 1) & (data[np.maximum(place - count - 1, 0)] == ord("."))
    _, digits, before = digits_before(data, place)
    return found | ((digits > 0) & is_any(data[before], b" \t"))


def _repeats(found: _Walk) -> np.ndarray:
    """[n] bool: lines in which a label stands twice."""
    width = max(int(found.counts.max(initial=0)), 1)
    filled = np.where(np.arange(width) < found.counts[:, None], found.labels[:, :width], -1 - np.arange(width))
    filled.sort(axis=1)
    return (np.diff(filled, axis=1) == 0).any(axis=1)


_WORD = np.zeros(256, bool)
_WORD[[byte for byte in range(128) if chr(byte).isalnum() or byte == ord("_")]] = True
