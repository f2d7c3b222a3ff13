"""The sections of a run's page, as HTML."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vidrec.engine.metric_lines import METRIC_NAMES, metric_text
from vidrec.engine.progress import duration_text
from vidrec.engine.totals import Part
from vidrec.pages.eval_files import ClassRow, EvalFiles
from vidrec.pages.frame import table, text

if TYPE_CHECKING:
    from vidrec.pages.report import Report

LISTED = 200  # bad files that the page names


def missing(sentence: str) -> str:
    """The box that stands where something is missing."""
    return f'<p class="missing">{text(sentence)}</p>'


def head(report: "Report") -> str:
    """The name of the run, how it stands, and its best numbers."""
    tiles = [("state", state(report)), *_best_tiles(report)]
    boxes = "".join(f'<div class="tile"><span class="soft">{text(name)}</span><b>{text(value)}</b></div>' for name, value in tiles)
    remarks = "".join(missing(remark) for remark in report.remarks)
    where = f'<p class="soft"><code>{text(report.folder)}</code>, page made {text(report.made)}</p>'
    return f'<h1>{text(report.folder.resolve().name)}</h1>\n{where}\n<div class="tiles">{boxes}</div>\n{remarks}'


def state(report: "Report") -> str:
    """Example: `finished, 8 of 8 epochs`; `no training here`"""
    totals = report.totals
    if totals is None or not totals.parts:
        return "no training here"
    last, done = totals.parts[-1], totals.epoch["epoch"] + 1 if totals.epoch else 0
    ended = "running, or killed" if last.ended == "running" else last.ended
    return f"{ended}, {done}{f' of {report.num_epochs}' if report.num_epochs else ''} epochs"


def _best_tiles(report: "Report") -> list[tuple[str, str]]:
    tiles = []
    if report.test:
        accuracy = report.test.part("accuracy")
        key = "map" if "map" in accuracy else "top1"
        tiles.append((f"test {METRIC_NAMES[key]}, {accuracy.get('views', '?')} views", share(accuracy.get(key))))
    best = report.totals.best if report.totals else None
    if best:
        by = best.get("best_by", "top1")
        tiles.append((f"best validation {metric_text(by)}", f"{share(best.get(by))} after epoch {best['epoch'] + 1}"))
    return tiles


def accuracies(report: "Report") -> str:
    """What tests and validations found, with their views and protocols."""
    sections = ["<h2>Accuracies</h2>"]
    if report.tests:
        sections += ["<h3>Tests</h3>", _tests_table(report.tests), *map(_protocol, report.tests[:1])]
        if report.tests[0].rows("by_views"):
            sections.append('<h3>Accuracy against the number of views</h3><div class="graph" id="graph-views"></div>')
    else:
        sections.append(missing("This run has no test: tools/test_ddp_pytorch.py with its config makes one."))
    sections += ["<h3>Validations</h3>", _validations(report)]
    return "\n".join(sections)


_MEASURED = ["top-1", "95 % interval", "top-5", "mean class", "mAP", "ECE"]
_TEST_HEADER = ["folder", *_MEASURED, "videos", "unreadable", "views", "protocol", "weights"]


def _tests_table(tests: Sequence[EvalFiles]) -> str:
    rows = []
    for test in tests:
        accuracy, counts, protocol, interval = (test.part(name) for name in ("accuracy", "counts", "protocol", "top1_interval"))
        spread = f"{share(interval.get('low'))} to {share(interval.get('high'))}" if interval else "-"
        changed = f", changed in {protocol['overridden']}" if protocol.get("overridden") else ""
        numbers = [share(accuracy.get(name)) for name in ("top5", "mean_class", "map")]
        tail = [counts.get("videos", "-"), counts.get("failed", "-"), accuracy.get("views", "-")]
        first = [f"{test.folder.name}/", share(accuracy.get("top1")), spread, *numbers, share(test.part("calibration").get("ece"))]
        rows.append([*first, *tail, f"{protocol.get('name', '-')}{changed}", weights_text(test.result.get("weights", "-"))])
    return table(_TEST_HEADER, rows, numbers=range(1, 10))


def weights_text(weights: Any) -> str:
    """What was tested; several checkpoints joined."""
    if isinstance(weights, list):
        return " + ".join(map(weights_text, weights))
    return str(weights.get("path", weights) if isinstance(weights, dict) else weights)


def _protocol(test: EvalFiles) -> str:
    items = test.part("protocol").items()
    if not items:
        return ""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in items)
    return f'<details><summary>protocol of the test in {text(test.folder.name)}/</summary><dl class="facts">{rows}</dl></details>'


def _validations(report: "Report") -> str:
    totals = report.totals
    if totals is None or not (totals.best and totals.last):
        return missing("No validation has been made.")
    measured = [name for name in METRIC_NAMES if name in totals.last]
    rows = []
    for title, entry in (("best", totals.best), ("last", totals.last)):
        for row, prefix in ((title, ""), (f"{title}, average of the weights", "ema_")):
            cells = [share(entry.get(prefix + name)) for name in measured]
            if any(cell != "-" for cell in cells):
                rows.append([row, entry["epoch"] + 1, *cells, entry.get("failed", "-"), report.views or "-"])
    header = ["validation", "after epoch", *(METRIC_NAMES[name] for name in measured), "unreadable", "views"]
    return table(header, rows, numbers=range(1, len(measured) + 3))


def share(value: Any) -> str:
    """Example: 0.5 -> 0.5000; `-` for what is no number"""
    return f"{value:.4f}" if isinstance(value, (int, float)) and not isinstance(value, bool) else "-"


def classes(rows: Sequence[ClassRow], of_what: str) -> str:
    """The bars of the classes; the script draws them."""
    if not rows:
        return "<h2>Classes</h2>\n" + missing("No test and no validation has numbers of the classes.")
    order = "".join(f'<option value="{name}">{title}</option>' for name, title in _ORDERS.items())
    return f"""<h2>Classes</h2>
