"""From the lines of a file to rows: most in bulk, the others one by one."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidrec.data.annotations.chunks import Chunk
from vidrec.data.annotations.rows import Mistakes, Row, Rows


class Fields(NamedTuple):
    """What the plain lines of a chunk hold: [N] for all its lines, of meaning where `plain` is set."""

    plain: np.ndarray
    path_starts: np.ndarray
    path_ends: np.ndarray
    labels: np.ndarray
    num_frames: np.ndarray
    spans: np.ndarray | None  # [N, 2]
    seconds: bool


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
            more={int(places[index]): row.labels[1:] for index, row in careful.items() if len(row.labels) > 1},
        )
