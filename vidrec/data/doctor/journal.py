"""The examined videos on disk, one JSON line each, so that a run that was stopped goes on."""

import json
from pathlib import Path

from vidrec.data.doctor.examine import VERSION, Record


class Journal:
    """Appends records as they come and gives those of earlier runs.

    Args:
        path: of the file; made where it is not there. A last line that was cut by a kill is taken off.

    Raises:
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path):
        self._records: dict[str, Record] = {}
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            record = _parse(line)
            if record is not None:
                self._records[record.path] = record
        self._file = path.open("r+b" if content else "wb")
        self._file.truncate(len(whole))
        self._file.seek(len(whole))

    def known(self, path: str, *, stamp: tuple[int, int], decoder: str, timeout: float) -> Record | None:
        """The record of a video that has not changed and was read by the same decoder; hung ones only where they had as much time."""
        record = self._records.get(path)
        if record is None or (record.size, record.changed) != stamp or record.decoder != decoder or record.status == "missing":
            return None
        return None if record.status == "hung" and record.timeout < timeout else record

    def add(self, record: Record) -> None:
        self._file.write(json.dumps(record._asdict()).encode() + b"\n")
        self._file.flush()

    def records(self) -> list[Record]:
        """Those of earlier runs, the last of each video."""
        return list(self._records.values())

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _parse(line: bytes) -> Record | None:
    """A record of this version; None for one of another or for no record."""
    try:
        fields = json.loads(line)
        return Record(**fields) if fields.get("version") == VERSION else None
    except (ValueError, TypeError, AttributeError):
        return None
