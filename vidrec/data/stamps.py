"""Whether the file of a video is still the one that it was."""

import os

Stamp = tuple[int, int]  # size and time of change in ns; of a video in a shard its size and place there
NO_STAMP: Stamp = (0, 0)  # of what cannot be looked at, such as a URL


def file_stamp(path: str) -> Stamp:
    """The stamp of a file or a folder of frames."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return NO_STAMP
    return status.st_size, status.st_mtime_ns


def is_other(then: Stamp, now: Stamp) -> bool:
    """Whether both stamps are known and differ."""
    return NO_STAMP not in (then, now) and then != now
