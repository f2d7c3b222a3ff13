"""Writes the videos of a list into tar shards with an index, for clusters and object storage."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import DataError

if TYPE_CHECKING:
    from vidrec.data.annotations import VideoTable
    from vidrec.data.shards.write import Sample

INDEX, ARRAYS, PLAN = "index.json", "index.bin", "plan.json"
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
ANY_LABEL = 2**31 - 1
MIN_SIZE = 10_240  # bytes; the smallest tar file
MAX_REPORTED = 20


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = new_parser("make_shards", description=__doc__)
    parser.add_argument("--list", required=True, metavar="F", help="annotation file of the videos")
    parser.add_argument("--data-folder", default="", metavar="D", help="put before each relative path; the list's own folder if not given")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where shard-000000.tar ... and index.json go")
    parser.add_argument("--size", default="256MB", metavar="BYTES", help="of a shard at the most, such as 64MiB or 1GB; 256MB if not given")
    parser.add_argument("--force", action="store_true", help="replace the shards of another list, or of changed files, in that folder")
    args = parser.parse_args(argv)
    return run_command(lambda: make_shards(args.list, args.out, size=args.size, data_folder=args.data_folder, force=args.force))


def make_shards(annotation: str, out: Path, *, size: str = "256MB", data_folder: str = "", force: bool = False) -> None:
    """Writes `shard-NNNNNN.tar`, `index.json` and `index.bin`; what an earlier run of the same plan has written is kept.

    Raises:
        DataError: the list is wrong, videos are missing, the folder holds something else, or it cannot be written.
    """
    from vidrec.data.annotations import read_table
    from vidrec.data.shards.write import plan_shards
    from vidrec.engine.files import room_text

    limit = parse_size(size)
    table = read_table(annotation, data_folder=data_folder, num_classes=ANY_LABEL)
    if table.has_spans or table.multi_label:
        what = "parts of videos" if table.has_spans else "several labels a video"
        raise DataError(f"{annotation} lists {what}; a shard holds whole videos with one label each. Make shards of a list of that form.")
    samples = list(_samples(table))
    plan = _plan_text(samples, limit)
    shards = plan_shards(samples, limit)
    try:
        if not _prepare(out, plan, force):
            print(f"{out} holds these {len(shards)} shards of {len(samples)} videos already; kept.")
            return
        _write(out, shards)
    except OSError as error:
        raise DataError(
            f"The shards cannot be written to {out}: {error} ({room_text(out)}). Make room or choose another folder with --out; "
            "the same command goes on where it stopped."
        ) from error
    print(f"{len(samples)} videos in {len(shards)} shards: {out / INDEX}")


def parse_size(text: str) -> int:
    """Bytes. Example: `256MB` -> 256000000, `64MiB` -> 67108864. Raises DataError for no size or one below MIN_SIZE."""
    match = re.fullmatch(r"(\d{1,15})\s*(|[KMG]I?)B?", text.strip().upper())
    size = int(match[1]) * UNITS[match[2]] if match else 0
    if size < MIN_SIZE:
        raise DataError(f"--size is {text!r}; it must be at least {MIN_SIZE} bytes, such as 64MiB, 256MB or 1GB. Give such a size.")
    return size


def _samples(table: "VideoTable") -> "Iterator[Sample]":
    """The rows of a list with the sizes of their files. Raises DataError naming those that are missing, empty or too large."""
    from vidrec.data.decoders.base import local_path
    from vidrec.data.shards.write import MAX_MEMBER, Sample
    from vidrec.utils.errors import VideoError

    mistakes, labels, frames = [], table.labels, table.num_frames
    for row in range(len(table)):
        try:
            path = local_path(table.path(row))
            if os.path.isdir(path):
                raise VideoError(f"{path} is a folder of frames; a shard holds video files. Make a list of files.")
        except VideoError as error:
            mistakes.append(str(error))
            continue
        size = os.path.getsize(path)
        if size > MAX_MEMBER:
            mistakes.append(f"{path} has {size:,} bytes; a member of a plain tar file has at most {MAX_MEMBER:,}. Encode it smaller.")
            continue
        listed = os.path.relpath(table.path(row), table.folder or ".")
        yield Sample(row, path, listed, int(labels[row]), int(frames[row]), size)
    if mistakes:
        head = (
            f"{len(mistakes)} of {len(table)} videos cannot be put into shards; all must be there. Mend the list, or take the cleaned one "
            "of tools/check_dataset.py:"
        )
        raise DataError("\n".join([head, *(f"  - {mistake}" for mistake in mistakes[:MAX_REPORTED])]))


def _plan_text(samples: "list[Sample]", limit: int) -> bytes:
    """What decides the shards: the rows, and length and time of change of each file."""
    digest = hashlib.sha256()
    for sample in samples:
        changed = os.stat(sample.path).st_mtime_ns
        digest.update(json.dumps([*sample, changed]).encode())
    return json.dumps({"videos": len(samples), "shard_size": limit, "sha256": digest.hexdigest()}, indent=1).encode() + b"\n"


def _prepare(out: Path, plan: bytes, force: bool) -> bool:
    """Makes the folder ready for a plan; False where all is there. Raises DataError where it holds something else."""
    from vidrec.engine.files import atomic_file, remove_leftovers

    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    held = {path.name for path in out.iterdir()}
    if held and PLAN not in held:
        raise DataError(f"{out} is not empty and holds no shards of this tool; a new or empty folder is wanted. Choose another with --out.")
    if held and (out / PLAN).read_bytes() != plan:
        if not force:
            raise DataError(
                f"{out} holds shards of another list, of files that have changed since, or of another --size; only the same can be gone on "
                "with. Choose another folder with --out, or replace them with --force."
            )
        for name in held:
            if re.fullmatch(r"shard-\d{6,}\.tar", name) or name in (INDEX, ARRAYS, PLAN):
                (out / name).unlink()
        held = set()
    if PLAN not in held:
        with atomic_file(out / PLAN) as file:
            file.write(plan)
    return INDEX not in held


def _write(out: Path, shards: "list[list[Sample]]") -> None:
    """Writes the shards that are not there yet, each whole or not at all, and the index last."""
    from tqdm import tqdm

    from vidrec.data.shards.index import pack_index
    from vidrec.data.shards.write import write_shard
    from vidrec.engine.files import atomic_file

    total = sum(sample.size for shard in shards for sample in shard)
    with tqdm(total=total, unit="B", unit_scale=True, desc=out.name, disable=None) as bar:
        for number, shard in enumerate(shards):
            path = out / _shard_name(number)
            if not path.exists():  # it has this name only when it is whole
                with atomic_file(path) as file:
                    write_shard(file, shard)
            bar.update(sum(sample.size for sample in shard))
    head, arrays = pack_index(_index(out, shards), arrays_name=ARRAYS)
    for name, content in ((ARRAYS, arrays), (INDEX, head)):
        with atomic_file(out / name) as file:
            file.write(content)


def _index(out: Path, shards: "list[list[Sample]]"):
    import numpy as np

    from vidrec.data.shards.index import ShardFile, ShardIndex
    from vidrec.data.shards.write import video_offsets

    samples = [sample for shard in shards for sample in shard]
    names = [sample.member.encode("ascii") for sample in samples]
    return ShardIndex(
        shards=tuple(ShardFile(_shard_name(number), (out / _shard_name(number)).stat().st_size) for number in range(len(shards))),
        names=b"".join(names),
        name_ends=np.cumsum([0, *(len(name) for name in names)], dtype=np.int64),
        offset=np.array([offset for shard in shards for offset in video_offsets(shard)], dtype=np.int64),
        size=np.array([sample.size for sample in samples], dtype=np.int64),
        shard=np.repeat(np.arange(len(shards)), [len(shard) for shard in shards]).astype(np.int32),
        label=np.array([sample.label for sample in samples], dtype=np.int32),
        num_frames=np.array([sample.num_frames for sample in samples], dtype=np.int32),
    )


def _shard_name(number: int) -> str:
    return f"shard-{number:06d}.tar"
