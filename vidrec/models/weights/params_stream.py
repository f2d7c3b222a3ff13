"""Reading a binary file front to back without ever trusting a number in it."""

import math
import struct
from typing import NoReturn, Protocol

import numpy as np

from vidrec.utils.errors import WeightsError

MAX_DIMS = 32
MAX_EMPTY = 1 << 40  # product of the other axes of an array that has an axis of length 0
_BLOCK = 1 << 20  # bytes; memory grows with what the file really holds, whatever it promises


class Stream(Protocol):
    """What is read from: an open file, or a member of a zip."""

    def read(self, count: int, /) -> bytes: ...


class Cursor:
    """A position in a stream of known size. Little-endian throughout.

    Every read is checked against the bytes that are left before anything is allocated.

    Args:
        size: length of the stream in bytes.
        source: the file, for the messages.
    """

    def __init__(self, stream: Stream, *, size: int, source: str):
        self._stream, self._size, self._source = stream, size, source
        self.position = 0
        self.place = "the header"  # what is being read, for the messages

    @property
    def left(self) -> int:
        return self._size - self.position

    def refuse(self, at: int, found: str, allowed: str) -> NoReturn:
        """Raises WeightsError: what is wrong at the byte `at`, and what may stand there."""
        raise WeightsError(
            f"{self._source} cannot be read as a .params file: at byte {at:,} of {self._size:,}, in {self.place}, {found}; {allowed}. "
            "It is damaged, cut short or no weights file: get it again."
        )

    def take(self, count: int, what: str) -> bytearray:
        """The next `count` bytes."""
        start = self.position
        if count > self.left:
            self.refuse(start, f"{what} takes {count:,} bytes", f"{self.left:,} are left")
        content = bytearray()
        while len(content) < count:
            block = self._stream.read(min(count - len(content), _BLOCK))
            if not block:
                self.refuse(start + len(content), f"{what} ends", f"it must have {count:,} bytes")
            content += block
        self.position += count
        return content

    def number(self, code: str, what: str) -> int:
        """One integer of a struct code, such as `I` or `q`."""
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}"), what))[0]

    def dims(self, ndim: int, code: str, at: int) -> tuple[int, ...]:
        """The axes of a shape whose number, `ndim`, stood at the byte `at`."""
        if not 0 <= ndim <= MAX_DIMS:
            self.refuse(at, f"a shape has {ndim:,} axes", f"0 to {MAX_DIMS} are allowed")
        at = self.position
        dims = struct.unpack(f"<{ndim}{code}", self.take(ndim * struct.calcsize(f"<{code}"), "a shape"))
        if min(dims, default=0) < 0 or (0 in dims and math.prod(max(length, 1) for length in dims) > MAX_EMPTY):
            self.refuse(at, f"a shape is {list(dims)}", "each axis must be at least 0, and the array one that memory can hold")
        return dims

    def elements(self, shape: tuple[int, ...], dtype: np.dtype, what: str) -> np.ndarray:
        """An array of this shape, writable, in the machine's byte order."""
        content = self.take(math.prod(shape) * dtype.itemsize, f"{what} of shape {list(shape)}")
        return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
