"""The default decoder: decord for the files that it decodes rightly, PyAV for all others, told apart by headers alone.

Measured with decord 0.6 on 432 real and difficult files: wherever `why_not_decord` is None, its frames equal a sequential PyAV decode.
"""

import functools
import os
from dataclasses import dataclass

import av

from vidrec.data.decoders.base import VideoReader
from vidrec.data.decoders.decord_reader import DecordReader, import_decord
from vidrec.data.decoders.pyav_reader import PyAVReader
from vidrec.data.decoders.pyav_source import open_container, video_stream
from vidrec.utils.errors import UserError, VideoError

# Colour matrices that the FFmpeg of 2018 inside decord converts as today's does: bt709, unspecified, bt470bg, smpte170m.
PLAIN_COLORSPACES = (1, 2, 5, 6)


@dataclass(frozen=True)
class Header:
    """What the headers of a file say about its video, without reading a packet."""

    container: str  # FFmpeg's name of the format
    num_videos: int
    codec: str
    pixel_format: str
    colorspace: int  # number in ITU-T H.273
    width: int  # stored, before rotation
    height: int
    num_frames: int  # as the header counts them, 0 unknown
    num_packets: int  # packets in the table of the file
    num_hidden: int  # packets that an edit list hides
    starts_with_key: bool
    has_duration: bool
    last_byte: int  # where the last packet ends
    file_size: int


def open_auto(path: str) -> VideoReader:
    """A DecordReader where decord is installed and right for this file, else a PyAVReader. Raises VideoError."""
    container = open_container(path)
    if not _decord_works() or why_not_decord(read_header(container, path)) is not None:
        return PyAVReader(path, container)
    container.close()
    return DecordReader(path)


def read_header(container: av.container.InputContainer, path: str) -> Header:
    """The header facts that the choice of a decoder needs. Raises VideoError where there is no video; closes the file then."""
    try:
        stream = video_stream(container, path)
    except VideoError:
        container.close()
        raise
    context, entries = stream.codec_context, list(stream.index_entries)
    return Header(
        container=container.format.name,
        num_videos=len(container.streams.video),
        codec=context.codec.canonical_name,
        pixel_format=context.pix_fmt or "",
        colorspace=int(context.colorspace),
        width=context.width,
        height=context.height,
        num_frames=stream.frames,
        num_packets=len(entries),
        num_hidden=sum(entry.is_discard for entry in entries),
        starts_with_key=bool(entries) and entries[0].is_keyframe,
        has_duration=bool(stream.duration),
        last_byte=max((entry.pos + entry.size for entry in entries), default=0),
        file_size=os.path.getsize(path),
    )


def why_not_decord(header: Header) -> str | None:
    """The reason why decord 0.6 may be wrong for a file, None where it is right; in doubt there is a reason.

    Each line is a measured failure or keeps to what was measured as right: stale copies of the last frame (edit lists, AVI headers
    that count one frame too many), an error for the whole file (cut files, no duration), 4 or 96 channels (narrow frames), other
    colours (10 and 12 bit, odd sizes, wide gamut), no decoder (AV1).
    """
    checks = (
        (header.container != "mov,mp4,m4a,3gp,3g2,mj2", "not mp4 or mov"),
        (header.num_videos != 1, "several video streams"),
        (header.codec not in ("h264", "hevc"), "neither H.264 nor HEVC"),
        (header.pixel_format not in ("yuv420p", "yuvj420p"), "not 8 bit 4:2:0"),
        (header.colorspace not in PLAIN_COLORSPACES, "unusual color space"),
        (header.width % 2 or header.height % 2, "odd size"),
        (_padded_to_4_channels(header.width) or _padded_to_4_channels(header.height), "narrow frames"),
        (header.num_hidden, "edit list"),
        (header.num_packets == 0 or header.num_packets != header.num_frames, "frame count in doubt"),
        (not header.starts_with_key, "does not begin with a key frame"),
        (not header.has_duration, "no duration"),
        (header.last_byte > header.file_size, "cut short"),
    )
    return next((reason for failed, reason in checks if failed), None)


@functools.cache
def _decord_works() -> bool:
    """Whether decord is there; PyAV takes its place where it is not, as on ARM."""
    try:
        import_decord()
    except UserError:
        return False
    return True


def _padded_to_4_channels(side: int) -> bool:
    """Whether decord takes the padding of rows this long for a fourth channel.

    It divides a row's bytes by the width to get the channels; FFmpeg pads rows to 32 or 64 pixels, as the processor's vectors want.
    Either side of the frame becomes the width when the video is rotated.

    Example: 72 pixels, padded to 96: 96 * 3 // 72 is 4 -> True; 128 pixels need no padding -> False.
    """
    return any(-(-side // unit) * unit * 3 // side != 3 for unit in (32, 64))
