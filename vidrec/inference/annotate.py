"""A copy of a video with its prediction drawn in, as an mp4 that browsers play: H.264, yuv420p, AAC or MP3."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from vidrec.data.decoders import DEFAULTS, ReadOptions, open_video
from vidrec.data.decoders.pyav_source import open_container
from vidrec.data.pipelines import part_of
from vidrec.data.spans import Span
from vidrec.data.windows import FPS, PART_FRAMES
from vidrec.engine.files import atomic_file
from vidrec.inference.caption import Caption, draw_caption
from vidrec.utils.ahead import ahead
from vidrec.utils.errors import UserError, VideoError

CLOCK = 90_000  # ticks a second: frames keep their times, also where the rate varies
COPIED = ("aac", "mp3")  # what browsers play in an mp4; other sound becomes AAC
QUALITY = {"crf": "20", "preset": "veryfast"}


class Written(NamedTuple):
    """What came of it: frames, and why the sound is not there ('': it is, or there was none)."""

    frames: int
    silent: str


def annotate(
    path: str,
    out: Path,
    caption: Callable[[float, float], Caption],
    *,
    reading: ReadOptions = DEFAULTS,
    span: Span | None = None,
    tell: Callable[[int], None] = lambda total: None,
) -> Written:
    """Writes the copy: size, frame times and sound are those of the source, and frames stand upright as the source's rotation says.

    A side of an odd number of pixels, which yuv420p cannot have, grows by one. Frames are held a few at a time, whatever the length.

    Args:
        path: a video file, or a folder of numbered frames, which is shown at 25 frames per second.
        out: the mp4; whole, or not there.
        caption: from a frame's second in the source, and its share of what is shown, to what stands on it.
        reading: limits, but for that on the time that decoding takes.
        span: the part that is shown.
        tell: called after every frame with the number of all frames.

    Raises:
        VideoError: the video cannot be read to its end.
        UserError: the copy cannot be written.
    """
    with open_video(path, "auto", reading) as reader:
        first, times = part_of(reader, span, path, with_times=True)
        fps = times.fps or FPS
        seconds = times.seconds() if times.fps else np.arange(times.num_frames) / fps
        start_s, last_s = _start(reader, first, fps), float(seconds[-1])
        with _writing(out, path) as target, closing(_Sound(path, start_s, start_s + last_s + 1 / fps)) as sound:
            copy = _Copy(target, sound, fps)
            for second, frame in zip(seconds.tolist(), ahead(_frames(reader, first, times.num_frames), PART_FRAMES), strict=True):
                copy.add(draw_caption(frame, caption(second + first / fps, second / max(last_s, 1e-9))), second)
                tell(times.num_frames)
            copy.finish()
    return Written(times.num_frames, sound.silent)


@contextmanager
def _writing(out: Path, path: str) -> Iterator[Any]:
    """The open mp4; whole once the block ends, or not there. Raises UserError where it cannot be written."""
    try:
        with atomic_file(out) as file, av.open(file, "w", format="mp4") as target:
            yield target
    except (OSError, av.error.FFmpegError) as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror or error}); an mp4 with H.264 of {path} was to be made. Choose another folder"
            " with --out, or make room."
        ) from error


def _frames(reader: Any, first: int, count: int) -> Iterator[np.ndarray]:
    for start in range(first, first + count, PART_FRAMES):
        yield from reader.get_frames(np.arange(start, min(start + PART_FRAMES, first + count))).numpy()


def _start(reader: Any, first: int, fps: float) -> float:
    """The second of the file's own clock at which the first frame is shown."""
    times = reader.frame_times() if hasattr(reader, "frame_times") else None
    return first / fps if times is None else float(times[first])


class _Copy:
    """The copy as it is written: its frames at their times, and beside them the sound."""

    def __init__(self, target: Any, sound: "_Sound", fps: float):
        self._target, self._sound = target, sound
        sound.join(target)
        self._stream = target.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=QUALITY)
        self._stream.pix_fmt, self._stream.codec_context.time_base = "yuv420p", Fraction(1, CLOCK)
        self._stream.codec_context.colorspace, self._stream.codec_context.color_range = Colorspace.SMPTE170M, ColorRange.MPEG  # swscale's

    def add(self, image: np.ndarray, second: float) -> None:
        odd = [(0, side % 2) for side in image.shape[:2]]
        if any(more for _, more in odd):
            image = np.pad(image, (*odd, (0, 0)), mode="edge")
        if not self._stream.codec_context.is_open:
            self._stream.height, self._stream.width = image.shape[:2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = round(second * CLOCK), Fraction(1, CLOCK)
        self._target.mux(self._stream.encode(frame))
        self._sound.write_until(second)

    def finish(self) -> None:
        self._target.mux(self._stream.encode())
        self._sound.write_until(float("inf"))


class _Sound:
    """The first sound of a file, copied or turned into AAC, from one second of the file's clock to another."""

    def __init__(self, path: str, start_s: float, stop_s: float):
        self._start, self._stop, self.silent = start_s, stop_s, ""
        self._source: Any = None
        self._packets: Iterator[tuple[float, Any]] = iter(())
        self._waiting: tuple[float, Any] | None = None
        try:
            container = open_container(str(Path(path).absolute())) if Path(path).is_file() else None
        except VideoError:  # what the frames were read with knows more formats
            container = None
        if container is not None and container.streams.audio:
            self._source = container
        elif container is not None:
            container.close()

    def join(self, target: Any) -> None:
        """Adds the sound's stream to the copy."""
        if self._source is None:
            return
        stream = self._source.streams.audio[0]
        try:
            if stream.codec_context.codec.canonical_name in COPIED:
                self._packets = self._copied(stream, target.add_stream_from_template(stream), target)
            else:
                self._packets = self._turned(stream, target.add_stream("aac", rate=stream.codec_context.sample_rate), target)
        except (av.error.FFmpegError, ValueError) as error:
            self._give_up(error)

    def write_until(self, second: float) -> None:
        """Writes what is heard up to a second of the copy, so that sound and frames lie beside each other in the file."""
        try:
            while True:
                self._waiting = self._waiting or next(self._packets, None)
                if self._waiting is None or self._waiting[0] > second:
                    return
                self._waiting[1]()
                self._waiting = None
        except (av.error.FFmpegError, ValueError) as error:
            self._give_up(error)

    def close(self) -> None:
        if self._source is not None:
            self._source.close()

    def _give_up(self, error: Exception) -> None:
        self.silent = f"its sound cannot be kept ({error})"
        self._packets, self._waiting = iter(()), None

    def _copied(self, stream: Any, to: Any, target: Any) -> Iterator[tuple[float, Callable[[], None]]]:
        for packet in self._source.demux(stream):
            second = None if packet.pts is None or packet.dts is None else float(packet.pts * packet.time_base)
            if second is None or second < self._start or second >= self._stop:
                continue
            shift = round(self._start / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, to
            yield second - self._start, lambda packet=packet: target.mux(packet)

    def _turned(self, stream: Any, to: Any, target: Any) -> Iterator[tuple[float, Callable[[], None]]]:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=stream.codec_context.sample_rate)
        second = 0.0
        for frame in self._source.decode(stream):
            if frame.time is None or frame.time < self._start or frame.time >= self._stop:
                continue
            second = frame.time - self._start
            frame.pts = round(second / frame.time_base)
            for part in resampler.resample(frame):
                yield second, lambda part=part: target.mux(to.encode(part))
        yield second, lambda: target.mux(to.encode())
