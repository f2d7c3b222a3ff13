"""Class names at the ends of lines, in bulk."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from vidrec.data.annotations.chunks import ODD, QUOTE, Chunk, Numbers
from vidrec.data.annotations.classes import MAX_KEPT, ClassMap, loose_name, text_of


class NameEnds:
    """Finds class names before line ends as the careful reader does: of names of several words the longest.

    Example: `a.mp4 air drumming` by blanks -> class `air drumming`, whatever `drumming` alone is
    """

    def __init__(self, classes: ClassMap):
        self._numbers, self._counts = _Numbers(classes), _WordCounts(classes)

    def find(self, chunk: Chunk, separators: np.ndarray, *, by_blanks: bool, wanted: np.ndarray) -> tuple[Numbers, np.ndarray]:
        """The numbers of the names that the wanted lines end in, and the lines of which that is known for sure.

        Args:
            separators: [S] places of the bytes that separate fields.
            by_blanks: they are blanks, and names may hold them.
            wanted: [N] bool.
        """
        data, ends = chunk.data, chunk.ends
        sure = wanted & (chunk.flags & (ODD | QUOTE) == 0) & (ends > chunk.starts) & (data[ends - 1] != ord("'"))
        value, found, place = np.zeros(len(chunk)), np.zeros(len(chunk), bool), chunk.starts - 1
        if not len(separators):
            return Numbers(value, found, found, place), sure & (_ALNUM[data[ends - 1]] | _ALNUM[data[ends - 2]])
        first = np.searchsorted(separators, chunk.starts)
        counts = np.searchsorted(separators, ends) - first
        before = separators[np.maximum(first + counts, 1) - 1]  # the place before the last word, of lines with several
        seen = np.cumsum(_ALNUM[data], dtype=np.int32)
        sure &= seen[ends - 1] > seen[np.where(counts > 0, before, chunk.starts - 1)]  # a letter or digit in the last word
        lines = np.flatnonzero(sure & (counts > 0))
        for words, these in self._tries(chunk, lines, before, by_blanks):
            these = these[~found[these] & (words <= counts[these])]
            starts = separators[(first + counts)[these] - words]
            numbers = np.array(_look_up(self._numbers, chunk.text, starts + 1, ends[these]), np.int64)
            known = numbers >= 0
            value[these[known]], found[these[known]], place[these[known]] = numbers[known], True, starts[known]
        # a word of nothing but punctuation may belong to a name, and doubled separators hide words
        sure &= ~found | _ALNUM[data[np.maximum(place - 1, 0)]]
        sure &= ~_has_empty_words(seen, separators, first, counts)
        return Numbers(value, found & sure, np.zeros(len(chunk), bool), place), sure

    def _tries(self, chunk: Chunk, lines: np.ndarray, before: np.ndarray, by_blanks: bool) -> Iterator[tuple[int, np.ndarray]]:
        """A number of words and the lines whose names may have so many, in the order in which they are to be tried."""
        if not by_blanks:
            yield 1, lines
            return
        counts = _look_up(self._counts, chunk.text, before[lines] + 1, chunk.ends[lines])
        kinds = {kind: place for place, kind in enumerate(sorted(set(counts)))}
        kind_of = np.array([kinds[kind] for kind in counts], np.int64)
        for words in sorted({words for kind in kinds for words in kind}, reverse=True):
            chosen = np.array([words in kind for kind in kinds])
            yield words, lines[chosen[kind_of]]


class _Memory(dict):
    """Fields that were read before, with what they mean; at most MAX_KEPT."""

    def __init__(self, classes: ClassMap):
        super().__init__()
        self.classes = classes

    def __missing__(self, field: bytes) -> Any:
        meaning = self.read(field)
        if len(self) < MAX_KEPT:
            self[field] = meaning
        return meaning

    def read(self, field: bytes) -> Any:
        raise NotImplementedError


class _Numbers(_Memory):
    """Field -> the number of the class of this name; -1 where it is none."""

    def read(self, field: bytes) -> int:
        number = self.classes.number(text_of(field))
        return -1 if number is None else number


class _WordCounts(_Memory):
    """Last word -> how many words a name that ends in it can have, as the careful reader tries them; () for none."""

    def __init__(self, classes: ClassMap):
        super().__init__(classes)
        self._longest: dict[str, int] = {}  # last word of names -> words of the longest such name, all as they are compared
        for name in classes.names:
            words = loose_name(name).split()
            last = words[-1] if words else ""
            self._longest[last] = max(self._longest.get(last, 0), len(words), len(name.split()))

    def read(self, field: bytes) -> tuple[int, ...]:
        words = loose_name(text_of(field)).split()
        most = self._longest.get(words[-1], 0) if words else 0
        return (*(count for count in self.classes.word_counts if count <= most), 1) if most else ()


def _look_up(known: dict[bytes, Any], text: bytes, starts: np.ndarray, ends: np.ndarray) -> list[Any]:
    return [known[text[start:end]] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


_ALNUM = np.zeros(256, bool)
_ALNUM[[byte for byte in range(128) if chr(byte).isalnum()]] = True


def _has_empty_words(seen: np.ndarray, separators: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[N] bool: lines in which no letter or digit stands between two separators; `seen` counts them from the chunk's start."""
    empty = np.concatenate([[0], np.cumsum(np.diff(seen[separators]) == 0)])  # of the words before each separator
    last = np.maximum(first + counts - 1, 0)
    limit = len(empty) - 1
    return (counts > 1) & (empty[np.minimum(last, limit)] > empty[np.minimum(first, limit)])
