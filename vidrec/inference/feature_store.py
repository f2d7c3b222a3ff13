"""Where the features of a list are kept while they are made: whole files only, so that a killed run goes on where it stopped."""

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vidrec.data.stamps import NO_STAMP, Stamp, is_other
from vidrec.engine.files import atomic_file, make_folder, remove_leftovers, room_text
from vidrec.inference.feature_stamps import FeatureStamps
from vidrec.inference.feature_tables import Found, TableHead, write_npz, write_parquet
from vidrec.utils.errors import UserError

Form = Literal["npy", "npz", "parquet"]
SIDECAR = "features.json"
INDEX = "index.csv"
PARTS = "parts"  # folder of what is not yet in a table
SHOWN = 10  # settings that differ, in a message
_MISSING = "nothing"


class FeatureStore:
    """The output folder of an extraction.

    Args:
        names: of the files of all rows, relative to the folder, for the form npy; of tables nobody sees the parts.
        form: one .npy file a video, or parts for a table.

    Attributes:
        replaced: rows whose features `begin` has removed, since the video is another file by now.
    """

    def __init__(self, folder: Path, names: Sequence[str], form: Form):
        self.folder, self.form = folder, form
        self.replaced: list[int] = []
        self._stamps = FeatureStamps(folder)
        self._names = names if form == "npy" else [f"{PARTS}/{row // 1000:04d}/{row:08d}.npz" for row in range(len(names))]

    def begin(self, settings: Mapping[str, Any], stamp: Callable[[int], Stamp] | None = None) -> list[int]:
        """Makes the folder, or takes up an earlier one of the same settings, and returns the rows that it lacks, in order.

        Args:
            stamp: of VideoTable. A video that has another stamp than when its feature was made lacks it again, unless all was finished;
                one whose stamp is not known keeps it. None: they are not compared.

        Raises:
            UserError: the folder holds features of other settings, or other files, or cannot be written.
        """
        with _naming(self.folder):
            self._check(json.loads(json.dumps(settings)))
            if self.finished():
                self.drop_unfinished()  # of an extraction that was killed at its very end
                return []
            for folder in sorted({self.folder, *(self.file(row).parent for row in range(len(self._names)))}):
                remove_leftovers(make_folder(folder))
            if not (self.folder / SIDECAR).exists():
                self.write_sidecar({"complete": False, "settings": settings})
            if stamp:
                self._drop_replaced(stamp)
        seen: set[str] = set()
        return [row for row, name in enumerate(self._names) if not (name in seen or seen.add(name)) and not self.has(row)]

    def _drop_replaced(self, stamp: Callable[[int], Stamp]) -> None:
        known = {row: then for row, then in self._stamps.read().items() if self.has(row)}
        self.replaced = sorted(row for row, then in known.items() if is_other(then, stamp(row)))
        for row in self.replaced:
            self.file(row).unlink()
            del known[row]
        self._stamps.rewrite(known)

    def finished(self) -> bool:
        """Whether nothing is left to do: every video was read, and what is to be written is there."""
        found = self.read_sidecar()
        if not found or not found["complete"] or found["failed"]:
            return False
        return all(map(self.has, range(len(self._names)))) if self.form == "npy" else self.table.exists()

    @property
    def num_features(self) -> int:
        """What all rows have together: rows that mean the same video share a file."""
        return len(set(self._names))

    @property
    def table(self) -> Path:
        return self.folder / f"features.{self.form}"

    def file(self, row: int) -> Path:
        return self.folder / self._names[row]

    def has(self, row: int) -> bool:
        return self.file(row).exists()

    def add(self, found: Found, stamp: Stamp = NO_STAMP) -> None:
        """Keeps a feature; it is whole on the disk when this returns. Raises UserError where the folder cannot be written.

        Args:
            stamp: of the video, before it was read.
        """
        with _naming(self.folder), atomic_file(self.file(found.row)) as file:
            self._stamps.add(found.row, stamp)
            if self.form == "npy":
                np.lib.format.write_array(content := io.BytesIO(), found.feature, allow_pickle=False)
                file.write(content.getbuffer())  # numpy's own writing to a file does not say why it failed
            else:
                np.savez(file, feature=found.feature, seconds=found.seconds)

    def write_index(self, rows: Sequence[int], head: TableHead) -> Path:
        """Writes index.csv: path, labels (separated by blanks; none where unknown) and file of each video."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "label", "file"])
        for row, path, labels in zip(rows, head.paths, head.labels, strict=True):
            writer.writerow([path, " ".join(map(str, labels)), self._names[row]])
        with _naming(self.folder), atomic_file(self.folder / INDEX) as file:
            file.write(text.getvalue().encode("utf-8", "surrogateescape"))
        return self.folder / INDEX

    def write_table(self, rows: Sequence[int], head: TableHead) -> Path:
        """Writes the parts of the rows into one table."""
        with _naming(self.folder), atomic_file(self.table) as file:
            (write_npz if self.form == "npz" else write_parquet)(file, self._parts(rows), head)
        return self.table

    def _parts(self, rows: Sequence[int]) -> Iterator[Found]:
        """What was kept for a table. Raises UserError where a part is damaged."""
        for row in rows:
            try:
                with np.load(self.file(row)) as part:
                    yield Found(row, part["feature"], part["seconds"])
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise UserError(
                    f"{self.file(row)} is damaged ({error}); it must be as it was written. Remove it and start the command again."
                ) from error

    def drop_unfinished(self) -> None:
        """Removes what goes on with an extraction that is not finished: stamps, and what stands in the table now."""
        with _naming(self.folder):
            self._stamps.remove()
            if self.form != "npy" and (self.folder / PARTS).exists():  # of npy the videos may be in a folder of this name
                shutil.rmtree(self.folder / PARTS)

    def read_sidecar(self) -> dict[str, Any] | None:
        file = self.folder / SIDECAR
        try:
            return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        except ValueError as error:
            raise UserError(f"{file} is no JSON ({error}); it says what the folder holds. Choose another folder with --output.") from error

    def write_sidecar(self, content: Mapping[str, Any]) -> None:
        with _naming(self.folder), atomic_file(self.folder / SIDECAR) as file:
            file.write((json.dumps(content, indent=2) + "\n").encode())

    def _check(self, settings: dict[str, Any]) -> None:
        """Raises UserError for a folder of other settings, or of something else."""
        before = self.read_sidecar()
        if before is None:
            if self.folder.exists() and any(self.folder.iterdir()):
                raise UserError(
                    f"The output folder {self.folder} holds files and no {SIDECAR}; an empty folder, or one of this command, is wanted."
                    " Choose another with --output."
                )
            return
        lines = differences(before.get("settings", {}), settings)
        if lines:
            raise UserError(
                f"The output folder {self.folder} holds features of other settings; it must be those of this command to go on with it."
                f" Choose another folder with --output, or remove this one. What differs:\n" + "\n".join(f"  - {line}" for line in lines)
            )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`key: old there, new here` for each setting that is not equal, at most SHOWN of them."""
    old, new = _flat(before), _flat(now)
    keys = [key for key in (*old, *(key for key in new if key not in old)) if old.get(key, _MISSING) != new.get(key, _MISSING)]
    lines = [f"{key}: {old.get(key, _MISSING)} there, {new.get(key, _MISSING)} here" for key in keys[:SHOWN]]
    return [*lines, *([f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else [])]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Turns an OSError within into a UserError that names the folder."""
    try:
        yield
    except OSError as error:
        place = next((each for each in (folder, *folder.parents) if each.exists()), folder)
        raise UserError(
            f"{error.filename or folder} cannot be written ({error.strerror}; {room_text(place)}); the folder of features must be one that"
            " you may write to. Make room and start the same command again, which goes on where it stopped, or choose another folder with"
            " --output."
        ) from error
