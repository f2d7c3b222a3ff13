"""The curve of accuracy against the number of views."""

import io
from collections.abc import Sequence

import numpy as np

from vidrec.engine.evaluation.evaluate import ViewAccuracies
from vidrec.engine.metric_lines import METRIC_NAMES


def draw_views(views: Sequence[ViewAccuracies], *, title: str) -> np.ndarray:
    """Every metric over the number of views, [H, W, 3] uint8: dashed with the center crop, solid with all crops."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # without a display, and without pyplot's global state
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    figure = Figure(figsize=(7.0, 4.5), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    crops = len(views[-1].count.crops)
    for color, metric in enumerate(views[-1].numbers):
        for chosen, style in ((1, "--"), (crops, "-")) if crops > 1 else ((1, "-"),):
            line = [(view.count.num_views, view.numbers[metric]) for view in views if len(view.count.crops) == chosen]
            label = f"{METRIC_NAMES[metric]}, {'center crop' if chosen == 1 else f'{crops} crops'}"
            axes.plot(*zip(*line, strict=True), f"C{color}o{style}", markersize=4, label=label)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted({view.count.num_views for view in views})))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(title=title, xlabel="views", ylabel="accuracy", ylim=(None, min(axes.get_ylim()[1], 1.005)))  # none is above 1
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def as_png(picture: np.ndarray) -> bytes:
    """A picture [H, W, 3] uint8 as the bytes of a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()
