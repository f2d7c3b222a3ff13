"""Streams and cameras: frames that come as time goes by, seen in windows that slide over them."""

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

import av
import numpy as np

from vidrec.data.decoders.av_open import av_open
from vidrec.data.eval_pipeline import EvalPipeline
from vidrec.data.opencv import import_cv2
from vidrec.data.timeline import Timeline
from vidrec.data.transforms import resize_clip
from vidrec.data.views import frame_order, resized_size
from vidrec.data.windows import FPS, Window, views_of, window_frames
from vidrec.utils.errors import VideoError

OPEN_SECONDS, READ_SECONDS = 15.0, 30.0  # that a stream may take to answer, and to send the next frame
DEVICE = "/dev/video"


class LiveFrame(NamedTuple):
    """An upright frame [H, W, 3] uint8 RGB, and its second since the first."""

    second: float
    image: np.ndarray


class LiveSource(Protocol):
    """An open stream or camera."""

    fps: float  # frames per second as it says, 0.0 where it does not

    def frames(self) -> Iterator[LiveFrame]:
        """Frames as they come, until it ends. Raises VideoError where it breaks off."""

    def close(self) -> None: ...


def open_live(source: str) -> LiveSource:
    """Opens a camera by its number or device (0, /dev/video0), or an address by FFmpeg (rtsp://...). Raises VideoError."""
    is_camera = source.isdigit() or source.startswith(DEVICE)
    return Camera(source.removeprefix(DEVICE)) if is_camera else Stream(source)


class Camera:
    """A camera through OpenCV; a path of a file or a device of another name is opened the same way.

    Raises:
        VideoError: it is not there, or used by another program.
    """

    def __init__(self, source: str):
        cv2 = import_cv2()
        self._name = f"camera {source}"
        number = source.isdigit()
        if (
            number
            and os.name == "posix"
            and os.path.isdir("/dev")
            and not os.path.exists(f"{DEVICE}{source}")
            and os.uname().sysname == "Linux"
        ):
            there = sorted(name for name in os.listdir("/dev") if name.startswith("video"))
            has = f"it has {', '.join(f'/dev/{name}' for name in there)}" if there else "it has no camera"
            raise VideoError(f"{self._name} cannot be opened: there is no {DEVICE}{source} on this machine, {has}. Choose another number.")
        self._capture = cv2.VideoCapture(int(source) if number else source)
        if not self._capture.isOpened():
            raise VideoError(
                f"{self._name} cannot be opened; a camera that no other program uses is wanted. Check its number and your right to read it."
            )
        self.fps = max(float(self._capture.get(cv2.CAP_PROP_FPS)), 0.0)

    def frames(self) -> Iterator[LiveFrame]:
        started = None
        while True:
            there, image = self._capture.read()
            if not there:
                return
            now = time.monotonic()
            started = now if started is None else started
            yield LiveFrame(now - started, np.ascontiguousarray(image[..., ::-1]))

    def close(self) -> None:
        self._capture.release()


class Stream:
    """An address through FFmpeg. Raises VideoError where nobody answers, or no video comes."""

    def __init__(self, url: str):
        self._url = url
        options = {"rtsp_transport": "tcp"} if url.lower().startswith("rtsp") else {}
        try:
            self._container = av_open(url, options=options, timeout=(OPEN_SECONDS, READ_SECONDS))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._refusal(error) from error
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"{url} cannot be watched: no video comes from there. Check the address.")
        self._stream = self._container.streams.video[0]
        self.fps = float(self._stream.average_rate or self._stream.guessed_rate or 0)

    def frames(self) -> Iterator[LiveFrame]:
        first = None
        try:
            for number, frame in enumerate(self._container.decode(self._stream)):
                second = number / (self.fps or FPS) if frame.time is None else frame.time
                first = second if first is None else first
                image = frame.to_ndarray(format="rgb24")
                quarter_turns = round(frame.rotation / 90) % 4
                yield LiveFrame(second - first, np.rot90(image, quarter_turns) if quarter_turns else image)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        with suppress(av.error.FFmpegError):
            self._container.close()

    def _refusal(self, error: Exception) -> VideoError:
        reason = getattr(error, "strerror", None) or str(error)
        return VideoError(
            f"{self._url} cannot be watched: {reason}; a stream that FFmpeg reads is wanted. Check the address and the network."
        )


def live_windows(
    source: LiveSource, pipeline: EvalPipeline, name: str, *, stride_s: float, window_s: float = 0.0, seconds: float = 0.0
) -> Iterator[Window]:
    """The windows of a stream as they fill: the clip of each is chosen as from a video that lasts as long as the window.

    Args:
        pipeline: of one window, see `sliding`.
        name: of the source, for the windows.
        seconds: after which watching ends; 0: never.

    Only the frames of one window are kept, resized. What is shorter than a window gives one window of its own length.
    """
    fps = source.fps or FPS
    length, stride = window_frames(pipeline, fps, window_s), max(round(stride_s * fps), 1)
    size = partial(resized_size, short_side=pipeline.short_side, squeeze_to=pipeline.squeeze_to)
    kept: deque[LiveFrame] = deque(maxlen=length)
    make = partial(_window, pipeline=pipeline, name=name, fps=fps)
    index = 0
    for number, frame in enumerate(source.frames(), start=1):
        if seconds and frame.second > seconds:
            break
        kept.append(LiveFrame(frame.second, resize_clip(frame.image[None], *size(*frame.image.shape[:2]))[0]))
        if number >= length and (number - length) % stride == 0:
            yield make(list(kept), index)
            index += 1
    if kept and index == 0:
        yield make(list(kept), 0)


def _window(frames: list[LiveFrame], index: int, *, pipeline: EvalPipeline, name: str, fps: float) -> Window:
    times = np.array([frame.second for frame in frames])
    rising = bool((np.diff(times) > 0).all())
    clips = pipeline.choose_frames(Timeline(len(frames), fps, times - times[0] if rising and pipeline.target_fps > 0 else None))
    chosen = np.stack([frames[number].image for number in frame_order(clips).tolist()])
    return Window(float(times[0]), float(times[-1]) + 1 / fps, views_of(pipeline, chosen, clips, name, index))


def describe(source: Any) -> str:
    """What to tell of an open source. Example: `25 frames per second`"""
    return f"{source.fps:g} frames per second" if source.fps else f"an unknown rate, taken for {FPS:g} frames per second"
