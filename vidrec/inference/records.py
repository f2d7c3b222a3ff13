"""The files of predictions, complete after every video: predictions.csv, predictions.json and, where asked for, logits/*.npz."""

import csv
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidrec.engine.files import atomic_file, make_folder, room_text
from vidrec.inference.predictor import Failure, Prediction, Top
from vidrec.utils.errors import UserError

_TAIL = b"\n]}\n"


class Records:
    """Writes what is found of each video as soon as it is known; what is on the disk is whole at every moment, also after a kill.

    A row of the csv is one write at its end; a record of the json one write over its closing brackets.

    Args:
        folder: made where missing; earlier files of the same names are replaced.
        about: what the json says at its top, such as the network and its weights.
        top_k: classes in a row.
        logits: write logits/*.npz too.
        class_names: [K].

    Attributes:
        count: videos written so far.

    Raises:
        UserError: it cannot be written to; so do the other methods.
    """

    def __init__(self, folder: Path, *, about: Mapping[str, Any], top_k: int, logits: bool = False, class_names: Sequence[str] = ()):
        self.folder, self.top_k, self._logits, self._class_names = folder, top_k, logits, list(class_names)
        self.csv_file, self.json_file = folder / "predictions.csv", folder / "predictions.json"
        self.count = 0
        with self._writing():
            make_folder(folder / "logits" if logits else folder)
            head = json.dumps({**about, "videos": []}, indent=1).rstrip("\n]} ")
            self._json, self._csv = self.json_file.open("wb", buffering=0), self.csv_file.open("wb", buffering=0)
            self._json.write(head.encode() + _TAIL)
            columns = [f"{what}_{place}" for place in range(1, top_k + 1) for what in ("class", "probability")]
            self._csv.write(_row(["path", "label", *columns, "failure"]))

    def add(self, found: Prediction | Failure, **more: Any) -> None:
        """Writes one video; `more` goes into its record in the json."""
        if isinstance(found, Failure):
            self.add_row(found.path, failure=found.reason, **more)
            return
        logits = {"logits": self._save_logits(found)} if self._logits else {}
        self.add_row(found.path, found.top, **logits, **more)

    def add_row(self, path: str, top: Sequence[Top] = (), *, failure: str = "", **more: Any) -> None:
        """Writes one video by its leading classes, best first, or why it could not be read."""
        cells = [cell for entry in top for cell in (entry.name, f"{entry.probability:.6g}")]
        cells += [""] * (2 * self.top_k - len(cells))
        record: dict[str, Any] = {"path": path, "top": [entry._asdict() for entry in top]}
        record |= ({"failure": failure} if failure else {}) | more
        text = (",\n" if self.count else "\n") + json.dumps(record)
        with self._writing():
            _append(self._csv, _row([path, top[0].label if top else "", *cells, failure]))
            _append(self._json, text.encode() + _TAIL, over=_TAIL)
        self.count += 1

    def close(self) -> None:
        self._json.close()
        self._csv.close()

    def name_of(self, path: str) -> str:
        """A name for files about the next video: its place in the list and what can be kept of its own name."""
        return file_stem(self.count, path)

    def _save_logits(self, found: Prediction) -> str:
        """Writes the logits of every view and returns the file's name, relative to the folder."""
        name = f"logits/{self.name_of(found.path)}.npz"
        with self._writing(), atomic_file(self.folder / name) as file:
            np.savez(
                file,
                path=np.array(found.path),
                view_logits=found.view_logits,
                view_boxes=found.view_boxes,
                logits=found.logits,
                score=found.score,
                probabilities=found.probabilities,
                class_names=np.array(self._class_names),
            )
        return name

    def _writing(self) -> "_Writing":
        return _Writing(self.folder)

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def file_stem(number: int, path: str) -> str:
    """Example: 3, `videos/a b.mp4` -> `00003_a_b`"""
    name = os.path.splitext(os.path.basename(path.split("?")[0].rstrip("/")))[0]
    return f"{number:05d}_{re.sub(r'[^A-Za-z0-9.-]+', '_', name)[:80]}"


def top_text(top: Sequence[Top]) -> str:
    """Example: `archery 91.2 %, bowling 3.4 %`"""
    return ", ".join(f"{entry.name} {100 * entry.probability:.1f} %" for entry in top)


class _Writing:
    """Turns an OSError of its block into a UserError that names the folder."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise UserError(
                f"The predictions cannot be written to {self._folder} ({error.strerror or error}; {room_text(self._folder)}); choose a"
                " folder that you may write to with --out."
            ) from error


def _append(file: Any, content: bytes, *, over: bytes = b"") -> None:
    """Writes at a file's end, in the place of the bytes `over` there; where that fails the file is as it was. Raises OSError."""
    place = file.seek(-len(over), os.SEEK_END)
    try:
        left = memoryview(content)
        while len(left):  # a full disk may take a part
            left = left[file.write(left) :]
    except OSError:
        file.seek(place)
        file.truncate()
        file.write(over)
        raise


def _row(cells: Sequence[Any]) -> bytes:
    """One line of csv."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode("utf-8", "surrogateescape")
