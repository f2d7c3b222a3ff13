"""Generated videos to measure with: a camera pans over a textured plane."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

HEIGHT, WIDTH, NUM_FRAMES = 256, 340, 300  # 10 seconds, in the size in which Kinetics is usually kept
NUM_GENERATED = 3
MARGIN = 16  # pixels by which the noise can move


def generate_videos(
    folder: Path, count: int = NUM_GENERATED, num_frames: int = NUM_FRAMES, *, height: int = HEIGHT, width: int = WIDTH
) -> list[Path]:
    """Writes seeded videos with sensor noise, encoded as videos usually are; the larger side of a frame below 1536 pixels."""
    import numpy as np

    from vidrec.commands.make_demo_data import encode_video

    paths = [folder / f"pan_{width}x{height}_{index}.mp4" for index in range(count)]
    for index, path in enumerate(paths):
        frames = _pan(np.random.default_rng(index), num_frames, height=height, width=width)
        encode_video(path, frames, height=height, width=width, preset="medium")
    return paths


def _pan(rng: "np.random.Generator", num_frames: int, *, height: int, width: int) -> "Iterator[np.ndarray]":
    """Frames [height, width, 3] uint8."""
    import numpy as np

    from vidrec.data.demo_motion import texture

    side = 512 if max(height, width) < 512 else 1536
    plane = texture(rng, cells=40, size=side).permute(1, 2, 0).numpy() * 255
    noise = rng.normal(scale=8.0, size=(height + MARGIN, width + MARGIN, 3)).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, size=2)
    for frame in range(num_frames):
        y, x = (np.sin(frame / 40 + phase) / 2 + 0.5) * (side - height, side - width)
        y_noise, x_noise = rng.integers(MARGIN, size=2)
        view = plane[int(y) : int(y) + height, int(x) : int(x) + width]
        grain = noise[y_noise : y_noise + height, x_noise : x_noise + width]
        yield (view + grain).clip(0, 255).astype(np.uint8)
