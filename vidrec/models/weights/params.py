"""MXNet's `.params` files: a list of arrays and their names, read and written with NumPy alone.

    file  := u64 0x112, u64 0, u64 count, array * count, u64 number of names (count, or 0), name * that
    name  := u64 length, UTF-8
    array := u32 magic; V2, V3: i32 storage, [sparse: its storage shape]; shape; i32 device, i32 device index; i32 type flag;
             [sparse: type flag and shape of each index array]; data; [sparse: index arrays]
    shape := i32 axes, i64 * axes

V1 has no storage. V0 has no magic: its first number is that of the axes, and each axis is a u32. Nothing is aligned.
"""

import io
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from vidrec.models.weights.params_stream import MAX_DIMS, Cursor, Stream
from vidrec.utils.errors import WeightsError

MAX_ARRAYS = 100_000  # networks have some thousands
SPARSE_LIMIT = 1 << 28  # bytes that the sparse arrays of a file may take together, once they are dense

_LIST = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE, _ROW_SPARSE, _CSR = 0, 1, 2
_BFLOAT16 = 12
_TYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.uint8,
    torch.int32,
    torch.int8,
    torch.int64,
    torch.bool,
    torch.int16,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.bfloat16,
)  # by type flag
# How each is stored. Any byte but 0 is True; NumPy has no bfloat16, so that its bits travel as an integer.
_STORED = tuple(map(np.dtype, ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8", "u1", "<i2", "<u2", "<u4", "<u8", "<i2")))
_INDEX_FLAGS = (4, 6)  # int32, int64

Shape = tuple[int, ...]


def read_params(source: str | Path | bytes) -> dict[str, torch.Tensor]:
    """The arrays of a `.params` file by name, in the order of the file.

    Versions 0 to 3, all type flags, dense and sparse arrays; sparse ones are returned dense. `arg:` and `aux:` in front of a
    name are taken off. A list without names gets the names '0', '1' and so on; an array that was never filled (MXNet's
    `none`) is an empty float32 tensor.

    Args:
        source: a path, or the content itself.

    Raises:
        WeightsError: for a file that is missing, damaged or of another kind, with the byte where that shows. No more memory is
            taken than the file's own size, and SPARSE_LIMIT for its sparse arrays.
    """
    if isinstance(source, bytes):
        return read_params_stream(io.BytesIO(source), size=len(source), source=f"a buffer of {len(source):,} bytes")
    try:
        with open(source, "rb") as file:
            return read_params_stream(file, size=Path(source).stat().st_size, source=str(source))
    except OSError as error:
        raise WeightsError(f"{source} cannot be opened ({error.strerror}); it must be a .params file. Check the path.") from error


def read_params_stream(stream: Stream, *, size: int, source: str) -> dict[str, torch.Tensor]:
    """The same from a stream of `size` bytes; `source` names it in messages."""
    cursor = Cursor(stream, size=size, source=source)
    if (magic := cursor.number("Q", "the first number")) != _LIST:
        cursor.refuse(0, f"the first number is {magic:#x}", f"it must be {_LIST:#x}")
    cursor.number("Q", "the reserved number")  # 0; MXNet ignores it too
    at, count = cursor.position, cursor.number("Q", "the number of arrays")
    if count > min(MAX_ARRAYS, cursor.left // 4):
        cursor.refuse(at, f"{count:,} arrays are promised", f"{MAX_ARRAYS:,}, and one for each 4 bytes that follow, are allowed")
    reader = _ArrayReader(cursor)
    arrays = []
    for index in range(count):
        cursor.place = f"array {index + 1} of {count}"
        arrays.append(reader.read())
    cursor.place = "the names"
    return dict(zip(_read_names(cursor, count), arrays, strict=True))


def write_params(target: str | Path | BinaryIO, state: Mapping[str, torch.Tensor]) -> None:
    """Writes tensors and their names as a `.params` file.

    Arrays have version 2, as MXNet 1.5 to 1.9 write it; a scalar, or an axis of length 0, which that has no word for, version 3.

    Args:
        target: a path, or a file that is open for writing.

    Raises:
        WeightsError: for a tensor of a type that MXNet does not have; nothing is written.
        OSError: it cannot be written.
    """
    for name, tensor in state.items():
        if tensor.dtype not in _TYPES or tensor.layout != torch.strided:
            raise WeightsError(
                f"{name} is a {tensor.layout} tensor of {tensor.dtype}; a .params file holds dense ones of "
                f"{', '.join(str(dtype).removeprefix('torch.') for dtype in _TYPES)}. Convert it, or write another kind of file."
            )
    if isinstance(target, str | Path):
        with open(target, "wb") as file:
            return write_params(file, state)
    target.write(struct.pack("<QQQ", _LIST, 0, len(state)))
    for tensor in state.values():
        target.write(_packed(tensor))
    target.write(struct.pack("<Q", len(state)))
    for name in state:
        encoded = name.encode("utf-8")
        target.write(struct.pack("<Q", len(encoded)) + encoded)


def _packed(tensor: torch.Tensor) -> bytes:
    flag = _TYPES.index(tensor.dtype)
    tensor = tensor.detach().cpu().contiguous()
    array = (tensor.view(torch.int16) if flag == _BFLOAT16 else tensor).numpy()
    magic = _V2 if tensor.numel() and tensor.dim() else _V3
    shape = struct.pack(f"<i{tensor.dim()}q", tensor.dim(), *tensor.shape)
    head = struct.pack("<Ii", magic, _DENSE) + shape + struct.pack("<iii", 1, 0, flag)  # device 1, 0: the CPU
    return head + array.astype(_STORED[flag], copy=False).tobytes()


def _read_names(cursor: Cursor, count: int) -> list[str]:
    at, num_names = cursor.position, cursor.number("Q", "the number of names")
    if num_names not in (0, count):
        cursor.refuse(at, f"{num_names:,} names follow {count:,} arrays", f"there must be {count:,}, or none")
    names: dict[str, None] = {}
    for _ in range(num_names):
        length = cursor.number("Q", "the length of a name")
        at, content = cursor.position, cursor.take(length, "a name")
        try:
            name = content.decode("utf-8")
        except UnicodeDecodeError:
            cursor.refuse(at, f"a name is {bytes(content[:40])!r}", "it must be UTF-8")
        name = name[4:] if name.startswith(("arg:", "aux:")) else name
        if name in names:
            cursor.refuse(at, f"the name {name[:80]!r} comes twice", "each array must have its own")
        names[name] = None
    if cursor.left:
        cursor.refuse(cursor.position, f"{cursor.left:,} more bytes follow", "nothing may come after the last name")
    return list(names) if num_names else [str(index) for index in range(count)]


class _ArrayReader:
    """Reads one array after another; together their sparse ones keep to SPARSE_LIMIT."""

    def __init__(self, cursor: Cursor):
        self._cursor, self._sparse_left = cursor, SPARSE_LIMIT

    def read(self) -> torch.Tensor:
        cursor = self._cursor
        at, magic = cursor.position, cursor.number("I", "the version")
        if magic in (_V2, _V3):
            return self._read_with_storage(magic)
        if magic != _V1 and magic > MAX_DIMS:
            cursor.refuse(at, f"the version is {magic:#x}", f"it must be {_V1:#x}, {_V2:#x}, {_V3:#x}, or at most {MAX_DIMS} axes")
        shape = self._shape(_V1) if magic == _V1 else cursor.dims(magic, "I", at)
        if not shape:  # none, as in version 2
            return torch.empty(0)
        flag = self._type_after_device()
        return _to_tensor(cursor.elements(shape, _STORED[flag], "an array"), flag)

    def _read_with_storage(self, magic: int) -> torch.Tensor:
        cursor = self._cursor
        at, storage = cursor.position, cursor.number("i", "the storage type")
        if storage not in (_DENSE, _ROW_SPARSE, _CSR):
            cursor.refuse(at, f"the storage type is {storage}", "it must be 0 (dense), 1 (row_sparse) or 2 (csr)")
        stored_shape = None if storage == _DENSE else self._shape(magic)
        shape = self._shape(magic)
        if shape is None or (magic == _V2 and not shape):
            return torch.empty(0)
        flag = self._type_after_device()
        if storage == _DENSE:
            return _to_tensor(cursor.elements(shape, _STORED[flag], "an array"), flag)
        return self._read_sparse(storage, shape=shape, stored_shape=stored_shape, flag=flag)

    def _shape(self, magic: int) -> Shape | None:
        """None for one that version 3 says is unknown."""
        cursor = self._cursor
        at, ndim = cursor.position, cursor.number("i", "the number of axes")
        return None if magic == _V3 and ndim == -1 else cursor.dims(ndim, "q", at)

    def _type_after_device(self) -> int:
        self._cursor.take(8, "the device")  # the arrays come back on the CPU wherever they were
        return self._type(range(len(_TYPES)))

    def _type(self, allowed: range | tuple[int, ...]) -> int:
        cursor = self._cursor
        at, flag = cursor.position, cursor.number("i", "the type flag")
        if flag not in allowed:
            known = ", ".join(f"{known} ({str(_TYPES[known]).removeprefix('torch.')})" for known in allowed)
            cursor.refuse(at, f"the type flag is {flag}", f"it must be one of {known}")
        return flag

    def _read_sparse(self, storage: int, *, shape: Shape, stored_shape: Shape | None, flag: int) -> torch.Tensor:
        cursor = self._cursor
        at = cursor.position
        kinds = [(self._type(_INDEX_FLAGS), self._shape(_V2)) for _ in range(storage)]  # row_sparse has 1 index array, csr 2
        dense_bytes = math.prod(shape) * _STORED[flag].itemsize
        if dense_bytes > self._sparse_left:
            allowed = f"the sparse arrays of a file may take {SPARSE_LIMIT:,} together"
            cursor.refuse(at, f"a sparse array of shape {list(shape)} takes {dense_bytes:,} bytes", allowed)
        self._sparse_left -= dense_bytes
        lengths = [index_shape for _, index_shape in kinds]
        if lengths != _index_shapes(storage, shape, stored_shape, lengths[0]):
            found = f"a sparse array of shape {list(shape)} stores {stored_shape} with index arrays of {lengths}"
            cursor.refuse(at, found, "the three must fit each other")
        values = cursor.elements(stored_shape, _STORED[flag], "a sparse array")
        at = cursor.position
        indices = [cursor.elements(length, _STORED[kind], "an index array").astype(np.int64) for kind, length in kinds]
        where = _rows(*indices, shape) if storage == _ROW_SPARSE else _cells(*indices, shape)
        if where is None:
            cursor.refuse(at, f"the indices do not fit the shape {list(shape)}", "they must rise, each once, within the shape")
        dense = np.zeros(shape, values.dtype)
        dense[where] = values
        return _to_tensor(dense, flag)


def _to_tensor(array: np.ndarray, flag: int) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    if _TYPES[flag] == torch.bool:
        return tensor != 0
    return tensor.view(torch.bfloat16) if flag == _BFLOAT16 else tensor


def _index_shapes(storage: int, shape: Shape, stored_shape: Shape | None, first: Shape) -> list[Shape]:
    """The shapes that the index arrays must have; [] where the stored shape itself does not fit."""
    if storage == _ROW_SPARSE:
        return [stored_shape[:1]] if stored_shape and stored_shape[1:] == shape[1:] else []
    if not stored_shape or len(stored_shape) != 1 or len(shape) != 2:
        return []
    starts = (0,) if first == stored_shape == (0,) else (shape[0] + 1,)  # a csr array that was never filled has none
    return [starts, stored_shape]


def _rows(rows: np.ndarray, shape: Shape) -> np.ndarray | None:
    """The rows that a row_sparse array stores; None where they are not rising, or outside of the shape."""
    fits = not len(rows) or (rows[0] >= 0 and rows[-1] < shape[0] and (rows[1:] > rows[:-1]).all())
    return rows if fits else None


def _cells(starts: np.ndarray, columns: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray] | None:
    """(row, column) of each value of a csr array: row r has those from starts[r] to starts[r + 1]. None where that cannot be."""
    if not len(starts):
        return columns, columns
    counts = starts[1:] - starts[:-1]
    if starts[0] != 0 or starts[-1] != len(columns) or (counts < 0).any():
        return None
    rows = np.repeat(np.arange(shape[0]), counts)
    if ((columns < 0) | (columns >= shape[1])).any() or len(np.unique(rows * shape[1] + columns)) != len(columns):
        return None
    return rows, columns
