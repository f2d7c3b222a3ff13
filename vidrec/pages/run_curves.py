"""The curves of a run for its page, out of metrics.jsonl. A line that lacks a number leaves no point; none is an error."""

from pathlib import Path
from typing import Any

from vidrec.engine.curves import Point, different, thinned
from vidrec.engine.metric_lines import METRIC_NAMES, read_entries

Entry = dict[str, Any]
# Kind of line -> number in it -> (graph, name of the curve). What a validation measures is added below.
CURVES: dict[str, dict[str, tuple[str, str]]] = {
    "step": {
        "loss": ("loss", "training, since the last display"),
        "clips_per_s": ("speed", "clips per second"),
        "data_share": ("data", "share of the time that waited for data"),
        "grad_norm": ("gradient", "norm of all gradients, before clipping"),
        "resident_mb": ("memory", "main memory"),
        "cuda_peak_mb": ("memory", "CUDA device, the most so far"),
    },
    "epoch": {"loss": ("loss", "training, epoch"), "top1": ("accuracy", "training top-1"), "top5": ("accuracy", "training top-5")},
    "val": {},
}
for _name, _title in METRIC_NAMES.items():
    _graph = "loss" if _name == "loss" else "accuracy"
    CURVES["val"][_name] = (_graph, "validation" if _name == "loss" else f"validation {_title}")
    CURVES["val"][f"ema_{_name}"] = (_graph, f"{CURVES['val'][_name][1]}, average of the weights")


class RunCurves:
    """What the graphs of a run show.

    Attributes:
        graphs: graph -> curve -> points.
        starts: in epochs, where parts of the run after the first one began.
        last_validation: the newest line of a validation.
    """

    def __init__(self) -> None:
        self.graphs: dict[str, dict[str, list[Point]]] = {}
        self.last_validation: Entry | None = None
        self._starts: list[Entry] = []
        self._steps_of_epoch = 0.0

    def add(self, entry: Entry) -> None:
        """Takes a line of metrics.jsonl."""
        kind = entry["kind"]
        if kind == "start":
            self._starts.append(entry)
            return
        place = _number(entry, "epochs_done") if kind == "step" else _after(entry)
        if place is None or kind not in CURVES:
            return
        for name, (graph, title) in CURVES[kind].items():
            self._point(graph, title, place, _number(entry, name))
        if kind == "val":
            self.last_validation = entry
        elif kind == "step":
            self._add_rates(entry, place)

    def _add_rates(self, entry: Entry, place: float) -> None:
        rates = entry.get("lrs")
        for name, rate in (rates if isinstance(rates, dict) else {"all weights": entry.get("lr")}).items():
            self._point("rate", str(name), place, rate if _is_number(rate) else None)
        whole = place - (_number(entry, "epoch") or 0.0)
        if whole > 0 and _number(entry, "step") is not None:
            self._steps_of_epoch = (entry["step"] + 1) / whole

    def _point(self, graph: str, title: str, place: float, value: float | None) -> None:
        if value is not None:
            self.graphs.setdefault(graph, {}).setdefault(title, []).append(Point(place, value))

    @property
    def starts(self) -> list[float]:
        return [round((_number(entry, "epoch") or 0.0) + self._done(entry), 4) for entry in self._starts[1:]]

    def _done(self, entry: Entry) -> float:
        """Share of the epoch that was done before a step; 0 where no step has told how many there are."""
        return (_number(entry, "step") or 0.0) / self._steps_of_epoch if self._steps_of_epoch else 0.0

    def data(self) -> dict[str, Any]:
        """For the page's script: graph -> curves with x and y, at most 1000 points each."""
        graphs = self.graphs | ({"rate": different(self.graphs["rate"])} if "rate" in self.graphs else {})
        return {
            "starts": self.starts,
            "graphs": {
                graph: [{"name": name, **_columns(thinned(points))} for name, points in curves.items()] for graph, curves in graphs.items()
            },
        }


def read_curves(path: Path) -> RunCurves:
    """The curves of a metrics.jsonl, which is read line by line. Raises OSError."""
    curves = RunCurves()
    for entry in read_entries(path):
        curves.add(entry)
    return curves


def _columns(points: list[Point]) -> dict[str, list[float]]:
    return {"x": [round(point.epochs, 5) for point in points], "y": [point.value for point in points]}


def _after(entry: Entry) -> float | None:
    epoch = _number(entry, "epoch")
    return None if epoch is None else epoch + 1


def _number(entry: Entry, name: str) -> float | None:
    value = entry.get(name)
    return value if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
