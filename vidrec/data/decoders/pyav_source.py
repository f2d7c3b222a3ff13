"""A local video file opened with PyAV: its container and its one video stream."""

import os
from collections.abc import Iterator

import av

from vidrec.data.decoders.av_open import av_open
from vidrec.data.decoders.reading import Guard
from vidrec.utils.errors import VideoError


class Source:
    """An open file that can be read again from its very beginning, whatever its format says about seeking.

    Args:
        path: absolute path of a local file.
        guard: holds it to its limits.
    """

    def __init__(self, path: str, guard: Guard):
        self.path, self.guard = path, guard
        self._open()

    def reopen(self) -> None:
        self.close()
        self._open()

    def packets(self) -> Iterator[av.Packet]:
        """The stream's packets from the current place; the last, empty one asks the decoder for the frames that it holds back."""
        for packet in self.container.demux(self.stream):
            self.guard.check_time()
            yield packet

    def close(self) -> None:
        self.container.close()

    def _open(self) -> None:
        self.container = open_container(self.path)
        try:
            self.stream = video_stream(self.container, self.path)
            self.guard.check_pixels(self.stream.codec_context.height, self.stream.codec_context.width)
        except VideoError:
            self.container.close()
            raise
        self.stream.codec_context.thread_count = 1


def open_container(path: str) -> av.container.InputContainer:
    """Opens a local file and reads its headers. Raises VideoError naming the path and the reason.

    The `file:` in front keeps names such as `-x.mp4` or `concat:a` from being taken for something else, and the list of allowed
    protocols keeps a playlist from reaching out to the network.
    """
    try:
        return av_open("file:" + path, options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError) as error:
        raise damaged(path, error) from error
    except UnicodeEncodeError as error:
        shown = os.fsencode(path)
        raise VideoError(f"{shown!r} cannot be read: its name is not UTF-8; FFmpeg takes UTF-8 names only. Rename the file.") from error


def check_header(path: str, guard: Guard) -> None:
    """Holds the frame size in a file's header to the guard's limit, for decoders that tell it too late. Leaves bad files to them."""
    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            height, width = stream.codec_context.height, stream.codec_context.width
    except VideoError:
        return
    guard.check_pixels(height, width)


def video_stream(container: av.container.InputContainer, path: str) -> av.VideoStream:
    """The first video stream that is no cover picture. Raises VideoError where there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise VideoError(f"{path} cannot be read: it has no video stream that can be decoded, it holds {kinds}; a video is wanted.")


def damaged(path: str, error: Exception) -> VideoError:
    """The VideoError for a failure of FFmpeg: its own words without its numbers."""
    reason = getattr(error, "strerror", None) or str(error)
    return VideoError(f"{path} cannot be read: {reason}; a video file that FFmpeg can decode is wanted. Fetch or encode it again.")
