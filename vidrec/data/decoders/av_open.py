"""PyAV's `open`, alike in every version that is taken."""

from typing import Any

import av

# Titles and other tags in a broken encoding are no reason to refuse a video. PyAV 19 takes them as they are, and has no such argument.
_ANY_TAGS = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def av_open(url: str, **arguments: Any) -> av.container.InputContainer:
    """Opens a file or an address for reading. Arguments, and errors, are those of `av.open`."""
    return av.open(url, **_ANY_TAGS, **arguments)
