"""A list of videos in flat arrays."""

import copy
import hashlib
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidrec.data.decoders.memory import VideoBytes
from vidrec.data.spans import Span
from vidrec.data.stamps import Stamp, file_stamp


class Spans(NamedTuple):
    """[N, 2] start and end of each row (int32 frames, or float64 seconds); -1 where a row means the whole video."""

    limits: np.ndarray
    seconds: bool


class MoreLabels(NamedTuple):
    """The labels of each row after its first: row i has values[offsets[i] : offsets[i + 1]]."""

    offsets: np.ndarray  # [N + 1] int64
    values: np.ndarray  # [M] int32


class VideoTable:
    """Paths, labels, frame counts and spans of a list of videos, in flat arrays: 16 bytes a row beside the path text, 40 at the most.

    Ten million rows are a few objects: nothing is copied by reference counts in forked processes, and torch passes the arrays to
    loader processes in shared memory.

    Args:
        blob: the bytes of all paths, one after the other.
        offsets: [N + 1] int64, where each path begins in the blob; the last is its length.
        labels: [N] int32 class numbers; -1 where unknown. The first one of a row with several.
        num_frames: [N] int32, as the annotation file says, 0 where it does not; never trusted for decoding.
        folder: put before each relative path.
        sha256: of the annotation file, '' where there is none.
        spans: where rows mean parts of videos; takes 8 (frames) or 16 bytes a row (seconds).
        more: where rows have several labels; takes 8 bytes a row and 4 for each label after the first.
        num_classes: length of `multi_hot`; 0 where unknown.
    """

    def __init__(
        self,
        blob: bytearray,
        *,
        offsets: np.ndarray,
        labels: np.ndarray,
        num_frames: np.ndarray,
        folder: str = "",
        sha256: str = "",
        spans: Spans | None = None,
        more: MoreLabels | None = None,
        num_classes: int = 0,
    ):
        # tensors, because torch moves them to shared memory when they are sent to a process, once for all processes
        self._blob = torch.frombuffer(blob, dtype=torch.uint8) if blob else torch.empty(0, dtype=torch.uint8)
        self._offsets = torch.from_numpy(offsets)
        self._labels = torch.from_numpy(labels)
        self._num_frames = torch.from_numpy(num_frames)
        self._spans = torch.from_numpy(spans.limits) if spans else None
        self._more = tuple(torch.from_numpy(part) for part in more) if more else None
        self._seconds = bool(spans and spans.seconds)
        self.folder, self.sha256, self.num_classes = folder, sha256, num_classes

    @classmethod
    def from_paths(cls, paths: Sequence[str | Path], labels: Sequence[int] | None = None, *, folder: str = "") -> "VideoTable":
        """A table of files without an annotation file; labels are -1 where they are not given."""
        encoded = [os.fsencode(path) for path in paths]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(path) for path in encoded], out=offsets[1:])
        known = np.full(len(encoded), -1) if labels is None else np.asarray(labels)
        return cls(
            bytearray(b"".join(encoded)),
            offsets=offsets,
            labels=known.astype(np.int32),
            num_frames=np.zeros(len(encoded), dtype=np.int32),
            folder=folder,
        )

    def __len__(self) -> int:
        return len(self._labels)

    def path(self, index: int) -> str:
        """The path of a video, below the data folder where the list gives a relative one."""
        return os.path.join(self.folder, self.listed_path(index))

    def listed_path(self, index: int) -> str:
        """The path as the list has it."""
        start, stop = self._offsets[index : index + 2].tolist()
        return os.fsdecode(self._blob[start:stop].numpy().tobytes())

    def source(self, index: int) -> str | VideoBytes:
        """What `open_video` takes for a video: here its path. Tables of videos in another place raise VideoError where it cannot be had."""
        return self.path(index)

    def release(self, index: int) -> None:
        """Gives up what `source` has put on this machine for a video; here nothing."""

    def stamp(self, index: int) -> Stamp:
        """What tells a video from another that takes its place; NO_STAMP where nothing does."""
        return file_stamp(self.path(index))

    def keep(self, rows: np.ndarray) -> "VideoTable":
        """A table of the rows for which `rows` [N] bool is True, in the same order."""
        kept, mask = copy.copy(self), torch.from_numpy(rows)
        kept._blob, kept._offsets = _keep_pieces(self._blob, self._offsets, rows)
        kept._labels, kept._num_frames = self._labels[mask], self._num_frames[mask]
        kept._spans = None if self._spans is None else self._spans[mask]
        kept._more = None if self._more is None else _keep_pieces(self._more[1], self._more[0], rows)[::-1]
        return kept

    def label(self, index: int) -> int:
        """The class number of a row; the first one where it has several."""
        return int(self._labels[index])

    def label_set(self, index: int) -> tuple[int, ...]:
        """All class numbers of a row, in the order of the list."""
        if self._more is None:
            return (self.label(index),)
        start, stop = self._more[0][index : index + 2].tolist()
        return (self.label(index), *self._more[1][start:stop].tolist())

    def multi_hot(self, index: int) -> Tensor:
        """[num_classes] float32: 1 for each class of a row, 0 elsewhere, as binary cross-entropy takes it."""
        target = torch.zeros(self.num_classes)
        target[list(self.label_set(index))] = 1.0
        return target

    def label_counts(self, num_classes: int) -> np.ndarray:
        """[num_classes] int64: the rows that have each class."""
        row, label = self._pairs()
        return np.bincount(np.unique(row * num_classes + label) % num_classes, minlength=num_classes)

    def targets(self, num_classes: int) -> np.ndarray | None:
        """[N, num_classes] bool: whether each row has each class; None where every row has one label."""
        if not self.multi_label:
            return None
        found = np.zeros((len(self), num_classes), dtype=bool)
        found[self._pairs()] = True
        return found

    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and class number of every label, int64; the first labels of all rows, then the others."""
        rows, labels = np.arange(len(self)), self.labels
        if self._more is None:
            return rows, labels
        offsets, values = (part.numpy() for part in self._more)
        return np.concatenate([rows, np.repeat(rows, np.diff(offsets))]), np.concatenate([labels, values.astype(np.int64)])

    @property
    def multi_label(self) -> bool:
        """Whether any row has several labels."""
        return self._more is not None

    def first_multi_label(self) -> int:
        """The first row with several labels. Raises ValueError where there is none."""
        if self._more is None:
            raise ValueError("every row has one label.")
        return int(np.flatnonzero(np.diff(self._more[0].numpy()))[0])

    @property
    def has_spans(self) -> bool:
        """Whether rows may mean parts of videos."""
        return self._spans is not None

    def span(self, index: int) -> Span | None:
        """The part of the video that a row means; None for the whole."""
        if self._spans is None:
            return None
        start, end = self._spans[index].tolist()
        return None if end < 0 else Span(start, end, self._seconds)

    def repeats(self) -> np.ndarray:
        """[R, 2] int64: for each row that stands in the list before, path and span alike, that first row and the row itself."""
        blob = self._blob.numpy().tobytes()
        hashes = np.fromiter((hash(blob[start:stop]) for start, stop in pairwise(self._offsets.tolist())), np.int64, len(self))
        if self._spans is not None:
            starts, ends = self._spans.numpy().T.tolist()
            hashes = np.fromiter(map(hash, zip(hashes.tolist(), starts, ends, strict=True)), np.int64, len(self))
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        rows = np.flatnonzero(first[which] != np.arange(len(self)))
        return np.stack([first[which[rows]], rows], axis=1)

    @property
    def labels(self) -> np.ndarray:
        """[N] int64; the first label where a row has several."""
        return self._labels.numpy().astype(np.int64)

    @property
    def num_frames(self) -> np.ndarray:
        """[N] int64, as the annotation file says; 0 where it does not."""
        return self._num_frames.numpy().astype(np.int64)

    @property
    def num_bytes(self) -> tuple[int, int]:
        """Bytes of the path text, and of everything else."""
        rest = [self._offsets, self._labels, self._num_frames, *(self._more or ())]
        rest += [] if self._spans is None else [self._spans]
        return self._blob.nbytes, sum(array.nbytes for array in rest)


def _keep_pieces(values: Tensor, offsets: Tensor, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """(values, offsets) of the rows that are kept, where row i has values[offsets[i] : offsets[i + 1]]."""
    lengths = np.diff(offsets.numpy())
    return values[torch.from_numpy(np.repeat(rows, lengths))], torch.from_numpy(np.concatenate([[0], np.cumsum(lengths[rows])]))


def text_sha256(parts: Sequence[bytes]) -> str:
    """SHA-256 of some bytes, for lists that are no file."""
    return hashlib.sha256(b"".join(parts)).hexdigest()
