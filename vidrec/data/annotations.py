"""Annotation files: one video a line, `path num_frames label` or `path label`, held in arrays.

How a file is read, decided once per file from all its lines:
  - Fields are separated by commas when most lines end in a comma and an integer, by blanks (spaces, tabs) otherwise.
  - There are three columns when more than half of the lines end in two integers, two columns otherwise; a line that does not fit is a
    mistake. So a path may hold blanks without quotes. If most paths themselves end in a blank and a number, put them in quotes.
  - A path in single or double quotes is taken without them. Empty lines and lines that begin with # are skipped; Windows line ends and
    a byte order mark do not matter.
  - A relative path lies below the data folder.
"""

import copy
import hashlib
import os
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from vidrec.data.decoders.memory import VideoBytes
from vidrec.utils.errors import DataError

MAX_REPORTED = 20  # mistakes shown in one message


class VideoTable:
    """Paths, labels and frame counts of a list of videos, in flat arrays.

    Ten million rows are a few objects: nothing is copied by reference counts in forked processes, and torch passes the arrays to
    loader processes in shared memory.

    Args:
        blob: the bytes of all paths, one after the other.
        offsets: [N + 1] int64, where each path begins in the blob; the last is its length.
        labels: [N] int32 class numbers; -1 where unknown.
        num_frames: [N] int32, as the annotation file says, 0 where it does not; never trusted for decoding.
        folder: put before each relative path.
        sha256: of the annotation file, '' where there is none.
    """

    def __init__(
        self, blob: bytearray, *, offsets: np.ndarray, labels: np.ndarray, num_frames: np.ndarray, folder: str = "", sha256: str = ""
    ):
        # tensors, because torch moves them to shared memory when they are sent to a process, once for all processes
        self._blob = torch.frombuffer(blob, dtype=torch.uint8) if blob else torch.empty(0, dtype=torch.uint8)
        self._offsets = torch.from_numpy(offsets)
        self._labels = torch.from_numpy(labels)
        self._num_frames = torch.from_numpy(num_frames)
        self.folder, self.sha256 = folder, sha256

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
        start, stop = self._offsets[index : index + 2].tolist()
        return os.path.join(self.folder, os.fsdecode(self._blob[start:stop].numpy().tobytes()))

    def source(self, index: int) -> str | VideoBytes:
        """What `open_video` takes for a video: here its path. Tables of videos in another place raise VideoError where it cannot be had."""
        return self.path(index)

    def label(self, index: int) -> int:
        return int(self._labels[index])

    def keep(self, rows: np.ndarray) -> "VideoTable":
        """A table of the rows for which `rows` [N] bool is True, in the same order."""
        kept, mask, lengths = copy.copy(self), torch.from_numpy(rows), np.diff(self._offsets.numpy())
        kept._blob = self._blob[torch.from_numpy(np.repeat(rows, lengths))]
        kept._offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths[rows])]))
        kept._labels, kept._num_frames = self._labels[mask], self._num_frames[mask]
        return kept

    def repeats(self) -> np.ndarray:
        """[R, 2] int64: for each row whose path stands in an earlier row too, the first row of that path and the row itself."""
        blob = self._blob.numpy().tobytes()
        hashes = np.fromiter((hash(blob[start:stop]) for start, stop in pairwise(self._offsets.tolist())), np.int64, len(self))
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        rows = np.flatnonzero(first[which] != np.arange(len(self)))
        return np.stack([first[which[rows]], rows], axis=1)

    @property
    def labels(self) -> np.ndarray:
        """[N] int64."""
        return self._labels.numpy().astype(np.int64)

    @property
    def num_frames(self) -> np.ndarray:
        """[N] int64, as the annotation file says; 0 where it does not."""
        return self._num_frames.numpy().astype(np.int64)


def read_table(annotation_file: str | Path, *, data_folder: str | Path = "", num_classes: int) -> VideoTable:
    """Reads and checks an annotation file.

    Args:
        data_folder: put before each relative path; '' is the annotation file's own folder.
        num_classes: labels must lie in [0, num_classes).

    Raises:
        DataError: the file or the folder is missing, the list is empty, or lines are wrong; all of them in one message, with file and
            line (at most 20 are shown).
    """
    path = Path(annotation_file)
    folder = _checked_folder(path, data_folder)
    delimiter, columns, sha256 = _survey(path)
    blob, ends = bytearray(), array("q", [0])
    labels, counts = array("i"), array("i")
    mistakes: list[str] = []
    for number, line in _lines(path):
        try:
            first = len(ends) == 1 and not mistakes
            video, frames, label = _parse(line, delimiter, columns=columns, num_classes=num_classes, first=first)
        except ValueError as error:
            mistakes.append(f"  - {path}:{number}: {error}")
            continue
        blob += video
        ends.append(len(blob))
        labels.append(label)
        counts.append(frames)
    if mistakes:
        shown = f"; the first {MAX_REPORTED} are" if len(mistakes) > MAX_REPORTED else ""
        head = f"{path} has {len(mistakes)} wrong line{'s' if len(mistakes) > 1 else ''} (read as {_form(delimiter, columns)}){shown}:"
        raise DataError("\n".join([head, *mistakes[:MAX_REPORTED]]))
    return VideoTable(
        blob,
        offsets=np.array(ends, dtype=np.int64),
        labels=np.array(labels, dtype=np.int32),
        num_frames=np.array(counts, dtype=np.int32),
        folder=str(folder),
        sha256=sha256,
    )


