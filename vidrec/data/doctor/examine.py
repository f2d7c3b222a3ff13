"""One video examined to its last frame: what its header promises, what the decoder gives, and hashes of both."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from vidrec.data.decoders import open_video
from vidrec.data.decoders.memory import VideoBytes, local_copy
from vidrec.data.decoders.pyav_source import damaged, open_container, video_stream
from vidrec.utils.errors import VideoError

VERSION = 1  # of Record; a record of another version is examined anew
PART_BYTES, PART_FRAMES = 64 * 2**20, 16  # decoded at a time
SAME_LEVELS = 8  # of 255: pixels that differ by no more count as equal, which an encoder does to a plain area


class Record(NamedTuple):
    """What was found. Numbers are 0 and texts '' where it did not come to that."""

    path: str
    size: int = 0  # bytes
    changed: int = 0  # time of change in ns; of a member of a shard its offset
    decoder: str = ""  # with its version
    timeout: float = 0.0  # seconds that were allowed
    status: str = "ok"  # a status of the manifest
    reason: str = ""
    frames: int = 0  # decoded
    header_frames: int = 0  # as the header counts them
    hidden_frames: int = 0  # that an edit list hides
    fps: float = 0.0
    width: int = 0  # stored, before rotation
    height: int = 0
    rotation: int = 0  # degrees
    codec: str = ""
    still: bool = False  # every frame equals the first
    bytes_hash: str = ""
    frames_hash: str = ""
    version: int = VERSION


def examine(source: str | VideoBytes, decoder: str) -> dict[str, Any]:
    """Fields of the Record of a video: status, reason, and all that is known of its content.

    Any error counts as `unreadable`, with its words: what a decoder raises here it would raise in training.
    """
    found: dict[str, Any] = {}
    try:
        if isinstance(source, VideoBytes):
            with local_copy(source) as path:
                _examine_file(path, source, decoder, found)
        elif not os.path.exists(source):
            found |= {"status": "missing", "reason": f"{source} does not exist"}
        else:
            _examine_file(source, source, decoder, found)
    except PermissionError as error:
        found |= {"status": "missing", "reason": f"{source} cannot be opened: {error.strerror}"}
    except Exception as error:
        words = str(error) if isinstance(error, VideoError) else f"{type(error).__name__}: {error}"
        found |= {"status": "unreadable", "reason": words}
    return found


def _examine_file(path: str, source: str | VideoBytes, decoder: str, found: dict[str, Any]) -> None:
    """Fills `found` step by step, so that what came before an error is kept."""
    found["bytes_hash"] = _hash_bytes(Path(path))
    header = None
    if not os.path.isdir(path) and os.path.getsize(path):  # a folder of frames has no header
        header = read_header(path)
        found |= {name: getattr(header, name) for name in Record._fields if hasattr(header, name)}
    with open_video(source, decoder) as reader:
        found["fps"] = found.get("fps") or float(reader.fps)
        found |= _decode(reader)
    why = why_truncated(header, found["frames"]) if header else None
    if why:
        found |= {"status": "truncated", "reason": why}
    elif found.pop("one_color"):
        found |= {"status": "blank", "reason": "every frame has one color"}
    found.pop("one_color", None)


class Header(NamedTuple):
    """What headers and packets say of a video, without decoding more than a frame."""

    codec: str
    width: int
    height: int
    rotation: int
    fps: float
    header_frames: int
    hidden_frames: int
    promised: float  # seconds, 0.0 unknown
    present: float  # seconds from the first packet to the end of the last
    missing_bytes: int  # that the header's table of packets counts beyond the end of the file


def read_header(path: str) -> Header:
    """Reads all packets. Raises VideoError where there is no video."""
    with open_container(path) as container:
        try:
            stream = video_stream(container, path)
            context = stream.codec_context
            fields = {"codec": context.codec.canonical_name, "width": context.width, "height": context.height}
            fields["promised"] = _promised_seconds(container, stream)
            fields["missing_bytes"] = bytes_cut_off(stream, os.path.getsize(path))
            present, hidden = _read_packets(container, stream)
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            counts = {"fps": fps, "header_frames": stream.frames, "hidden_frames": hidden, "present": present}
        except av.error.FFmpegError as error:
            raise damaged(path, error) from error
    return Header(rotation=_rotation(path), **fields, **counts)


def bytes_cut_off(stream: Any, size: int) -> int:
    """How far the packets that an opened stream's header lists lie beyond the end of its file of `size` bytes; 0 where there is no list."""
    return max(0, max((entry.pos + entry.size for entry in list(stream.index_entries)), default=0) - size)


def why_truncated(header: Header, frames: int) -> str | None:
    """Why a video is cut short, None where it is not.

    A header may count one frame too many (AVI), and times are inexact: only more than one frame and 2 % of them, or half a second and a
    tenth of the time, are a cut.
    """
    expected = header.header_frames - header.hidden_frames
    if header.missing_bytes:
        return f"the file ends {header.missing_bytes:,} bytes before its last packet; {frames} frames can be shown"
    if expected - frames > max(1, 0.02 * expected):
        return f"the header promises {expected} frames, {frames} can be shown"
    if header.present < 0.9 * header.promised and header.promised - header.present > 0.5:
        return f"the header promises {header.promised:.2f} seconds, {header.present:.2f} are there"
    return None


def _read_packets(container: Any, stream: Any) -> tuple[float, int]:
    """Seconds of the packets that are shown, and the number of those that an edit list hides."""
    first, last, hidden = None, 0, 0
    for packet in container.demux(stream):
        hidden += packet.is_discard
        if packet.pts is None or packet.is_discard or not packet.size:
            continue
        first = packet.pts if first is None else min(first, packet.pts)
        last = max(last, packet.pts + (packet.duration or 0))
    return (float((last - first) * stream.time_base) if first is not None else 0.0), hidden


def _promised_seconds(container: Any, stream: Any) -> float:
    """Length of the video as the header has it; that of the whole file only where the video is all there is in it."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    return container.duration / av.time_base if container.duration and len(container.streams) == 1 else 0.0


def _rotation(path: str) -> int:
    """Degrees by which the first frame is turned for display; 0 where none can be decoded."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.codec_context.thread_count = 1
        try:
            return int(next(container.decode(stream)).rotation)
        except (av.error.FFmpegError, StopIteration):
            return 0


def _decode(reader: Any) -> dict[str, Any]:
    """All frames of a video in order: their number, hash, and whether they have one color or are all alike."""
    count = len(reader)
    digest, one_color, still = hashlib.blake2b(digest_size=16), True, count > 1
    first, done, step = None, 0, 1
    while done < count:
        frames = np.ascontiguousarray(reader.get_frames(np.arange(done, min(done + step, count))).numpy())  # [n, H, W, 3]
        if first is None:
            first = frames[0]
            digest.update(repr(first.shape).encode())
            step = max(1, min(PART_FRAMES, PART_BYTES // first.nbytes))
        digest.update(frames)
        one_color = one_color and bool((np.ptp(frames, axis=(1, 2)) <= SAME_LEVELS).all())
        still = still and all(_alike(frame, first) for frame in frames)
        done += len(frames)
    return {"frames": count, "frames_hash": digest.hexdigest(), "one_color": one_color, "still": still}


def _alike(frame: np.ndarray, other: np.ndarray) -> bool:
    return int((np.maximum(frame, other) - np.minimum(frame, other)).max()) <= SAME_LEVELS


def _hash_bytes(path: Path) -> str:
    """Of a file, or of all files of a folder in the order of their names."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with open(file, "rb") as content:
            while chunk := content.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()
