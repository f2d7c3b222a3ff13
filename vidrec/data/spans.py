"""Which part of a video a row of the list means: pure functions of its length (no files)."""

import math
from typing import NamedTuple


class Span(NamedTuple):
    """The part [start, end) of a video, the end not included.

    Args:
        start, end: frames counted from 0, or seconds from the first frame.
        seconds: which of the two.
    """

    start: float
    end: float
    seconds: bool = False

    def __str__(self) -> str:
        return f"{self.start:g} to {self.end:g} {'seconds' if self.seconds else 'frames'}"


def span_frames(span: Span | None, num_frames: int, fps: float) -> tuple[int, int]:
    """First frame and number of frames of a span; a span that ends after the video ends with it, one inside a frame is that frame.

    Args:
        span: None is the whole video.
        num_frames: length of the video in frames, at least 1.
        fps: mean frames per second; needed for seconds. Frame i stands at i / fps, so a video of variable frame rate is cut about right.

    Raises:
        ValueError: the span begins after the last frame, or is in seconds and the video does not tell its frame rate.

    Example: 1.0 to 2.0 seconds of 100 frames at 25 fps -> (25, 25); frames 90 to 120 of 100 -> (90, 10)
    """
    if span is None:
        return 0, num_frames
    first, stop = span.start, span.end
    if span.seconds:
        if not fps > 0:
            raise ValueError(f"the list gives it as {span}, and the file does not tell its frame rate; give frames instead.")
        # rounded first, so that 0.28 s at 25 fps is frame 7 although 0.28 * 25 is a little above 7
        first, stop = (math.ceil(round(seconds * fps, 6)) for seconds in (span.start, span.end))
        first = min(first, int(span.start * fps)) if first >= stop else first
    if first >= num_frames:
        length = f"{num_frames} frames" + (f" at {fps:g} a second" if span.seconds else "")
        raise ValueError(f"the list gives it as {span}, and the video has {length}; correct the list.")
    return int(first), int(max(min(stop, num_frames) - first, 1))
