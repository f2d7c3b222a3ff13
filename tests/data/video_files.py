"""Tiny real videos: frame i of a video is gray of value 10 + 8 * i, so that a decoded frame tells its number."""

from pathlib import Path

import av
import numpy as np
import pytest

from vidrec.data.decoders.base import check_decoder
from vidrec.utils.errors import UserError


def frame_numbers(frames) -> list[int]:
    """The numbers of decoded frames [N, H, W, 3] of such a video."""
    return [round((float(np.asarray(frame).mean()) - 10) / 8) for frame in frames]


def need(decoder: str) -> None:
    """Skips a test where a decoder is not installed, with its own words for why."""
    try:
        check_decoder(decoder)
    except UserError as error:
        pytest.skip(str(error))


def write_video(
    path: Path,
    num_frames: int = 10,
    *,
    width: int = 64,
    height: int = 48,
    codec: str = "libx264",
    gop: int = 12,
    hidden: int = 0,
    rotation: int = 0,
    marked: bool = False,
    noisy: bool = False,
    faststart: bool = False,
) -> Path:
    """Writes one.

    Args:
        hidden: so many frames lie before time 0, where an edit list hides them in mp4; they are of value 240.
        rotation: of the display matrix, degrees.
    """
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options | {"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.thread_count = gop, 1
        if codec == "libx264":
            stream.codec_context.options = {"crf": "10", "x264-params": "scenecut=0"}
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(-hidden, num_frames):
            image = np.full((height, width, 3), 240 if number < 0 else 10 + 8 * number, dtype=np.uint8)
            if marked:
                image[: height // 2, : width // 2] = 0
            if noisy:
                image += np.random.default_rng(number + hidden).integers(0, 10, image.shape, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
