"""Rows on their way into a VideoTable, and the mistakes found among them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidrec.data.annotations.table import MoreLabels, Spans, VideoTable
from vidrec.utils.errors import DataError

MAX_REPORTED = 20  # mistakes shown in one message
NO_SPAN = (-1.0, -1.0)


class Row(NamedTuple):
    """One video of a list."""

    path: bytes
    labels: tuple[int, ...]  # one or more class numbers
    num_frames: int = 0  # 0: not given
    span: tuple[float, float] = NO_SPAN
    seconds: bool = False  # the span has a decimal point, or its column says so


class More(NamedTuple):
    """The labels of rows after their first."""

    counts: np.ndarray  # [n] of each row
    values: np.ndarray  # [sum of counts], row by row in the order of the list


class Rows:
    """Grows by parts; makes the table at the end."""

    def __init__(self) -> None:
        self._blob = bytearray()
        self._lengths: list[np.ndarray] = []
        self._counts: list[int] = []
        self._labels: list[np.ndarray] = []
        self._num_frames: list[np.ndarray] = []
        self._spans: list[np.ndarray] = []
        self._more: list[More | None] = []
        self._has_spans, self._seconds = False, False
        self.count = 0

    def extend(
        self,
        paths: Sequence[bytes],
        labels: Sequence[int] | np.ndarray,
        num_frames: Sequence[int] | np.ndarray,
        *,
        spans: np.ndarray | None = None,
        seconds: bool = False,
        more: More | None = None,
    ) -> None:
        """Adds rows: `spans` [n, 2], -1: none."""
        self._blob += b"".join(paths)
        self._lengths.append(np.fromiter(map(len, paths), np.int32, len(paths)))
        self._labels.append(np.asarray(labels, dtype=np.int32))
        self._num_frames.append(np.asarray(num_frames, dtype=np.int32))
        self._spans.append(np.empty(0) if spans is None else spans)
        self._has_spans |= spans is not None
        self._seconds |= seconds
        self._more.append(more if more is not None and len(more.values) else None)
        self._counts.append(len(paths))
        self.count += len(paths)

    def add(self, rows: Sequence[Row]) -> None:
        """Adds rows that came one by one."""
        spans = np.array([row.span for row in rows]) if any(row.span != NO_SPAN for row in rows) else None
        self.extend(
            [row.path for row in rows],
            [row.labels[0] for row in rows],
            [row.num_frames for row in rows],
            spans=spans,
            seconds=any(row.seconds for row in rows),
            more=_more_of(rows) if any(len(row.labels) > 1 for row in rows) else None,
        )

    def table(self, *, folder: Path | str, sha256: str, num_classes: int) -> VideoTable:
        """The table of all rows; this object is of no use after it."""
        folder = str(folder)
        offsets = np.zeros(self.count + 1, dtype=np.int64)
        np.cumsum(_joined(self._lengths, np.int32), out=offsets[1:])
        return VideoTable(
            _slashes(self._blob, offsets, folder),
            offsets=offsets,
            labels=_joined(self._labels, np.int32),
            num_frames=_joined(self._num_frames, np.int32),
            folder=folder,
            sha256=sha256,
            spans=self._span_arrays() if self._has_spans else None,
            more=self._more_arrays() if any(self._more) else None,
            num_classes=num_classes,
        )

    def _span_arrays(self) -> Spans:
        limits = np.full((self.count, 2), -1.0)
        first = 0
        for count, part in zip(self._counts, self._spans, strict=True):
            if len(part):
                limits[first : first + count] = part
            first += count
        self._spans.clear()
        return Spans(limits, True) if self._seconds else Spans(limits.astype(np.int32), False)

    def _more_arrays(self) -> MoreLabels:
        offsets, first = np.zeros(self.count + 1, dtype=np.int64), 1
        for count, part in zip(self._counts, self._more, strict=True):
            if part is not None:
                offsets[first : first + count] = part.counts
            first += count
        np.cumsum(offsets, out=offsets)
        values = np.concatenate([part.values for part in self._more if part is not None])
        self._more.clear()
        return MoreLabels(offsets, values.astype(np.int32))


class Mistakes:
    """The wrong lines of a list: all are counted, the first MAX_REPORTED are kept."""

    def __init__(self, path: Path):
        self.path, self.count = path, 0
        self._shown: list[str] = []

    def add(self, number: int, error: ValueError) -> None:
        self.count += 1
        if len(self._shown) < MAX_REPORTED:
            self._shown.append(f"  - {self.path}:{number}: {error}")

    def raise_if_any(self, form: str, thing: str = "line") -> None:
        """Raises DataError with all of them, saying as what the list was read."""
        if not self.count:
            return
        shown = f"; the first {MAX_REPORTED} are" if self.count > MAX_REPORTED else ""
        head = f"{self.path} has {self.count} wrong {thing}{'s' if self.count > 1 else ''} (read as {form}){shown}:"
        raise DataError("\n".join([head, *self._shown]))


def _more_of(rows: Sequence[Row]) -> More:
    counts = np.array([len(row.labels) - 1 for row in rows])
    return More(counts, np.fromiter((label for row in rows for label in row.labels[1:]), np.int32))


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    whole = np.concatenate(parts) if parts else np.empty(0, dtype)
    parts.clear()
    return whole


def _slashes(blob: bytearray, offsets: np.ndarray, folder: str) -> bytearray:
    """The paths with Windows' separators turned into slashes.

    A name may hold a backslash on other systems: where a file of exactly the first such name exists, all stay as they are.
    """
    place = blob.find(b"\\")
    if place < 0 or os.sep == "\\":
        return blob
    row = int(np.searchsorted(offsets, place, side="right")) - 1
    first = os.fsdecode(bytes(blob[offsets[row] : offsets[row + 1]]))
    return blob if os.path.lexists(os.path.join(folder, first)) else blob.replace(b"\\", b"/")


def in_parts(rows: Iterable[Row], into: Rows, size: int = 65_536) -> None:
    """Adds rows of any number without holding more than `size` of them."""
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            into.add(part)
            part.clear()
    into.add(part)
