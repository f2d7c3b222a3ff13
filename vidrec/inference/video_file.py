"""Writes mp4 files that every player and browser shows: H.264, yuv420p, at a constant rate."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidrec.engine.files import atomic_file
from vidrec.utils.errors import UserError

LOWEST_FPS, HIGHEST_FPS, USUAL_FPS = 1.0, 120.0, 25.0


@contextmanager
def writing_mp4(path: Path, *, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that appends a frame [H, W, 3] uint8, all of one even size. The file is whole, or not there if the body fails.

    Args:
        fps: frames per second; 0 (unknown) gives USUAL_FPS, others are held within 1 and 120.

    Raises:
        UserError: the file cannot be written.
    """
    import av

    rate = Fraction(min(max(fps, LOWEST_FPS), HIGHEST_FPS) if fps > 0 else USUAL_FPS).limit_denominator(1001)
    try:
        with atomic_file(path) as file, av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
            stream.pix_fmt = "yuv420p"

            def append(image: np.ndarray) -> None:
                if not stream.codec_context.is_open:
                    stream.height, stream.width = image.shape[:2]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))

            yield append
            container.mux(stream.encode())
    except (OSError, av.error.FFmpegError) as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); give a folder that you may write to, with room.") from error
