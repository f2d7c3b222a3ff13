"""Class names at the ends of lines, in bulk."""

import numpy as np

from vidrec.data.annotations.chunks import ODD, QUOTE, Chunk, Numbers
from vidrec.data.annotations.classes import ClassMap, loose_name, text_of

MAX_KEPT = 100_000  # fields remembered


class NameEnds:
    """Finds class names before line ends as the careful reader does: of names of several words the longest.

    Example: `a.mp4 air drumming` by blanks -> class `air drumming`, whatever `drumming` alone is
    """

    def __init__(self, classes: ClassMap):
        self.classes = classes
        self._numbers: dict[bytes, int] = {}
        self._counts: dict[bytes, tuple[int, ...]] = {}
        self._tokens: dict[str, int] = {}  # last word of names -> number of words of the longest such name, all as they are compared
        for name in classes.names:
            words = loose_name(name).split()
            last = words[-1] if words else ""
            self._tokens[last] = max(self._tokens.get(last, 0), len(words), len(name.split()))

    def find(self, chunk: Chunk, separators: np.ndarray, *, by_blanks: bool, wanted: np.ndarray) -> tuple[Numbers, np.ndarray]:
        """The numbers of the names that the wanted lines end in, and the lines of which that is known for sure.

        Args:
            separators: [S] places of the bytes that separate fields.
            by_blanks: they are blanks, and names may hold them.
            wanted: [N] bool.
        """
        data, text = chunk.data, chunk.text
        alnum = _ALNUM[data]
        sure = wanted & (chunk.flags & (ODD | QUOTE) == 0) & alnum[np.maximum(chunk.ends - 1, 0)] & (chunk.ends > chunk.starts)
        first = np.searchsorted(separators, chunk.starts)
        counts = np.searchsorted(separators, chunk.ends) - first
        value, found, place = np.zeros(len(chunk)), np.zeros(len(chunk), bool), chunk.starts - 1
        lines = np.flatnonzero(sure & (counts > 0))
        last = (first + counts - 1)[lines]
        for line, end, index, fields in zip(lines.tolist(), chunk.ends[lines].tolist(), last.tolist(), counts[lines].tolist(), strict=True):
            for words in self._word_counts(text[separators[index] + 1 : end], by_blanks):
                start = int(separators[index - words + 1]) if words <= fields else -1
                if start >= 0 and (number := self._number(text[start + 1 : end])) >= 0:
                    value[line], found[line], place[line] = number, True, start
                    break
        # a word of nothing but punctuation may belong to a name, and doubled separators hide words
        sure &= ~found | alnum[np.maximum(place - 1, 0)]
        sure &= ~_has_empty_words(alnum, separators, first, counts)
        return Numbers(value, found & sure, np.zeros(len(chunk), bool), place), sure

    def _word_counts(self, last_word: bytes, by_blanks: bool) -> tuple[int, ...]:
        """How many words a name that ends in this one can have, as the careful reader tries them; () for none."""
        if not by_blanks:
            return (1,)
        known = self._counts.get(last_word)
        if known is None:
            token = loose_name(text_of(last_word)).split()
            most = self._tokens.get(token[-1], 0) if token else 0
            known = (*(count for count in self.classes.word_counts if count <= most), 1) if most else ()
            self._keep(self._counts, last_word, known)
        return known

    def _number(self, field: bytes) -> int:
        """The number of a class name; -1 where it is none."""
        known = self._numbers.get(field)
        if known is None:
            number = self.classes.number(text_of(field))
            known = -1 if number is None else number
            if known >= 0:
                self._keep(self._numbers, field, known)
        return known

    def _keep(self, found: dict, field: bytes, value: object) -> None:
        if len(found) < MAX_KEPT:
            found[field] = value


_ALNUM = np.zeros(256, bool)
_ALNUM[[byte for byte in range(128) if chr(byte).isalnum()]] = True


def _has_empty_words(alnum: np.ndarray, separators: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[N] bool: lines in which no letter or digit stands between two separators."""
    if not len(separators):
        return np.zeros(len(first), bool)
    seen = np.cumsum(alnum, dtype=np.int32)[separators]
    empty = np.concatenate([[0], np.cumsum(np.diff(seen) == 0)])  # of the words before each separator
    last = np.maximum(first + counts - 1, 0)
    limit = len(empty) - 1
    return (counts > 1) & (empty[np.minimum(last, limit)] > empty[np.minimum(first, limit)])
