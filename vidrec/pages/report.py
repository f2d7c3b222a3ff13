"""The page of a run: everything that its folder tells, and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidrec.engine.totals import RunTotals
from vidrec.pages import report_parts as parts
from vidrec.pages.eval_files import ClassRow, EvalFiles
from vidrec.pages.frame import make_page, text
from vidrec.pages.report_videos import VideoCard, videos_part
from vidrec.pages.run_curves import RunCurves

GRAPHS = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "rate": "Learning rate",
    "gradient": "Gradient norm",
    "speed": "Speed, clips per second",
    "data": "Waiting for data, share of the time",
    "memory": "Memory of the main process, MiB",
}


@dataclass
class Report:
    """What the page is made of. Every part may be missing.

    Attributes:
        folder: of the run.
        made: when the page was made, as text.
        curves, totals: of metrics.jsonl; None where there is none.
        tests: every test of the run, the shown one first.
        cards: the hardest videos of that test.
        class_names: in order of the labels; None where there are only numbers.
        config: config.yaml as it is.
        changed: what differs in it from the defaults and the model zoo's row.
        num_epochs, views: that the config asks for, and in a validation.
        summary: summary.md as it is.
        bad_videos: that training could not read, a sentence each.
        remarks: what is missing or odd, a sentence each.
    """

    folder: Path
    made: str
    curves: RunCurves | None = None
    totals: RunTotals | None = None
    tests: Sequence[EvalFiles] = ()
    cards: Sequence[VideoCard] = ()
    class_names: Sequence[str] | None = None
    config: str = ""
    changed: Mapping[str, Any] | None = None
    num_epochs: int | None = None
    views: str = ""
    summary: str = ""
    bad_videos: Sequence[str] = ()
    remarks: list[str] = field(default_factory=list)

    @property
    def test(self) -> EvalFiles | None:
        return self.tests[0] if self.tests else None


def report_page(report: Report) -> str:
    """The whole page."""
    classes, of_what = shown_classes(report)
    sections = [
        parts.head(report),
        parts.accuracies(report),
        _graphs(report),
        parts.classes(classes, of_what),
        parts.confusion(report),
        videos_part(report.test, report.cards),
        parts.bad_files(report),
        parts.config(report),
        parts.facts(report),
    ]
    data = {
        "curves": report.curves.data() if report.curves else {"starts": [], "graphs": {}},
        "by_views": [_view_point(row) for row in report.test.rows("by_views")] if report.test else [],
        "classes": [[_class_title(row), row.value, row.videos] for row in classes],
        "of_what": of_what,
        "confusion": _confusion(report),
    }
    return make_page(f"{report.folder.name}: report of a run", "\n".join(sections), data=data, scripts=["plot.js", "report.js"])


def shown_classes(report: Report) -> tuple[list[ClassRow], str]:
    """The classes of the test, else those of the last validation; and what their values are."""
    if report.test and report.test.classes:
        kind = "average precision" if report.test.several_labels else "accuracy"
        return report.test.classes, f"{kind}, test"
    entry = report.curves.last_validation if report.curves else None
    values = entry.get("per_class") if entry else None
    if not isinstance(values, list):
        return [], ""
    names = report.class_names if report.class_names and len(report.class_names) == len(values) else [*map(str, range(len(values)))]
    kind = "average precision" if "map" in entry else "accuracy"
    rows = [ClassRow(label, name, value) for label, (name, value) in enumerate(zip(names, values, strict=True))]
    return rows, f"{kind}, validation after epoch {entry['epoch'] + 1}"


def _class_title(row: ClassRow) -> str:
    """Unique, since classes may share a name. Example: `3 jump`"""
    return row.name if row.name == str(row.label) else f"{row.label} {row.name}"


def _view_point(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("views", "top1", "top5", "map") if isinstance(row.get(name), (int, float))} | {
        "crops": len(row["crops"]) if isinstance(row.get("crops"), list) else None
    }


def _confusion(report: Report) -> dict[str, Any] | None:
    test = report.test
    if test is None or test.confusion is None:
        return None
    counts = test.confusion
    named = len(test.classes) == len(counts)
    return {"names": [_class_title(row) for row in test.classes] if named else [*map(str, range(len(counts)))], "counts": counts}


def _graphs(report: Report) -> str:
    graphs = report.curves.data()["graphs"] if report.curves else {}
    if not graphs:
        return "<h2>Curves</h2>\n" + parts.missing("There are no numbers of training: no metrics.jsonl, or none in it yet.")
    boxes = "\n".join(
        f'<div><h3>{text(title)}</h3><div class="graph" id="graph-{name}"></div></div>' for name, title in GRAPHS.items() if name in graphs
    )
    starts = report.curves.starts
    restarts = f'<p class="soft">Vertical lines, {len(starts)} of them: the run went on there from a checkpoint.</p>' if starts else ""
    lacking = [title for name, title in GRAPHS.items() if name not in graphs and name in ("loss", "accuracy", "rate", "gradient", "speed")]
    absent = f'<p class="soft">No numbers yet: {text(", ".join(lacking).lower())}.</p>' if lacking else ""
    return f'<h2>Curves</h2>\n{restarts}{absent}<div class="pair">\n{boxes}\n</div>'
