"""From the lines of a file to rows: most in bulk, the others one by one."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidrec.data.annotations.chunks import Chunk
from vidrec.data.annotations.rows import Mistakes, More, Row, Rows


class Fields(NamedTuple):
    """What the plain lines of a chunk hold: [N] for all its lines, of meaning where `plain` is set."""

    plain: np.ndarray
    path_starts: np.ndarray
    path_ends: np.ndarray
    labels: np.ndarray
    num_frames: np.ndarray
    spans: np.ndarray | None  # [N, 2]
    seconds: bool
    more: More | None = None


class Filler:
    """Puts the lines of a file into rows, in their order.

    Args:
        path: of the file, for messages.
        in_bulk: the fields of the plain lines of a chunk; they must be what `carefully` makes of these lines.
        carefully: the row of any other line and whether it is the first of its list; raises ValueError saying what is wrong with it.
    """

    def __init__(self, path: Path, *, in_bulk: Callable[[Chunk], Fields], carefully: Callable[[bytes, bool], Row]):
        self.rows, self.mistakes = Rows(), Mistakes(path)
        self._in_bulk, self._carefully = in_bulk, carefully

    def add(self, chunk: Chunk) -> None:
        """Adds the lines of a chunk; empty lines and comments are none."""
        fields = self._in_bulk(chunk)
        first_plain = int(np.argmax(fields.plain)) if fields.plain.any() else len(chunk)
        careful: dict[int, Row] = {}
        for index in np.flatnonzero(~fields.plain).tolist():
            line = chunk.line(index)
            if not line:
                continue
            first = index < first_plain and not (self.rows.count or self.mistakes.count or careful)
            try:
                careful[index] = self._carefully(line, first)
            except ValueError as error:
                self.mistakes.add(chunk.number + index, error)
        if fields.plain.any():
            self._extend(chunk, fields, careful)
        else:
            self.rows.add(list(careful.values()))

    def _extend(self, chunk: Chunk, fields: Fields, careful: dict[int, Row]) -> None:
        """Adds the plain lines and, in their places, the ones read with care."""
        kept, labels, num_frames = fields.plain.copy(), fields.labels.copy(), fields.num_frames.copy()
        spans = fields.spans
        for index, row in careful.items():
            kept[index], labels[index], num_frames[index] = True, row.labels[0], row.num_frames
            if spans is not None:
                spans[index] = row.span
        text, places = chunk.text, np.cumsum(kept) - 1
        bounds = zip(fields.path_starts[kept].tolist(), fields.path_ends[kept].tolist(), strict=True)
        paths = [text[start:end] for start, end in bounds]
        for index, row in careful.items():
            paths[places[index]] = row.path
        self.rows.extend(
            paths,
            labels[kept],
            num_frames[kept],
            spans=None if spans is None else spans[kept],
            seconds=fields.seconds or any(row.seconds for row in careful.values()),
            more=_with_careful(fields.more, careful, kept),
        )


def _with_careful(more: More | None, careful: dict[int, Row], kept: np.ndarray) -> More | None:
    """The further labels of the kept lines: the ones found in bulk, and those of lines read with care."""
    several = {index: row.labels[1:] for index, row in careful.items() if len(row.labels) > 1}
    if more is None and not several:
        return None
    more = more or More(np.zeros(len(kept), np.int64), np.empty(0, np.int32))
    counts = more.counts.copy()
    counts[list(several)] = [len(labels) for labels in several.values()]
    by_care = np.zeros(len(kept), bool)
    by_care[list(several)] = True
    by_care = np.repeat(by_care, counts)
    values = np.empty(len(by_care), np.int32)
    values[~by_care] = more.values
    values[by_care] = [label for labels in several.values() for label in labels]
    return More(counts[kept], values)
