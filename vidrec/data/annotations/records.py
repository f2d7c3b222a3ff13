"""JSON lists: Something-Something's `[{"id": "1", "template": ...}]`, and plain lists or objects of records."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidrec.data.annotations.classes import CORRECT, ClassMap
from vidrec.data.annotations.columns import END, IN_SECONDS, LABEL, NUM_FRAMES, PATH, START, first_key
from vidrec.data.annotations.line import frame_count, parse_span
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
    content = path.read_bytes()
    records = _records(path, content)
    rows, mistakes, suffix = Rows(), Mistakes(path), _Suffix(folder)

    def good() -> Iterator[Row]:
        for number, (key, record) in enumerate(records, 1):
            try:
                yield _row(key, record, classes, suffix)
            except ValueError as error:
                mistakes.add(number, error)

    in_parts(good(), rows)
    mistakes.raise_if_any(FORM, "record")
    if not rows.count:
        raise DataError(f"The annotation file {path} lists no video; at least 1 record is needed ({FORM}). Check the file.")
    return rows, hashlib.sha256(content).hexdigest()


def labels_file(path: Path) -> Path | None:
    """The one file beside a JSON list that ends in labels.json, as Something-Something has it; None where there is none or several."""
    found = [file for file in path.parent.glob("*labels.json") if file != path]
    return found[0] if len(found) == 1 else None


def _records(path: Path, content: bytes) -> list[tuple[str, Any]]:
    """(key, record) of each video; the key is '' in a list."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); wanted are {FORM}, in a list or by path. Correct it.") from error
    if isinstance(found, list):
        return [("", record) for record in found]
    if isinstance(found, dict):
        return list(found.items())
    raise DataError(f"{path} holds a JSON {type(found).__name__}; wanted are {FORM}, in a list or by path. Correct it.")


def _row(key: str, record: Any, classes: ClassMap, suffix: "_Suffix") -> Row:
    """The row of a record. Raises ValueError saying what is wrong with it."""
    if not isinstance(record, dict):
        if not key:
            raise ValueError(f"{record!r:.80} is no record; wanted are {FORM}. {CORRECT}")
        record = {"label": record}
    fields = {name.lower(): value for name, value in record.items()}
    labels = classes.parse(_label_field(fields))
    name = _text(fields[found]) if (found := first_key(fields, PATH)) else suffix.of(_text(fields.get("id", key)))
    if not name:
        raise ValueError(f"{record!r:.80} has neither path nor id; wanted are {FORM}. {CORRECT}")
    frames = first_key(fields, NUM_FRAMES)
    start, end = first_key(fields, START), first_key(fields, END)
    span, point = NO_SPAN, False
    if start and end:
        span, point = parse_span(_text(fields[start]).encode(), _text(fields[end]).encode())
    return Row(
        name.encode("utf-8", "surrogateescape"),
        labels,
        frame_count(_text(fields[frames]).encode()) if frames else 0,
        span,
        point or (span != NO_SPAN and start in IN_SECONDS),
    )


def _label_field(fields: dict[str, Any]) -> bytes:
    """The label of a record as text; in Something-Something the label is a whole sentence and the template is the class."""
    found = "template" if "template" in fields else first_key(fields, LABEL)
    if not found:
        raise ValueError(f"{fields!r:.80} has no label; wanted are {FORM}. {CORRECT}")
    value = fields[found]
    return ";".join(_text(part) for part in value).encode() if isinstance(value, list) else _text(value).encode()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


class _Suffix:
    """The suffix of files that are given by id, which the first id's file decides."""

    def __init__(self, folder: Path):
        self.folder, self._suffix = folder, None

    def of(self, name: str) -> str:
        if not name or Path(name).suffix.lower() in SUFFIXES:
            return name
        if self._suffix is None:
            self._suffix = next((suffix for suffix in SUFFIXES if (self.folder / (name + suffix)).is_file()), SUFFIXES[0])
        return name + self._suffix
