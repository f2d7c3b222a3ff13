"""The index of a set of shards: which bytes of which tar file hold which video. Packed and checked here; no file is touched.

Two files. `index.json` says the format, its version, the number of videos, the name and length of each shard, and length and sha256 of the
second file. `index.bin` holds seven arrays for N videos one after the other, little-endian: int64 name_ends [N + 1], int64 offset [N],
int64 size [N], int32 shard [N], int32 label [N], int32 num_frames [N], and the names of all members, uint8.
"""

import hashlib
import json
from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vidrec.utils.errors import DataError

FORMAT, VERSION = "vidrec-shards", 1
BLOCK = 512  # bytes; the unit of a tar file
MAX_REPORTED = 20  # mistakes shown in one message


class ShardFile(NamedTuple):
    name: str  # below the folder of the index
    size: int  # bytes


class ShardIndex(NamedTuple):
    """Where N videos are."""

    shards: tuple[ShardFile, ...]
    names: bytes  # of the members, one after the other
    name_ends: np.ndarray  # [N + 1] int64, where each name begins; the last is the length of `names`
    offset: np.ndarray  # [N] int64, first byte of the video in its shard
    size: np.ndarray  # [N] int64, bytes
    shard: np.ndarray  # [N] int32, place in `shards`
    label: np.ndarray  # [N] int32
    num_frames: np.ndarray  # [N] int32, as the annotation file said, 0 unknown

    @property
    def num_videos(self) -> int:
        return len(self.offset)

    def name(self, row: int) -> str:
        return self.names[self.name_ends[row] : self.name_ends[row + 1]].decode("ascii", "backslashreplace")


class Head(NamedTuple):
    """What `index.json` says."""

    num_videos: int
    shards: tuple[ShardFile, ...]
    arrays: str  # name of the second file
    arrays_size: int
    arrays_sha256: str


_ARRAYS = (
    ("name_ends", "<i8", 1),
    ("offset", "<i8", 0),
    ("size", "<i8", 0),
    ("shard", "<i4", 0),
    ("label", "<i4", 0),
    ("num_frames", "<i4", 0),
)


def pack_index(index: ShardIndex, *, arrays_name: str) -> tuple[bytes, bytes]:
    """The content of `index.json` and of the file `arrays_name` beside it; equal indexes give equal bytes."""
    parts = [getattr(index, name).astype(dtype).tobytes() for name, dtype, _ in _ARRAYS]
    arrays = b"".join([*parts, index.names])
    head = {
        "format": FORMAT,
        "version": VERSION,
        "videos": index.num_videos,
        "arrays": {"name": arrays_name, "size": len(arrays), "sha256": hashlib.sha256(arrays).hexdigest()},
        "shards": [shard._asdict() for shard in index.shards],
    }
    return json.dumps(head, indent=1).encode() + b"\n", arrays


def read_head(content: bytes, where: str) -> Head:
    """The checked content of an `index.json`.

    Args:
        where: its place, for messages.

    Raises:
        DataError: it is no index, one of another version, or names a file outside of its folder.
    """
    try:
        parsed = json.loads(content)
    except ValueError as error:
        raise _no_index(where, f"it is no JSON ({error})") from error
    if not isinstance(parsed, dict) or parsed.get("format") != FORMAT:
        raise _no_index(where, f'it has no "format": "{FORMAT}"')
    if parsed.get("version") != VERSION:
        raise DataError(
            f"The shard index {where} has version {parsed.get('version')!r}; this vidrec reads version {VERSION}. Make the shards anew "
            "with tools/prepare/make_shards.py, or use the vidrec that made them."
        )
    try:
        arrays = parsed["arrays"]
        shards = tuple(ShardFile(_plain_name(shard["name"]), _count(shard["size"])) for shard in parsed["shards"])
        head = Head(_count(parsed["videos"]), shards, _plain_name(arrays["name"]), _count(arrays["size"]), str(arrays["sha256"]))
    except (KeyError, TypeError, ValueError) as error:
        raise _no_index(where, f"{type(error).__name__}: {error}") from error
    if head.num_videos == 0 or len({shard.name for shard in shards}) < len(shards):
        raise _no_index(where, "it has no video" if head.num_videos == 0 else "it names a shard twice")
    return head


