"""A timeline as a picture: the probability of the leading classes against time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.engine.files import atomic_file
from vidrec.engine.fonts import legible
from vidrec.inference.caption import STRIP_COLORS
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from vidrec.inference.timeline import Timeline

COLORS = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in STRIP_COLORS)
NAME_LENGTH = 40  # characters of a class name in the legend


def plot_timeline(timeline: "Timeline", out: Path, *, classes: int = 5) -> None:
    """Writes a PNG: a line for each of the leading classes, and a band below that says which is the most probable.

    Raises:
        UserError: the file cannot be written.
    """
    figure = draw_timeline(timeline, classes=classes)
    try:
        with atomic_file(out) as file, legible(figure):
            figure.savefig(file, format="png")
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error}); choose another folder with --out.") from error


def draw_timeline(timeline: "Timeline", *, classes: int = 5) -> Any:
    """The figure; at most as many lines as there are colors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), dpi=120, layout="constrained")
    lines, band = figure.subplots(2, 1, sharex=True, height_ratios=(9, 1))
    labels = timeline.top_labels(min(classes, len(COLORS)))
    colors = {timeline.class_names[label]: color for label, color in zip(labels, COLORS, strict=False)}
    marker = "o" if len(timeline) < 60 else None
    for label in labels:
        name = timeline.class_names[label]
        lines.plot(timeline.middles, timeline.probabilities[:, label], color=colors[name], label=_shown(name), marker=marker, markersize=3)
    for name, start, stop in timeline.segments():
        band.axvspan(start, stop, color=colors.get(name, "#dddddd"), linewidth=0)
    lines.set(ylim=(-0.02, 1.02), ylabel="probability")
    lines.set_title(_shown(Path(timeline.path).name, 100), parse_math=False)
    lines.grid(alpha=0.3)
    for text in lines.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False).get_texts():
        text.set_parse_math(False)  # a class may be called $x
    end = float(timeline.stops[-1]) if len(timeline) else 1.0
    band.set(xlim=(0, end), yticks=[], xlabel="time, minutes:seconds" if end >= 60 else "time, seconds", ylabel="top")
    if end >= 60:
        band.xaxis.set_major_formatter(lambda second, _: f"{int(second) // 60}:{int(second) % 60:02d}")
    return figure


def _shown(name: str, length: int = NAME_LENGTH) -> str:
    """A name that is not too long, and has no _ in front, which would keep it out of the legend."""
    short = name if len(name) <= length else f"{name[: length - 3]}..."
    return f" {short}" if short.startswith("_") else short
