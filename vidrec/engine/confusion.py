"""Which classes a validation takes for which: counts, accuracies of the classes, a table and a picture."""

from collections.abc import Sequence

import numpy as np

from vidrec.engine.fonts import legible

NAMED_CLASSES, COUNTED_CLASSES = 60, 25  # at most so many have names, and counts, in the picture: 1,600 counts took 4 s to draw
TABLE_ROWS = 50


def confusion_counts(scores: np.ndarray, labels: np.ndarray, failed: np.ndarray) -> np.ndarray:
    """Videos of class `row` whose highest score is that of class `column`, [K, K] int64; unreadable videos are not counted.

    Args:
        scores: [N, K]; rows of videos that could not be read are not looked at.
        labels: [N] int64 in [0, K).
        failed: [N] bool, True for a video that could not be read.

    Example: scores [[2, 1], [3, 0], [NaN, NaN]], labels [0, 1, 1], failed [F, F, T] -> [[1, 0], [1, 0]]
    """
    import torch
    from torchmetrics.functional.classification import multiclass_confusion_matrix  # takes seconds to import

    read = torch.from_numpy(scores[~failed]), torch.from_numpy(labels[~failed])
    return multiclass_confusion_matrix(*read, num_classes=scores.shape[1], validate_args=False).numpy()


def class_accuracies(counts: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """Accuracy of each class, unreadable videos counted as wrong; None for a class without a video.

    Args:
        counts: of `confusion_counts`.
        labels: [N], of all videos.
    """
    totals = np.bincount(labels, minlength=len(counts))
    hits = counts.diagonal()
    return [int(hit) / int(total) if total else None for hit, total in zip(hits, totals, strict=True)]


def class_table(counts: np.ndarray, accuracies: Sequence[float | None], names: Sequence[str] | None = None) -> str:
    """Markdown: the classes that have videos, worst first, each with the class that it is most taken for; 50 rows at the most."""
    present = sorted((accuracy, label) for label, accuracy in enumerate(accuracies) if accuracy is not None)
    rows = ["| class | accuracy | most taken for |", "|---|---|---|"]
    for accuracy, label in present[:TABLE_ROWS]:
        wrong = counts[label].copy()
        wrong[label] = 0
        taken = f"{_name(int(wrong.argmax()), names)} ({wrong.max()} of {counts[label].sum()})" if wrong.any() else ""
        rows.append(f"| {_name(label, names)} | {accuracy:.3f} | {taken} |")
    if len(present) > TABLE_ROWS:
        rows.append(f"| and {len(present) - TABLE_ROWS} more | | |")
    return "\n".join(rows)


def draw_confusion(counts: np.ndarray, *, title: str, names: Sequence[str] | None = None) -> np.ndarray:
    """The matrix as a picture, [H, W, 3] uint8: rows are labels, each shaded by the shares of its videos.

    Names and counts are written where there are few classes; where there are many, small shares are shaded more, to be seen.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # without a display, and without pyplot's global state
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    few = len(counts) <= NAMED_CLASSES
    side = min(4.0 + 0.25 * len(counts), 16.0) if few else 10.0
    figure = Figure(figsize=(side + 1.0, side), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    norm = PowerNorm(1.0 if few else 0.5, vmin=0.0, vmax=1.0)
    shown = axes.imshow(shares, norm=norm, cmap="Blues", interpolation="nearest")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="share of the class's videos")
    axes.set(xlabel="prediction", ylabel="label")
    axes.set_title(title, parse_math=False)
    if few:
        words = [_name(label, names) for label in range(len(counts))]
        axes.set_xticks(range(len(words)), words, rotation=90, parse_math=False)  # a name may hold dollar signs
        axes.set_yticks(range(len(words)), words, parse_math=False)
    if len(counts) <= COUNTED_CLASSES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
    with legible(figure):
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _name(label: int, names: Sequence[str] | None) -> str:
    return names[label] if names else str(label)