def read_arrays(head: Head, content: bytes, where: str) -> ShardIndex:
    """The checked index.

    Args:
        content: of the second file.
        where: the place of `index.json`, for messages.

    Raises:
        DataError: the second file is another one or damaged; or entries point outside of their shard, or share a name; one message.
    """
    if len(content) != head.arrays_size or hashlib.sha256(content).hexdigest() != head.arrays_sha256:
        raise DataError(
            f"{head.arrays} beside the shard index {where} has {len(content):,} bytes; the file of {head.arrays_size:,} bytes with sha256 "
            f"{head.arrays_sha256[:16]}... is wanted: it is damaged or belongs to other shards. Copy the whole folder again."
        )
    lengths = [head.num_videos + more for _, _, more in _ARRAYS]
    sizes = [length * np.dtype(dtype).itemsize for length, (_, dtype, _) in zip(lengths, _ARRAYS, strict=True)]
    if sum(sizes) > len(content):
        raise _no_index(where, f"{head.arrays} is too short for {head.num_videos} videos")
    arrays, start = {}, 0
    for (name, dtype, _), length, size in zip(_ARRAYS, lengths, sizes, strict=True):
        native = np.dtype(dtype).newbyteorder("=")
        arrays[name] = np.frombuffer(content, dtype, count=length, offset=start).astype(native)
        start += size
    index = ShardIndex(head.shards, content[start:], **arrays)
    _check_entries(index, where)
    return index


def _check_entries(index: ShardIndex, where: str) -> None:
    """Raises DataError with everything that is wrong with the entries."""
    ends = index.name_ends
    if ends[0] != 0 or ends[-1] != len(index.names) or np.any(np.diff(ends) <= 0):
        raise _no_index(where, "the places of its names do not rise from the first byte to the last")
    mistakes = []
    known = (index.shard >= 0) & (index.shard < len(index.shards))
    mistakes += [
        f"{index.name(row)}: shard {index.shard[row]} of {len(index.shards)} does not exist"
        for row in np.flatnonzero(~known)[:MAX_REPORTED]
    ]
    lengths = np.array([shard.size for shard in index.shards] or [0], dtype=np.int64)[np.where(known, index.shard, 0)]
    # offset > length - size and not offset + size > length: the sum of two numbers from a file can run over
    outside = known & ((index.offset < BLOCK) | (index.offset % BLOCK != 0) | (index.size < 1) | (index.offset > lengths - index.size))
    for row in np.flatnonzero(outside)[:MAX_REPORTED]:
        place = f"{index.size[row]:,} bytes at byte {index.offset[row]:,}"
        mistakes.append(f"{index.name(row)}: {place} do not lie in {index.shards[index.shard[row]].name}, which has {lengths[row]:,} bytes")
    repeated = _repeated_names(index)
    mistakes += [f"{name}: two members have this name" for name in repeated]
    if mistakes:
        count = int((~known).sum() + outside.sum()) + len(repeated)
        head = (
            f"The shard index {where} has {count} wrong entr{'y' if count == 1 else 'ies'}; each must be a member of its own inside its "
            "shard. Make the shards anew with tools/prepare/make_shards.py, or copy the whole folder again:"
        )
        raise DataError("\n".join([head, *(f"  - {mistake}" for mistake in mistakes[:MAX_REPORTED])]))


def _repeated_names(index: ShardIndex) -> list[str]:
    """Names that stand more than once, each said once."""
    ends = index.name_ends.tolist()
    hashes = np.fromiter((hash(index.names[start:stop]) for start, stop in pairwise(ends)), np.int64, index.num_videos)
    if len(np.unique(hashes)) == len(hashes):
        return []
    counts = Counter(index.names[start:stop] for start, stop in pairwise(ends))
    return [name.decode("ascii", "backslashreplace") for name, count in counts.items() if count > 1]


def _plain_name(name: Any) -> str:
    """A file name without a folder, so that an index reaches nothing outside of its own folder."""
    if not isinstance(name, str) or not name or name in (".", "..") or any(mark in name for mark in "/\\:?#") or not name.isprintable():
        raise ValueError(f"{name!r} is no plain file name")
    return name


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise ValueError(f"{value!r} is no count")
    return value


def _no_index(where: str, why: str) -> DataError:
    return DataError(
        f"{where} is no shard index: {why}; the index.json that tools/prepare/make_shards.py writes is wanted. "
        "Check CONFIG.DATA.TRAIN_ANNO_PATH and CONFIG.DATA.VAL_ANNO_PATH, or make the shards anew."
    )
