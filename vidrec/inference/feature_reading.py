"""Features as an extraction left them, whatever their form: a folder of .npy files, .npz or .parquet."""

import csv
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidrec.inference.feature_store import INDEX, SIDECAR
from vidrec.inference.feature_tables import import_pyarrow
from vidrec.utils.errors import DataError

FORMS = "a folder of features (features.json and index.csv or a table in it), a .npz or a .parquet file"


@dataclass(frozen=True)
class Features:
    """The features of a list.

    Attributes:
        source: where they are from.
        values: [N, D], [N, V, D] of V views each, or maps [N, C, T, H, W] or [N, V, C, T, H, W]; float32.
        labels: all labels of each video, none where unknown.
        settings: that they were made with; {} for a file of other making.
        class_names: where the config had them.
    """

    source: str
    values: np.ndarray
    labels: list[tuple[int, ...]]
    paths: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    class_names: list[str] | None = None


def read_features(path: str | Path) -> Features:
    """The features of a folder or file.

    Raises:
        DataError: there are none, they are not complete, or a file is damaged.
        UserError: pyarrow is needed and not installed.
    """
    path = Path(path)
    if path.is_dir():
        tables = [path / name for name in ("features.npz", "features.parquet") if (path / name).is_file()]
        return _read_table(tables[0]) if tables else _read_folder(path)
    if not path.is_file():
        raise DataError(f"There are no features at {path}; {FORMS} is wanted. tools/feat_extract_pytorch.py makes them.")
    return _read_table(path)


def _read_table(path: Path) -> Features:
    if path.suffix not in (".npz", ".parquet"):
        raise DataError(f"{path} is no table of features; {FORMS} is wanted. tools/feat_extract_pytorch.py makes them.")
    try:
        return _read_npz(path) if path.suffix == ".npz" else _read_parquet(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} cannot be read as a table of features ({error}); a .npz needs the arrays `features` and `labels`, a .parquet the"
            " columns `feature`, `label` and `path`. Make it again with tools/feat_extract_pytorch.py."
        ) from error


def _read_npz(path: Path) -> Features:
    with np.load(path) as arrays:
        values, first = arrays["features"], arrays["labels"]
        labels = [(label,) if label >= 0 else () for label in first.tolist()]
        if "label_offsets" in arrays:
            parts = np.split(arrays["label_values"], arrays["label_offsets"][1:-1])
            labels = [tuple(part.tolist()) for part in parts]
        paths = arrays["paths"].tolist() if "paths" in arrays else [f"row {row} of {path}" for row in range(len(values))]
        settings = json.loads(str(arrays["settings"])) if "settings" in arrays else {}
    if len(values) != len(labels):
        raise ValueError(f"it has {len(values)} features and {len(labels)} labels")
    return Features(str(path), values, labels, paths, settings, settings.pop("class_names", None))


def _read_parquet(path: Path) -> Features:
    parquet = import_pyarrow()[1]
    with parquet.ParquetFile(path) as file:
        table, about = file.read(), json.loads((file.schema_arrow.metadata or {}).get(b"vidrec", b"{}"))
    views, settings = about.get("num_views", 0), about.get("settings", {})
    flat = table["feature"].combine_chunks()
    width = getattr(flat.type, "list_size", 0)
    if not width:
        raise ValueError(f"the column `feature` is {flat.type}, and a list of fixed size is wanted")
    rows = flat.flatten().to_numpy().reshape(len(table), width)
    values = rows.reshape(len(table) // max(views, 1), *about.get("shape", (width,)))
    columns = {name: table[name].to_pylist()[:: max(views, 1)] for name in table.column_names if name in ("path", "label", "labels")}
    labels = columns.get("labels") or [[] if label is None else [label] for label in columns["label"]]
    return Features(str(path), values, [tuple(each) for each in labels], columns["path"], settings, settings.pop("class_names", None))


def _read_folder(folder: Path) -> Features:
    sidecar, index = folder / SIDECAR, folder / INDEX
    if not sidecar.is_file():
        raise DataError(f"There are no features in {folder}; {FORMS} is wanted. tools/feat_extract_pytorch.py makes them.")
    try:
        about = json.loads(sidecar.read_text(encoding="utf-8"))
        if not about["complete"] or not index.is_file():
            raise DataError(f"The features in {folder} are not complete; all of them are wanted. Start the command that makes them again.")
        with index.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = list(csv.DictReader(file))
        labels = [tuple(map(int, row["label"].split())) for row in rows]
        values = _stacked([folder / row["file"] for row in rows])
        paths = [row["path"] for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"The features in {folder} cannot be read ({error}); start the command that makes them again.") from error
    return Features(str(folder), values, labels, paths, about.get("settings", {}), about.get("class_names"))


def _stacked(files: list[Path]) -> np.ndarray:
    """The arrays of some files, which must have one shape, in one; never twice in memory."""
    values = np.empty(0, dtype=np.float32)
    for place, file in enumerate(files):
        try:
            value = np.load(file)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"{file}: {error}") from error
        if place == 0:
            values = np.empty((len(files), *value.shape), dtype=np.float32)
        if value.shape != values.shape[1:]:
            raise ValueError(f"{file} has the shape {list(value.shape)}, and the first one {list(values.shape[1:])}")
        values[place] = value
    return values
