"""Which videos go into which shard, and the bytes of a shard; the same list and files give the same bytes."""

import io
import json
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vidrec.data.shards.index import BLOCK
from vidrec.utils.errors import DataError

MAX_MEMBER = 8 * 2**30 - 1  # bytes; what the size field of a plain tar header can say
_RECORD = tarfile.RECORDSIZE  # a tar file's length is a multiple of this


class Sample(NamedTuple):
    """A row of the list on its way into a shard. In the tar: KEY.mp4 (or another ending), KEY.cls and KEY.json."""

    row: int
    path: str  # of the file
    listed: str  # as the list has it
    label: int
    num_frames: int
    size: int  # bytes of the file

    @property
    def key(self) -> str:
        """Unique by its row, readable by its end, and without a dot, at which WebDataset ends a key. Example: `00000012-v_Archery_g01`"""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(self.listed).stem)
        return f"{self.row:08d}-{stem[-60:]}"

    @property
    def member(self) -> str:
        """Name of the video in the tar file. Example: `00000012-v_Archery_g01.mp4`"""
        ending = Path(self.listed).suffix[1:].lower()
        return f"{self.key}.{ending if re.fullmatch('[a-z0-9]{1,8}', ending) else 'video'}"

    def label_file(self) -> bytes:
        return str(self.label).encode()

    def json_file(self) -> bytes:
        return json.dumps({"path": self.listed, "label": self.label, "num_frames": self.num_frames}).encode()

    def tar_size(self) -> int:
        """Bytes of its three members."""
        return sum(BLOCK + _padded(size, BLOCK) for size in (self.size, len(self.label_file()), len(self.json_file())))


def plan_shards(samples: Iterable[Sample], limit: int) -> list[list[Sample]]:
    """The samples of each shard, in order: as many as fit into `limit` bytes, at least one."""
    shards: list[list[Sample]] = []
    used = limit
    for sample in samples:
        size = sample.tar_size()
        if not shards or shard_size(used + size) > limit:
            shards.append([])
            used = 0
        shards[-1].append(sample)
        used += size
    return shards


def shard_size(content: int) -> int:
    """Length of a tar file with so many bytes of members: two empty blocks follow, and the last record is filled up."""
    return _padded(content + 2 * BLOCK, _RECORD)


def video_offsets(shard: list[Sample]) -> list[int]:
    """Where the bytes of each video of a shard begin."""
    offsets, start = [], 0
    for sample in shard:
        offsets.append(start + BLOCK)
        start += sample.tar_size()
    return offsets


def write_shard(file: BinaryIO, shard: list[Sample]) -> None:
    """Writes a tar file. Times, owners and modes are the same in all, so that equal videos give equal bytes.

    Raises:
        DataError: a file has changed since the plan was made.
        OSError: a file cannot be read, or the shard cannot be written.
    """
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in shard:
            with open(sample.path, "rb") as video:
                _add(tar, sample.member, sample.size, video, sample.path)
                if video.read(1):
                    raise _changed(sample.path)
            for ending, content in (("cls", sample.label_file()), ("json", sample.json_file())):
                _add(tar, f"{sample.key}.{ending}", len(content), io.BytesIO(content), sample.path)


def _add(tar: tarfile.TarFile, name: str, size: int, content: BinaryIO, path: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    try:
        tar.addfile(member, content)
    except OSError as error:
        if str(error) == "unexpected end of data":  # tarfile's words for a file that has become shorter
            raise _changed(path) from error
        raise


def _changed(path: str) -> DataError:
    return DataError(f"{path} has changed its length while the shards were written; it must stay as it is. Run the command again.")


def _padded(size: int, unit: int) -> int:
    return -(-size // unit) * unit
