"""How videos are read, whatever the decoder: limits against files that would take all memory or time, and the names of frame files."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vidrec.utils.errors import VideoError
from vidrec.utils.text import FRAME_TEMPLATE

# (height, width) of an upright frame -> (height, width) in which it is wanted.
Size = Callable[[int, int], tuple[int, int]]


@dataclass(frozen=True)
class ReadOptions:
    """Limits and names for opening a video.

    Args:
        max_pixels: in one frame. The default lets 8k pass, 8192 x 8192.
        max_frames: in one file. The default is 4.6 hours at 60 frames per second.
        max_seconds: that a reader may spend on one file, by the clock and between frames; 0: no limit.
        max_clip_frames: kept of one file for a training sample or for all views of a test.
        max_clip_gb: gigabytes that these take, once resized.
        frame_template: name of a frame's file in a folder of frames, with one place for its number.
        frame_offset: number of the first frame in such a folder.
    """

    max_pixels: int = 2**26
    max_frames: int = 1_000_000
    max_seconds: float = 0.0
    max_clip_frames: int = 8192
    max_clip_gb: float = 8.0
    frame_template: str = "img_%05d.jpg"
    frame_offset: int = 1

    def __post_init__(self) -> None:
        if not FRAME_TEMPLATE.fullmatch(self.frame_template):
            raise ValueError(
                f"frame_template is {self.frame_template!r}; it must be a file name with one place for a number, as img_%05d.jpg has. "
                "Write it so."
            )

    def check_clip(self, path: str, count: int, size: tuple[int, int] = (0, 0)) -> None:
        """Raises VideoError where `count` frames of a file, resized to (height, width), are more than one sample or test may keep."""
        height, width = size
        gigabytes = count * height * width * 3 / 1e9
        if count > self.max_clip_frames:
            raise VideoError(
                f"{path} cannot be read: the clips cut from it have {count} different frames; CONFIG.DATA.MAX_CLIP_FRAMES allows "
                f"{self.max_clip_frames} at the most. Raise the key, or cut fewer clips (CONFIG.DATA.TEST_NUM_SEGMENT, CLIPS_PER_VIDEO)."
            )
        if gigabytes > self.max_clip_gb:
            raise VideoError(
                f"{path} cannot be read: {count} frames of it, resized to {width}x{height}, take {gigabytes:.3g} GB; "
                f"CONFIG.DATA.MAX_CLIP_GB allows {self.max_clip_gb:g} at the most. Raise the key if the file is trusted, or leave it out."
            )


DEFAULTS = ReadOptions()


class Guard:
    """Holds one open file to its limits.

    The clock runs inside `running` only: a reader that lies open while its frames are used is not slow. A decoder that hangs inside
    its native code is not interrupted.
    """

    def __init__(self, path: str, reading: ReadOptions):
        self._path, self._reading = path, reading
        self._spent = 0.0
        self._started: float | None = None

    def check_pixels(self, height: int, width: int, state: str = "have") -> None:
        """Raises VideoError for a frame of more than max_pixels; `state` is what brings it to that size."""
        limit = self._reading.max_pixels
        if height * width > limit:
            raise self._refusal(
                f"its frames {state} {width}x{height} = {height * width} pixels", f"CONFIG.DATA.MAX_PIXELS allows {limit} at the most"
            )

    def check_frames(self, count: int) -> None:
        """Raises VideoError for a file in which `count` frames, more than max_frames, have been seen."""
        limit = self._reading.max_frames
        if count > limit:
            raise self._refusal(f"it has {count} frames or more", f"CONFIG.DATA.MAX_FRAMES allows {limit} at the most")

    def check_time(self) -> None:
        """Raises VideoError where more than max_seconds have been spent on the file."""
        limit = self._reading.max_seconds
        running = 0.0 if self._started is None else time.monotonic() - self._started
        if limit and self._spent + running > limit:
            spent = f"its decoding has taken {self._spent + running:.1f} seconds and is not finished"
            raise self._refusal(spent, f"CONFIG.DATA.MAX_SECONDS allows {limit:g} at the most")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the time of its body."""
        self._started = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - self._started
            self._started = None

    def _refusal(self, found: str, allowed: str) -> VideoError:
        return VideoError(f"{self._path} cannot be read: {found}; {allowed}. Raise the key if the file is trusted, or leave the file out.")
