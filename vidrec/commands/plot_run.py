"""Draws the curves of runs: `plot_run RUN [RUN ...] [--out FILE.png]`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.engine.curves import Point, different, thinned
from vidrec.utils.errors import UserError

DESCRIPTION = "Draw losses, accuracies and learning rates of one or more runs, finished, running or killed, into a PNG file."
MAX_RUNS = 10  # colors that can be told apart
MAX_RATES = 8  # in the legend
ACCURACY_STYLES: dict[str, dict[str, Any]] = {
    "train top-1": {"linestyle": ":", "marker": "."},
    "val top-1": {"marker": "o"},
    "val top-5": {"linestyle": "--", "marker": "o", "markerfacecolor": "white"},
    "val mAP": {"linestyle": "-.", "marker": "s"},
}
NAMES = {"top-1": "top1", "top-5": "top5", "mAP": "map"}  # the key of a line


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("plot_run.py", description=DESCRIPTION)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, with its metrics.jsonl")
    parser.add_argument("--out", type=Path, metavar="FILE", help="PNG file to write; curves.png in the first run's folder if not given")
    args = parser.parse_args(argv)
    return run_command(lambda: plot(args.runs, args.out or args.runs[0] / "curves.png"))


def plot(folders: Sequence[Path], out: Path) -> None:
    """Writes the picture. Raises UserError for a folder that is no run, a run without numbers, or a file that cannot be written."""
    if out.suffix.lower() != ".png":
        raise UserError(f"--out is {out}; the curves are a PNG file: give it a name that ends in .png.")
    if len(folders) > MAX_RUNS:
        raise UserError(f"{len(folders)} runs are given; one picture holds at most {MAX_RUNS}. Draw several pictures.")
    names = run_names(folders)
    curves = [read_curves(folder, name) for folder, name in zip(folders, names, strict=True)]
    from vidrec.engine.files import atomic_file
    from vidrec.engine.fonts import legible

    figure = draw(curves)
    try:
        with atomic_file(out) as file, legible(figure):
            figure.savefig(file, format="png")
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror or error}); give --out a file in a folder that you may write to."
        ) from error
    print(f"{len(curves)} run{'s' if len(curves) > 1 else ''} drawn into {out}")


def run_names(folders: Sequence[Path]) -> list[str]:
    """What the legend calls the runs: the folders' names, or their paths where two have the same. Example: a/run, b/run"""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


@dataclass
class RunCurves:
    """What is drawn of a run; `accuracies` by the titles of ACCURACY_STYLES, `rates` by parameter group."""

    name: str
    step_loss: list[Point] = field(default_factory=list)
    epoch_loss: list[Point] = field(default_factory=list)
    accuracies: dict[str, list[Point]] = field(default_factory=dict)
    rates: dict[str, list[Point]] = field(default_factory=dict)

    def add(self, entry: dict[str, Any]) -> None:
        """Takes a line of metrics.jsonl."""
        kind, done = entry["kind"], entry.get("epoch", 0) + 1
        if kind == "step":
            place = entry["epochs_done"]
            self.step_loss.append(Point(place, entry["loss"]))
            for name, rate in (entry.get("lrs") or {"": entry["lr"]}).items():
                self.rates.setdefault(name, []).append(Point(place, rate))
        elif kind == "epoch":
            self.epoch_loss.append(Point(done, entry["loss"]))
            self._add_accuracies("train", done, entry)
        elif kind == "val":
            self._add_accuracies("val", done, entry)

    def _add_accuracies(self, use: str, done: float, entry: dict[str, Any]) -> None:
        for title in ACCURACY_STYLES:
            own_use, name = title.split(maxsplit=1)
            if own_use == use and NAMES[name] in entry:
                self.accuracies.setdefault(title, []).append(Point(done, entry[NAMES[name]]))


def read_curves(folder: Path, name: str) -> RunCurves:
    """The curves of a run. Raises UserError where the folder is no run, or has no numbers yet."""
    from vidrec.engine.metric_lines import METRICS_FILE, read_entries

    path = folder / METRICS_FILE
    if not path.is_file():
        what = "is a folder without" if folder.is_dir() else "is no folder, so it has no"
        raise UserError(f"{folder} {what} {METRICS_FILE}; it must be the folder of a training run, such as runs/my_run. Give one.")
    curves = RunCurves(name)
    try:
        for entry in read_entries(path):
            curves.add(entry)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a run that you may read.") from error
    except KeyError as error:
        raise UserError(f"{path} has a line without {error}; it must be written by a vidrec of this version. Give another run.") from error
    if not (curves.step_loss or curves.epoch_loss or curves.accuracies):
        raise UserError(f"{path} has no numbers yet; the first come after CONFIG.LOG.DISPLAY_FREQ steps. Draw it later.")
    return curves


def draw(curves: Sequence[RunCurves]) -> Any:
    """A figure with three panels: losses, accuracies, learning rates; a color is a run."""
    from matplotlib.figure import Figure  # draws without a display, and takes half a second to import

    figure = Figure(figsize=(15, 4.8), dpi=100, layout="constrained")
    losses, accuracies, rates = figure.subplots(1, 3)
    for number, run in enumerate(curves):
        color = f"C{number}"
        _line(losses, run.step_loss, color=color, alpha=0.35, linewidth=1)
        _line(losses, run.epoch_loss or run.step_loss[-1:], color=color, marker="o", label=run.name)
        for title, points in run.accuracies.items():
            _line(accuracies, points, color=color, label=f"{run.name}: {title}", **ACCURACY_STYLES[title])
        for place, (group, points) in enumerate(different(run.rates).items()):
            label = f"{run.name}{': ' + group if group else ''}"
            _line(rates, points, color=color, linestyle=("-", "--", ":", "-.")[place % 4], label=label)
    losses.set(title="training loss (thin: since the last display)", ylabel="loss")
    accuracies.set(title="accuracy", ylim=(-0.02, 1.02))
    rates.set(title="learning rate", ylim=(0, None))
    for axes in (losses, accuracies, rates):
        axes.set(xlabel="epochs", xlim=(0, None))
        axes.grid(alpha=0.3)
    _legends(losses, accuracies, rates, shown={title for run in curves for title in run.accuracies})
    return figure


def _line(axes: Any, points: Sequence[Point], **style: Any) -> None:
    if points:
        shown = thinned(points)
        axes.plot([point.epochs for point in shown], [point.value for point in shown], markersize=4, **style)


def _legends(losses: Any, accuracies: Any, rates: Any, *, shown: set[str]) -> None:
    """Names of the runs by color on the left, what the lines of the middle mean, and the first few rates on the right.

    Args:
        shown: the titles of accuracies that any run has.
    """
    from matplotlib.lines import Line2D

    losses.legend(fontsize=8)
    gray = [Line2D([], [], color="gray", markersize=4, label=title, **style) for title, style in ACCURACY_STYLES.items() if title in shown]
    if gray:
        accuracies.legend(handles=gray, fontsize=8)
    handles, labels = rates.get_legend_handles_labels()
    if len(labels) > MAX_RATES:
        handles, labels = handles[:MAX_RATES], [*labels[: MAX_RATES - 1], f"{labels[MAX_RATES - 1]} and {len(labels) - MAX_RATES} more"]
    rates.legend(handles, labels, fontsize=8)
