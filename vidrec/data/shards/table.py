"""Videos in shards as a table that the datasets read like one of files."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vidrec.data.annotations import VideoTable
from vidrec.data.decoders.memory import VideoBytes
from vidrec.data.shards.fetch import FetchError, Folder, Patience
from vidrec.data.shards.index import BLOCK, FORMAT, MAX_REPORTED, ShardIndex, read_arrays, read_head
from vidrec.data.stamps import Stamp
from vidrec.utils.errors import DataError, VideoError


class ShardTable(VideoTable):
    """A VideoTable whose videos are members of tar files; `source` brings one into memory by one range read.

    Args:
        index: checked by `read_arrays`.
        folder: where the shards are.
        sha256: of the index.
    """

    def __init__(self, index: ShardIndex, folder: Folder, *, sha256: str):
        super().__init__(
            bytearray(index.names), offsets=index.name_ends, labels=index.label, num_frames=index.num_frames, folder="", sha256=sha256
        )
        self._store = folder
        self._shards = index.shards
        self._shard, self._offset, self._size = (torch.from_numpy(array) for array in (index.shard, index.offset, index.size))

    def path(self, index: int) -> str:
        """`URL of the shard#name of the member`."""
        return f"{self._store.url}/{self._shards[int(self._shard[index])].name}#{super().path(index)}"

    def keep(self, rows: np.ndarray) -> "ShardTable":
        kept, mask = super().keep(rows), torch.from_numpy(rows)
        kept._shard, kept._offset, kept._size = self._shard[mask], self._offset[mask], self._size[mask]
        return kept

    def stamp(self, index: int) -> Stamp:
        """Size and offset of a video: what tells it from another of its name."""
        return int(self._size[index]), int(self._offset[index])

    def source(self, index: int) -> VideoBytes:
        """The bytes of a video. Raises VideoError naming shard, member and offset, after bounded attempts."""
        name, shard = super().path(index), self._shards[int(self._shard[index])]
        offset, size = int(self._offset[index]), int(self._size[index])
        try:
            content = self._store.read(shard.name, offset - BLOCK, offset + size)  # with the block before it, the member's header
        except FetchError as error:
            raise self._unreadable(index, f"{error}; check the store and the network.") from error
        if len(content) < BLOCK + size:
            raise self._unreadable(index, f"the shard is cut short, {max(0, len(content) - BLOCK):,} bytes come; copy it again.")
        if len(content) > BLOCK + size:
            raise self._unreadable(index, "the store sends more than the range asked for; one that supports range requests is needed.")
        self._check_header(index, content[:BLOCK], name=name, size=size)
        return VideoBytes(self.path(index), content[BLOCK:])

    def _check_header(self, index: int, block: bytes, *, name: str, size: int) -> None:
        """Raises VideoError where the tar header before a member is not that of the index."""
        try:
            header = tarfile.TarInfo.frombuf(block, "ascii", "backslashreplace")
        except tarfile.HeaderError as error:
            raise self._unreadable(index, f"there is no member ({error}); index and shard do not belong together, copy both.") from error
        if (header.name, header.size) != (name, size):
            found = f"{header.name!r} of {header.size:,} bytes is there"
            raise self._unreadable(index, f"{found}; index and shard do not belong together, copy both.")

    def _unreadable(self, index: int, reason: str) -> VideoError:
        place = f"{int(self._size[index]):,} bytes at byte {int(self._offset[index]):,}"
        return VideoError(f"{self.path(index)} ({place}) cannot be read: {reason}")


def is_shard_index(annotation: str) -> bool:
    """Whether an annotation path means shards: a URL, or a local JSON file that says so."""
    if "://" in annotation or "::" in annotation:
        return True
    if not annotation.endswith(".json") or not Path(annotation).is_file():
        return False
    with open(annotation, "rb") as file:
        return f'"{FORMAT}"'.encode() in file.read(BLOCK)


def open_shards(url: str, *, num_classes: int, patience: Patience = Patience()) -> ShardTable:  # noqa: B008
    """The videos of a shard index, by fsspec URL or local path.

    Args:
        num_classes: labels must lie in [0, num_classes).

    Raises:
        DataError: index or first shard cannot be read, or something in the index is wrong; one message.
        UserError: the protocol is unknown or its package is missing.
    """
    folder = Folder(url, patience)
    content = _read(folder, url.rsplit("/", 1)[-1], url)
    head = read_head(content, url)
    index = read_arrays(head, _read(folder, head.arrays, url), url)
    table = ShardTable(index, folder, sha256=head.arrays_sha256)
    _check_labels(index, url, num_classes)
    try:
        table.source(0)
    except VideoError as error:
        raise DataError(f"The first video of the shard index {url} cannot be read. {error}") from error
    return table


def _read(folder: Folder, name: str, url: str) -> bytes:
    try:
        return folder.read(name)
    except FetchError as error:
        raise DataError(
            f"The shard index {url} cannot be read: {name}: {error}; the index.json of a folder of shards is wanted. "
            "Check CONFIG.DATA.TRAIN_ANNO_PATH and CONFIG.DATA.VAL_ANNO_PATH."
        ) from error


def _check_labels(index: ShardIndex, url: str, num_classes: int) -> None:
    wrong = np.flatnonzero((index.label < 0) | (index.label >= num_classes))
    if not len(wrong):
        return

    def rows() -> Iterator[str]:
        yield f"{url} has {len(wrong)} labels outside [0, {num_classes}); labels count from 0. Set CONFIG.DATA.NUM_CLASSES:"
        yield from (f"  - {index.name(row)}: label {index.label[row]}" for row in wrong[:MAX_REPORTED])

    raise DataError("\n".join(rows()))
