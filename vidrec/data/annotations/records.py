"""JSON lists: Something-Something's `[{"id": "1", "template": ...}]`, and plain lists or objects of records."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vidrec.data.annotations.classes import CORRECT, MAX_KEPT, ClassMap
from vidrec.data.annotations.columns import END, IN_SECONDS, LABEL, NUM_FRAMES, PATH, START, first_key
from vidrec.data.annotations.json_stream import NoEntriesError, read_json
from vidrec.data.annotations.line import check_path, frame_count, parse_span
from vidrec.data.annotations.rows import NO_SPAN, Mistakes, Row, Rows, in_parts
from vidrec.utils.errors import DataError

SUFFIXES = (".webm", ".mp4", ".avi", ".mkv", ".mov")  # tried in this order for a record that gives an id and no path
FORM = 'records such as {"path": ..., "label": ...} or {"id": ..., "template": ...}'


def read_records(path: Path, classes: ClassMap, folder: Path) -> tuple[Rows, str]:
    """The rows of a JSON list, and the SHA-256 of the file. A record that is wrong is named by its place, counted from 1.

    Args:
        folder: of the videos; the suffix of ids is that of the first id's file there.

    Raises:
        DataError: the file is no JSON list of records, is empty, or records are wrong.
    """
    rows, mistakes, digest, read = Rows(), Mistakes(path), hashlib.sha256(), _Reader(classes, folder)

    def good() -> Iterator[Row]:
        for number, (key, record) in enumerate(_records(path, digest.update), 1):
            try:
                yield read.row(key, record)
            except ValueError as error:
                mistakes.add(number, error)

    in_parts(good(), rows)
    mistakes.raise_if_any(FORM, "record")
    if not rows.count:
        raise DataError(f"The annotation file {path} lists no video; at least 1 record is needed ({FORM}). Check the file.")
    return rows, digest.hexdigest()


def labels_file(path: Path) -> Path | None:
    """The one file with class names beside a JSON list that ends in labels.json (Something-Something); None for none or several."""
    found = [file for file in path.parent.glob("*labels.json") if file != path and _holds_names(file)]
    return found[0] if len(found) == 1 else None


def _holds_names(file: Path) -> bool:
    """Whether a file has class names; it may be another list, of which only the first entry is read."""
    try:
        entry = next(read_json(file, lambda block: None), None)
    except (OSError, ValueError, RecursionError):
        return False
    return entry is not None and (isinstance(entry[1], str) or (entry[0] != "" and isinstance(entry[1], int) and not _is_video(entry[0])))


def _records(path: Path, seen: Callable[[bytes], None]) -> Iterator[tuple[str, Any]]:
    """(key, record) of each video; the key is '' in a list."""
    try:
        yield from read_json(path, seen)
    except NoEntriesError as error:
        raise DataError(f"{path} {error}; wanted are {FORM}, in a list or by path. Correct it.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); wanted are {FORM}, in a list or by path. Correct it.") from error


class _Keys(NamedTuple):
    """Under which keys records hold what; '' for what they do not hold."""

    path: str
    video_id: str
    label: str
    num_frames: str
    start: str
    end: str
    seconds: bool


class _Reader:
    """Makes rows of records."""

    def __init__(self, classes: ClassMap, folder: Path):
        self._classes, self._suffix = classes, _Suffix(folder)
        self._keys: dict[tuple[str, ...], _Keys] = {}
        self._labels: dict[str | tuple[str], tuple[int, ...]] = {}

    def row(self, key: str, record: Any) -> Row:
        """The row of a record. Raises ValueError saying what is wrong with it."""
        if not isinstance(record, dict):
            if not key:
                raise ValueError(f"{record!r:.80} is no record; wanted are {FORM}. {CORRECT}")
            return Row(_path(self._suffix.of(key)), self._parse(record))
        keys = self._keys.get(tuple(record)) or self._new_keys(record)
        if not keys.label:
            raise ValueError(f"{record!r:.80} has no label; wanted are {FORM}. {CORRECT}")
        labels = self._parse(record[keys.label])
        if keys.path and not isinstance(record[keys.path], str):
            raise ValueError(f"path {record[keys.path]!r:.80} is no text; wanted are {FORM}. {CORRECT}")
        named = _text(record[keys.path or keys.video_id]) if keys.path or keys.video_id else key
        name = named if keys.path else self._suffix.of(named)
        if not name:
            raise ValueError(f"{record!r:.80} has neither path nor id; wanted are {FORM}. {CORRECT}")
        num_frames = frame_count(_text(record[keys.num_frames]).encode()) if keys.num_frames else 0
        span, point = NO_SPAN, False
        if keys.start and keys.end:
            span, point = parse_span(_text(record[keys.start]).encode(), _text(record[keys.end]).encode())
        return Row(_path(name), labels, num_frames, span, point or (keys.seconds and span != NO_SPAN))

    def _new_keys(self, record: dict[str, Any]) -> _Keys:
        names = {name.lower(): name for name in record}
        # in Something-Something the label is a whole sentence and the template is the class
        found = [first_key(names, keys) for keys in (PATH, ("id",), ("template", *LABEL), NUM_FRAMES, START, END)]
        keys = _Keys(*(names.get(name, "") for name in found), seconds=found[4] in IN_SECONDS)
        if len(self._keys) < MAX_KEPT:
            self._keys[tuple(record)] = keys
        return keys

    def _parse(self, label: Any) -> tuple[int, ...]:
        known = label if label.__class__ is str else (repr(label),)  # 1 and True are equal, and only one of them is a label
        labels = self._labels.get(known)
        if labels is None:
            text = ";".join(map(_text, label)) if isinstance(label, list) else _text(label)
            labels = self._classes.parse(_encoded(text))
            if len(self._labels) < MAX_KEPT:
                self._labels[known] = labels
        return labels


def _path(name: str) -> bytes:
    path = _encoded(name)
    check_path(path)
    return path


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!r:.80} holds half a character ({error.reason}). {CORRECT}") from error


def _is_video(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _text(value: Any) -> str:
    if value.__class__ is int:
        return str(value)
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


class _Suffix:
    """The suffix of files that are given by id, which the first id's file decides."""

    def __init__(self, folder: Path):
        self.folder, self._suffix = folder, None

    def of(self, name: str) -> str:
        if not name or _is_video(name):
            return name
        if self._suffix is None:
            self._suffix = next((suffix for suffix in SUFFIXES if (self.folder / (name + suffix)).is_file()), SUFFIXES[0])
        return name + self._suffix