def read_class_names(path: str | Path, *, num_classes: int) -> list[str]:
    """Class names in the order of the labels, one a line; raises DataError where there are not num_classes of them."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"CONFIG.DATA.CLASS_NAMES is {str(path)!r}, which cannot be read ({error}); it must be a text file in UTF-8. Check the path."
        ) from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(names) != num_classes:
        raise DataError(
            f"{path} has {len(names)} class names, but CONFIG.DATA.NUM_CLASSES is {num_classes}; there must be one line per class, "
            "in the order of the labels. Change the one or the other."
        )
    return names


def _checked_folder(path: Path, data_folder: str | Path) -> Path:
    if path == Path():
        raise DataError(
            "The annotation file is not given (''); it must be a text file. Set CONFIG.DATA.TRAIN_ANNO_PATH and CONFIG.DATA.VAL_ANNO_PATH."
        )
    if not path.is_file():
        raise DataError(
            f"The annotation file {path} {'is a folder' if path.is_dir() else 'does not exist'}; a text file with lines `path label` is "
            f"wanted. Check CONFIG.DATA.TRAIN_ANNO_PATH and CONFIG.DATA.VAL_ANNO_PATH (relative paths start at {Path.cwd()})."
        )
    folder = Path(data_folder) if str(data_folder) else path.parent
    if not folder.is_dir():
        raise DataError(
            f"The data folder {folder} does not exist; it must hold the videos that {path} names. Check CONFIG.DATA.TRAIN_DATA_PATH and "
            "CONFIG.DATA.VAL_DATA_PATH ('' is the annotation file's folder)."
        )
    return folder


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line that names a video."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            content = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
            if content and not content.startswith(b"#"):
                yield number, content


def _survey(path: Path) -> tuple[bytes | None, int, str]:
    """Delimiter (None: blanks), number of columns and sha256 of the file. Raises DataError where it lists nothing."""
    total = 0
    ends = {b",": [0, 0], None: [0, 0]}  # per delimiter: lines that end in one integer, and in two
    for _, line in _lines(path):
        total += 1
        for delimiter, counts in ends.items():
            fields = line.rsplit(delimiter, 2)
            if len(fields) > 1 and _is_integer(fields[-1]):
                counts[0] += 1
                counts[1] += len(fields) > 2 and _is_integer(fields[1])
    if total == 0:
        raise DataError(f"The annotation file {path} lists no video; at least 1 line `path label` is needed. Check the file.")
    commas, blanks = ends[b","][0], ends[None][0]
    delimiter = b"," if commas > total / 2 or (commas and commas >= blanks) else None
    return delimiter, 3 if ends[delimiter][1] > total / 2 else 2, _sha256(path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _parse(line: bytes, delimiter: bytes | None, *, columns: int, num_classes: int, first: bool) -> tuple[bytes, int, int]:
    """Path, number of frames (0: not given) and label of a line. Raises ValueError saying what is wrong with it."""
    fields = line.rsplit(delimiter, columns - 1)
    if len(fields) < columns:
        raise ValueError(f"{_shown(line)} has {len(fields)} of {columns} fields; wanted is {_form(delimiter, columns)}.")
    video = _unquoted(fields[0].strip())
    if not video:
        raise ValueError(f"{_shown(line)} has no path; wanted is {_form(delimiter, columns)}.")
    remedy = "Put # before a header line." if first else "Correct it."
    label = _integer(fields[-1], f"label {{}} is not an integer; it must be an integer in [0, {num_classes}). {remedy}")
    if not 0 <= label < num_classes:
        raise ValueError(f"label {label} is outside [0, {num_classes}); labels count from 0. Correct it, or set CONFIG.DATA.NUM_CLASSES.")
    if columns == 2:
        return video, 0, label
    frames = _integer(fields[1], f"num_frames {{}} is not an integer; it must be an integer, 0 where it is unknown. {remedy}")
    return video, frames, label


def _integer(field: bytes, message: str) -> int:
    """The integer of a field. Raises ValueError with the message, the field put in, where it holds none."""
    if not _is_integer(field):
        raise ValueError(message.format(_shown(_unquoted(field.strip()))))
    return int(_unquoted(field.strip()))


def _is_integer(field: bytes) -> bool:
    """Whether a field is an integer of at most 9 digits, with or without quotes and a sign."""
    digits = field if field.isdigit() else _unquoted(field.strip())
    digits = digits[1:] if digits[:1] in (b"+", b"-") else digits
    return digits.isdigit() and len(digits) <= 9


def _unquoted(field: bytes) -> bytes:
    if len(field) >= 2 and field[:1] == field[-1:] and field[:1] in (b'"', b"'"):
        return field[1:-1].replace(field[:1] * 2, field[:1])
    return field


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "replace"))


def _form(delimiter: bytes | None, columns: int) -> str:
    names = ["path", "num_frames", "label"] if columns == 3 else ["path", "label"]
    return f"`{(',' if delimiter else ' ').join(names)}`"
