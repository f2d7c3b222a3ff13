"""Features of a whole list in one file, .npz or .parquet, written row by row so that they are never all in memory."""

import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vidrec.utils.errors import UserError

BATCH_BYTES = 32 * 2**20  # of features that are written to parquet at a time


class Found(NamedTuple):
    """The feature of a row, and the time that it covers."""

    row: int
    feature: np.ndarray
    seconds: np.ndarray  # [2] or, of each view, [V, 2]; NaN where unknown


class TableHead(NamedTuple):
    """What a table says beside its features, in the order of its rows.

    Attributes:
        labels: all labels of each row, none where it is unknown.
        shape: of one row's feature, with the views before it where each is kept.
        num_views: rows of parquet that a video has; 0: one, of all its views together.
        settings: that the features were made with, for the table's metadata.
    """

    paths: Sequence[str]
    labels: Sequence[tuple[int, ...]]
    shape: tuple[int, ...]
    num_views: int
    settings: dict[str, Any]


def write_npz(file: BinaryIO, rows: Iterable[Found], head: TableHead) -> None:
    """Arrays: features [N, *shape] float32, paths [N], labels [N] int64 (-1 unknown; the first of several), start and end in seconds
    [N] or, of each view, [N, V], and label_offsets, label_values where rows have several labels (row i has values[offsets[i] :
    offsets[i + 1]]); settings, JSON text.
    """
    count, seconds = len(head.paths), []
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        with archive.open("features.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, *head.shape)}
            np.lib.format.write_array_header_1_0(member, header)
            for found in rows:
                member.write(np.ascontiguousarray(found.feature, dtype="<f4").data)
                seconds.append(found.seconds)
        times = np.array(seconds, dtype=np.float64)
        arrays = {
            "paths": np.array(head.paths),
            "labels": np.array([labels[0] if labels else -1 for labels in head.labels], dtype=np.int64),
            "start": times[..., 0],
            "end": times[..., 1],
            "settings": np.array(json.dumps(head.settings)),
        }
        if any(len(labels) > 1 for labels in head.labels):
            arrays["label_offsets"] = np.cumsum([0, *map(len, head.labels)])
            arrays["label_values"] = np.array([label for labels in head.labels for label in labels], dtype=np.int64)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def write_parquet(file: BinaryIO, rows: Iterable[Found], head: TableHead) -> None:
    """Columns path, label (the first of several; null where unknown), labels (all of them, where a row has several), start and end in
    seconds (null where unknown), view (null for the mean of all) and feature, a list of fixed size; maps lie flat in it, and their
    shape in the metadata `vidrec`.
    """
    pyarrow, parquet = import_pyarrow()
    size = int(np.prod(head.shape[1:] if head.num_views else head.shape))
    several = any(len(labels) > 1 for labels in head.labels)
    fields = {
        "path": pyarrow.string(),
        "label": pyarrow.int64(),
        **({"labels": pyarrow.list_(pyarrow.int64())} if several else {}),
        "start": pyarrow.float64(),
        "end": pyarrow.float64(),
        "view": pyarrow.int32(),
        "feature": pyarrow.list_(pyarrow.float32(), size),
    }
    about = json.dumps({"shape": head.shape, "num_views": head.num_views, "settings": head.settings})
    schema = pyarrow.schema(fields, metadata={"vidrec": about})
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows, size * max(head.num_views, 1) * 4):
            writer.write_batch(_record_batch(pyarrow, schema, batch, head))


def _record_batch(pyarrow: Any, schema: Any, batch: Sequence[tuple[int, Found]], head: TableHead) -> Any:
    views = max(head.num_views, 1)
    places = [place for place, _ in batch for _ in range(views)]
    times = np.concatenate([found.seconds.reshape(-1, 2) for _, found in batch])
    flat = np.concatenate([found.feature.reshape(-1) for _, found in batch])
    columns = {
        "path": [valid_text(head.paths[place]) for place in places],
        "label": [head.labels[place][0] if head.labels[place] else None for place in places],
        "labels": [list(head.labels[place]) for place in places],
        "start": pyarrow.array(times[:, 0], from_pandas=True),  # NaN becomes null
        "end": pyarrow.array(times[:, 1], from_pandas=True),
        "view": [*range(views)] * len(batch) if head.num_views else [None] * len(batch),
        "feature": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(flat), schema.field("feature").type.list_size),
    }
    return pyarrow.record_batch({name: columns[name] for name in schema.names}, schema=schema)


def _batches(rows: Iterable[Found], row_bytes: int) -> Iterator[list[tuple[int, Found]]]:
    """The rows with their places, as many at a time as BATCH_BYTES hold, at least one."""
    batch: list[tuple[int, Found]] = []
    for place, found in enumerate(rows):
        batch.append((place, found))
        if len(batch) * row_bytes >= BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def valid_text(path: str) -> str:
    """A path as UTF-8 can have it: bytes that are none become `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def import_pyarrow() -> tuple[Any, Any]:
    """pyarrow and pyarrow.parquet. Raises UserError where they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UserError(
            f"pyarrow cannot be imported ({error}); .parquet files need it. Install it: pip install 'vidrec[parquet]', or take .npz."
        ) from error
    return pyarrow, parquet