<div class="controls"><label>order <select id="class-order">{order}</select></label>
<span class="soft">{text(of_what)}; {len(rows)} classes, of which {sum(row.value is None for row in rows)} have no video</span></div>
<div class="graph tall"><div id="graph-classes"></div></div>"""


_ORDERS = {"worst": "worst first", "best": "best first", "label": "by label", "videos": "most videos first"}


def confusion(report: "Report") -> str:
    """The matrix, which the script draws, and the pairs that are confused most."""
    test = report.test
    if test is None:
        return "<h2>Confusion</h2>\n" + missing("Confusions are those of a test, and this run has none.")
    if test.several_labels:
        return "<h2>Confusion</h2>\n" + missing("Videos have several labels: none is taken for another.")
    if test.confusion is None:
        return "<h2>Confusion</h2>\n" + missing(next((line for line in test.remarks if "confusion.csv" in line), "There is no matrix."))
    return f"""<h2>Confusion</h2>
<div class="controls"><label>classes <select id="confusion-classes"><option value="all">all {len(test.confusion)}</option>
<option value="worst">the most confused</option></select></label>
<span class="soft">A row is a label, shaded by the shares of its videos; drag a box to look closer, double-click to go back.</span></div>
<div class="graph" id="graph-confusion"></div>
<h3>Most confused</h3>
{_confused_pairs(test)}"""


def _confused_pairs(test: EvalFiles) -> str:
    pairs = test.rows("confused")
    if not pairs:
        return missing("No two classes were confused.")
    names = [[_pair_name(pair, "label"), _pair_name(pair, "prediction")] for pair in pairs]
    rows = [[*named, pair.get("videos", "-"), share(pair.get("share"))] for named, pair in zip(names, pairs, strict=True)]
    return table(["label", "taken for", "videos", "share of the label's videos"], rows, numbers=(2, 3))


def _pair_name(pair: Mapping[str, Any], name: str) -> str:
    return f"{pair.get(name, '?')} {pair.get(f'{name}_name', '')}".strip()


def bad_files(report: "Report") -> str:
    """Videos that training or the test could not read."""
    sections = ["<h2>Videos that could not be read</h2>", "<h3>In training</h3>"]
    if report.bad_videos:
        sections.append(_listed(f"{len(report.bad_videos)}; another video took the place of each.", report.bad_videos))
    else:
        sections.append(missing("None is on record." if report.totals else "There was no training."))
    last = report.totals.last if report.totals else None
    if last and last.get("failed"):
        sections.append(f"<p>In the last validation {text(last['failed'])} could not be read and counted as wrong; the log names them.</p>")
    for test in report.tests:
        rows = test.rows("failed")
        sections.append(f"<h3>In the test of {text(test.folder.name)}/</h3>")
        lines = [_failure(str(row.get("path", "?")), str(row.get("reason", "?"))) for row in rows]
        sections.append(_listed(f"{len(rows)}, each counted as wrong.", lines) if rows else "<p>None.</p>")
    return "\n".join(sections)


def _failure(path: str, reason: str) -> str:
    """One sentence that names the path; most reasons do."""
    return reason if path in reason else f"{path}: {reason}"


def _listed(sentence: str, lines: Sequence[str]) -> str:
    items = "".join(f'<li class="bad">{text(line)}</li>' for line in lines[:LISTED])
    more = f"<li>and {len(lines) - LISTED} more</li>" if len(lines) > LISTED else ""
    return f"<p>{text(sentence)}</p><ul>{items}{more}</ul>"


def config(report: "Report") -> str:
    """What differs from the defaults, and the whole of it, folded."""
    if not report.config:
        return "<h2>Config</h2>\n" + missing("The run has no config.yaml that could be read.")
    if report.changed is None:
        changed = missing("config.yaml is none of this version, so what differs from the defaults is not known.")
    else:
        rows = [[key.removeprefix("CONFIG."), repr(value)] for key, value in report.changed.items()]
        changed = table(["key, where it differs from the defaults and the model zoo's row", "value"], rows)
    return f"<h2>Config</h2>\n{changed}\n<details><summary>the whole config.yaml</summary><pre>{text(report.config)}</pre></details>"


def facts(report: "Report") -> str:
    """Machine, versions, restarts, time, and the summary, folded."""
    totals, lines = report.totals, summary_facts(report.summary)
    if totals and totals.parts:
        lines["time"] = duration_text(totals.seconds) + (f" in {len(totals.parts)} parts" if len(totals.parts) > 1 else "")
    if totals and totals.clips_per_s is not None:
        lines["speed"] = f"{totals.clips_per_s:.1f} clips/s (median, all processes); {totals.data_share:.0%} of training waited for data"
    if totals and totals.resident_mb is not None:
        cuda = "" if totals.cuda_peak_mb is None else f", {totals.cuda_peak_mb:,.0f} MiB at most on the CUDA device"
        lines["memory"] = f"{totals.resident_mb:,.0f} MiB of the main process{cuda}"
    if report.test:
        versions = report.test.part("versions").items()
        lines["test made with"] = ", ".join(f"{name} {version}" for name, version in versions) or "-"
    sections = [
        "<h2>Run</h2>",
        '<dl class="facts">',
        *(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in lines.items()),
        "</dl>",
    ]
    if totals and totals.parts:
        rows = [_part_row(number, part) for number, part in enumerate(totals.parts, start=1)]
        sections += ["<h3>Parts</h3>", table(["part", "began", "at", "took", "ended"], rows, numbers=(0,))]
    if report.summary:
        sections.append(f"<details><summary>summary.md</summary><pre>{text(report.summary)}</pre></details>")
    else:
        sections.append(missing("There is no summary.md: the run has not ended by itself, so machine, versions and command are not known."))
    return "\n".join(sections)


def _part_row(number: int, part: Part) -> list[object]:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.started))
    place = f"epoch {part.epoch + 1}" + (f" step {part.step + 1}" if part.step else "")
    return [number, began, place, duration_text(part.seconds), part.ended]


def summary_facts(summary: str) -> dict[str, str]:
    """What summary.md says of machine, versions, lists and command; empty where there is none."""
    found = {}
    hardware = re.search(r"^\*\*.*epochs; (.+)$", summary, re.M)
    command = re.search(r"^## How it was made\n\n```\n(.*?)\n```", summary, re.M | re.S)
    if hardware:
        found["machine"] = hardware[1]
    if command:
        found["command"] = command[1]
    versions = re.findall(r"^- (vidrec|torch|decoder) (.+)$", summary, re.M)
    if versions:
        found["versions"] = ", ".join(" ".join(pair) for pair in versions)
    found |= {f"{use} list": rest.replace("`", "") for use, rest in re.findall(r"^- (train|val|manifest): (.+)$", summary, re.M)}
    return found
