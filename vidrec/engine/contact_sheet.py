"""Clips as rows of frames in one picture, with text over them."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from vidrec.engine.files import atomic_file
from vidrec.engine.fonts import draw_text
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

FONT_SIZE = 11  # pixels
LINE, GAP, CHARACTER = 17, 3, 7  # pixels: of a line, between frames, of a wide character
MIN_WIDTH = 900  # of a sheet, so that text has room where frames are small
BACKGROUND, INK = (24, 24, 24), (235, 235, 235)


class Row(NamedTuple):
    """A clip and what is written over it."""

    lines: list[str]
    clip: "Tensor"  # [T, S, S, 3] uint8; no frames where the video cannot be read


def save_sheet(rows: Sequence[Row], path: Path, *, frames: int) -> None:
    """Writes the rows, from top to bottom, with at most `frames` frames of each clip at their own size. Raises UserError where it fails."""
    sheet = draw_sheet(rows, frames=frames)
    try:
        with atomic_file(path) as file:
            sheet.save(file, format="PNG")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); give --out a file in a folder that you may write to."
        ) from error


def draw_sheet(rows: Sequence[Row], *, frames: int) -> "Image":
    """The picture of `save_sheet`."""
    from PIL import Image, ImageDraw

    strips = [_strip(row, frames) for row in rows]
    width = max(MIN_WIDTH, *(strip.shape[1] for strip in strips))
    texts = [[part for line in row.lines for part in wrap(line, width // CHARACTER)] for row in rows]
    heights = [len(text) * LINE + strip.shape[0] + 2 * GAP for text, strip in zip(texts, strips, strict=True)]
    sheet = Image.new("RGB", (width, sum(heights)), BACKGROUND)
    draw, top = ImageDraw.Draw(sheet), 0
    for text, strip, height in zip(texts, strips, heights, strict=True):
        for number, line in enumerate(text):
            draw_text(draw, (GAP, top + (number + 0.5) * LINE), line, size=FONT_SIZE, fill=INK)
        if strip.size:
            sheet.paste(Image.fromarray(strip), (0, top + len(text) * LINE))
        top += height
    return sheet


def _strip(row: Row, frames: int):
    """[S, n * (S + GAP), 3] uint8: frames spread over the clip, beside each other; empty for a clip without frames."""
    import numpy as np

    shown = row.clip.cpu().numpy()
    if len(shown) == 0:
        return np.empty((0, 0, 3), dtype=np.uint8)
    shown = shown[np.unique(np.linspace(0, len(shown) - 1, min(frames, len(shown))).round().astype(int))]
    gap = np.full((*shown.shape[1:2], GAP, 3), BACKGROUND, dtype=np.uint8)
    return np.concatenate([part for frame in shown for part in (frame, gap)], axis=1)


def label_text(label: "Tensor", names: Sequence[str] | None) -> str:
    """Example: `3 (jump)`; `0.75 3 (jump) + 0.25 5 (run)` for shares"""
    if label.ndim == 0:
        return class_text(int(label), names)
    shares = [(float(share), place) for place, share in enumerate(label) if share > 0]
    return " + ".join(f"{share:.2f} {class_text(place, names)}" for share, place in sorted(shares, reverse=True))


def class_text(label: int, names: Sequence[str] | None) -> str:
    """Example: `3 (jump)`; `3` where classes have no names"""
    return f"{label} ({names[label]})" if names and label >= 0 else str(label)
