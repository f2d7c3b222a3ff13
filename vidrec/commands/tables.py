"""Numbers and tables as the commands print them."""

from collections.abc import Sequence

from vidrec.model_zoo.specs import Clip
from vidrec.utils.say import show as show

Rows = Sequence[Sequence[str]]


def giga(count: int) -> str:
    """Example: 33_282_000_000 -> 33.28"""
    return f"{count / 1e9:.2f}"


def mega(count: int) -> str:
    """Example: 28_043_472 -> 28.04"""
    return f"{count / 1e6:.2f}"


def unit_for(largest: int) -> tuple[str, float]:
    """The unit in which a column is shown, by its largest number, and its size.

    Example: 33_271_721_984 -> ("G", 1e9), 3_956 -> ("k", 1e3)
    """
    return next(((unit, size) for unit, size in (("G", 1e9), ("M", 1e6)) if largest >= 10 * size), ("k", 1e3))


def clip_text(clip: Clip) -> str:
    """Frames x stride of a dense clip, segments x frames of a sparse one: `32 x 2`, `7 x 1 segments`."""
    return f"{clip.num_segments} x 1 segments" if clip.num_segments > 1 else f"{clip.num_frames} x {clip.frame_stride}"


def text_table(header: Sequence[str], rows: Rows, align: str) -> str:
    """Columns two blanks apart.

    Args:
        align: `<` or `>` for each column.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    cells = [[f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)] for row in (header, *rows)]
    return "\n".join("  ".join(row).rstrip() for row in cells)


def markdown_table(header: Sequence[str], rows: Rows, align: str) -> str:
    """A table of GitHub's Markdown; `align` as in text_table."""
    rule = [{"<": "---", ">": "---:"}[side] for side in align]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))
