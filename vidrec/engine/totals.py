"""What a run came to, out of its metrics.jsonl: its parts, best and last accuracies, time, pace and memory. Without torch."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from vidrec.engine.metric_lines import METRIC_NAMES, is_better, read_entries

Entry = dict[str, Any]


class Part(NamedTuple):
    """From one start of a run to its end, kill or error.

    Attributes:
        epoch, step: where it began, from 0.
        started: seconds since 1970.
        seconds: that it took; of one that is not over, up to its last line.
        ended: `finished`, `killed`, or the reason; `running` for one that has not ended.
    """

    epoch: int
    step: int
    started: float
    seconds: float
    ended: str


@dataclass
class RunTotals:
    """Numbers of all parts of a run together.

    Attributes:
        best, last: the best validation, by the number that the run chose it by, and the last one.
        epoch: averages of the last whole epoch.
        clips_per_s: median over the displays, all processes together.
        data_share: mean share of the time in which training waited for data.
        resident_mb, cuda_peak_mb: the most that was seen, MiB, of the main process.
    """

    parts: list[Part] = field(default_factory=list)
    best: Entry | None = None
    last: Entry | None = None
    epoch: Entry | None = None
    clips_per_s: float | None = None
    data_share: float | None = None
    resident_mb: float | None = None
    cuda_peak_mb: float | None = None

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts)

    def final_numbers(self) -> dict[str, float]:
        """The numbers by which runs are compared: best and last accuracies, last training loss, pace."""
        pairs = [
            *((f"final/best_{name}", self.best[name]) for name in METRIC_NAMES if self.best and name in self.best),
            *((f"final/last_{name}", self.last[name]) for name in METRIC_NAMES if self.last and name in self.last),
            *((f"final/train_{name}", self.epoch[name]) for name in ("loss", "top1") if self.epoch and name in self.epoch),
            ("final/clips_per_s", self.clips_per_s),
            ("final/hours", self.seconds / 3600),
        ]
        return {name: float(value) for name, value in pairs if value is not None}


def run_totals(path: Path) -> RunTotals:
    """The totals of a metrics.jsonl, which is read line by line. Raises OSError."""
    totals, steps = RunTotals(), _Steps()
    for entry in read_entries(path):
        kind = entry["kind"]
        if kind == "start":
            totals.parts.append(Part(entry["epoch"], entry["step"], entry["time"], 0.0, "running"))
        elif kind == "end" and totals.parts:
            totals.parts[-1] = totals.parts[-1]._replace(seconds=entry["seconds"], ended=entry["ended"])
        elif totals.parts and totals.parts[-1].ended == "running":
            totals.parts[-1] = totals.parts[-1]._replace(seconds=entry["time"] - totals.parts[-1].started)
        if kind == "step":
            steps.add(entry)
        elif kind == "epoch":
            totals.epoch = entry
        elif kind == "val":
            totals.last = entry
            by = entry.get("best_by", "top1")
            totals.best = entry if totals.best is None or is_better(by, entry[by], totals.best[by]) else totals.best
    steps.into(totals)
    return totals


class _Steps:
    """What the displays of training say together."""

    def __init__(self) -> None:
        self.paces: list[float] = []
        self.waits = 0.0
        self.most: dict[str, float] = {}

    def add(self, entry: Entry) -> None:
        self.paces.append(entry["clips_per_s"])
        self.waits += entry["data_share"]
        for name in ("resident_mb", "cuda_peak_mb"):
            if name in entry:
                self.most[name] = max(entry[name], self.most.get(name, 0.0))

    def into(self, totals: RunTotals) -> None:
        if not self.paces:
            return
        totals.clips_per_s, totals.data_share = median(self.paces), self.waits / len(self.paces)
        totals.resident_mb, totals.cuda_peak_mb = self.most.get("resident_mb"), self.most.get("cuda_peak_mb")
