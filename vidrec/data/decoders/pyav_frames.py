"""Decoded PyAV frames by number: from an index of packets where that is exact, else by decoding the file once from start to end."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Protocol

import av
import numpy as np

from vidrec.data.decoders.packet_index import PacketIndex, PacketInfo, untrusted
from vidrec.data.decoders.pyav_source import Source
from vidrec.utils.errors import VideoError

# In these containers each packet carries the time of its one frame, and in these codecs each packet gives one frame. Not so in AVI,
# whose packets may give none (the header of HMDB51 files counts one frame too many) and whose times are guessed.
INDEXED_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
INDEXED_CODECS = ("h264", "hevc", "vp9", "av1")

SEEK_PAYS_AFTER = 8  # packets; decoding so few costs less than a seek, which starts the decoder anew
KEEP_BYTES = 256 * 2**20  # decoded frames kept from the counting pass; a longer video is decoded once more


class Frames(Protocol):
    """Decoded frames by number."""

    pts: np.ndarray | None  # [N] times of display in ticks of the stream; None where they are not known

    def __len__(self) -> int: ...

    def frame(self, number: int) -> av.VideoFrame: ...


def make_frames(source: Source) -> Frames:
    """Indexed frames where the packets' headers can be trusted, counted frames elsewhere."""
    if is_indexed(source):
        packets = read_packets(source)
        if untrusted(packets, header_count=source.stream.frames) is None:
            return IndexedFrames(source, PacketIndex(packets))
        source.reopen()
    return CountedFrames(source)


def is_indexed(source: Source) -> bool:
    """Whether container and codec are of those whose packets can stand for frames."""
    return source.container.format.name in INDEXED_CONTAINERS and source.stream.codec_context.codec.canonical_name in INDEXED_CODECS


def read_packets(source: Source) -> list[PacketInfo]:
    """The headers of all packets of the stream, in the order of the file. Raises VideoError over the guard's limits."""
    packets = []
    for packet in source.packets():
        if packet.size:
            packets.append(PacketInfo(packet.pts, packet.is_keyframe, packet.is_discard, packet.is_corrupt))
            source.guard.check_frames(len(packets))
    return packets


class IndexedFrames:
    """Frames found by their time, decoded from the nearest key frame before them."""

    def __init__(self, source: Source, index: PacketIndex):
        self._source, self._index = source, index
        self.pts = index.pts
        self._may_seek = True
        self._decoder: Iterator[av.VideoFrame] = iter(())
        self._last = -1  # number of the last frame that the decoder gave
        self._start = -1  # position in the file of the key packet that the decoder started from; -1: not started

    def __len__(self) -> int:
        return len(self._index)

    def frame(self, number: int) -> av.VideoFrame:
        if self._start < 0 or number <= self._last or self._seek_pays(number):
            self._start_before(number)
        found = self._advance(number)
        if found is None and self._start > 0:  # the seek was not exact after all: once more from the very beginning
            self._may_seek = False
            self._start_before(number)
            found = self._advance(number)
        if found is None:
            raise VideoError(
                f"{self._source.path} cannot be read: frame {number} of {len(self)} does not come out of the decoder; "
                "the stream is damaged. Encode or fetch it again."
            )
        return found

    def _seek_pays(self, number: int) -> bool:
        if not self._may_seek:
            return False
        here = self._index.position[self._last] if self._last >= 0 else 0
        return bool(self._index.key_position[self._index.key_before(number)] > here + SEEK_PAYS_AFTER)

    def _advance(self, number: int) -> av.VideoFrame | None:
        """Decodes up to `number`; None where the decoder passes it by."""
        for frame in self._decoder:
            current = self._index.frame_at(frame.pts) if frame.pts is not None else None
            if current is None:
                continue  # shown before the key frame that decoding started from, or hidden by the edit list
            self._last = current
            if current >= number:
                return frame if current == number else None
        return None

    def _start_before(self, number: int) -> None:
        """Starts decoding at the last key packet before the frame, or at the first packet where seeking does not land there."""
        found = self._seek(self._index.key_before(number)) if self._may_seek else None
        if found is None:
            self._source.reopen()
            packets = self._source.packets()
            found = 0, next(packets), packets
        self._start, first, packets = found
        self._last = -1
        self._decoder = decode_packets(itertools.chain([first], packets))

    def _seek(self, key: int) -> tuple[int, av.Packet, Iterator[av.Packet]] | None:
        """Position of the key packet that a seek lands on, that packet and those after it; None where it is none of the index."""
        try:
            self._source.container.seek(int(self._index.key_pts[key]), stream=self._source.stream, backward=True)
        except av.error.FFmpegError:  # no table of seek points in this file, or a broken one
            return None
        packets = self._source.packets()
        first = next(packets)
        landed = np.flatnonzero(self._index.key_pts[: key + 1] == first.pts) if first.pts is not None else ()
        return (int(self._index.key_position[landed[0]]), first, packets) if len(landed) else None


class CountedFrames:
    """Frames counted by decoding everything once; kept when they are few, decoded once more when they are many."""

    def __init__(self, source: Source):
        self._source = source
        self._kept: list[av.VideoFrame] | None = []
        self._count = 0
        self._decoder: Iterator[av.VideoFrame] = iter(())
        size, times = 0, []
        for frame in decode_packets(source.packets()):
            self._count += 1
            source.guard.check_frames(self._count)
            times.append(frame.pts)
            size += sum(plane.buffer_size for plane in frame.planes)
            if size > KEEP_BYTES:
                self._kept = None
            if self._kept is not None:
                self._kept.append(frame)
        self._next = self._count
        self.pts = None if None in times else np.array(times, dtype=np.int64)

    def __len__(self) -> int:
        return self._count

    def frame(self, number: int) -> av.VideoFrame:
        if self._kept is not None:
            return self._kept[number]
        if number < self._next:
            self._source.reopen()
            self._decoder, self._next = decode_packets(self._source.packets()), 0
        for frame in self._decoder:
            self._next += 1
            if self._next > number:
                return frame
        raise VideoError(f"{self._source.path} cannot be read: a second decode gave fewer frames than the first. Encode or fetch it again.")


def decode_packets(packets: Iterable[av.Packet]) -> Iterator[av.VideoFrame]:
    """Frames in the order of display. A last packet that cannot be decoded is where a cut file ends; one in the middle is an error."""
    failure: av.error.FFmpegError | None = None
    for packet in packets:
        if failure is not None and packet.size:
            raise failure
        try:
            yield from packet.decode()
        except av.error.InvalidDataError as error:
            failure = error
