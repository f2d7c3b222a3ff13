"""summary.md: one page that says what a run was, what came out, and what it cost."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from vidrec.engine.files import atomic_file
from vidrec.engine.log import logger
from vidrec.engine.metric_lines import METRIC_NAMES
from vidrec.engine.progress import duration_text
from vidrec.engine.record import RunRecord
from vidrec.engine.stopping import Stopped
from vidrec.engine.totals import Part, RunTotals, run_totals
from vidrec.utils.dist import is_main
from vidrec.utils.errors import UserError

SUMMARY_FILE = "summary.md"
FINISHED = "finished"
LISTED = 20  # bad videos, and parts, that the page names


class ListFacts(NamedTuple):
    """A list of videos: what for, where, how many, and the SHA-256 of its file."""

    use: str
    path: str
    num_videos: int
    sha256: str


@dataclass(frozen=True)
class RunFacts:
    """What the page says beside the numbers of metrics.jsonl.

    Attributes:
        command: as it was typed.
        changed: dotted key -> value of the config where it differs from the defaults and the model zoo's row.
        lists: the lists of videos.
        versions: of vidrec, torch and the decoder.
        hardware: processes and device.
        num_epochs: of the whole run.
        views: of a video in validation.
        best_path: the best checkpoint.
    """

    folder: Path
    command: str
    changed: Mapping[str, object]
    lists: Sequence[ListFacts]
    versions: Mapping[str, str]
    hardware: str
    num_epochs: int
    views: str
    best_path: Path


class HasReasons(Protocol):
    """Videos that could not be read so far: path -> why."""

    @property
    def reasons(self) -> Mapping[str, str]: ...


@contextmanager
def summarized(record: RunRecord, facts: RunFacts, bad_videos: HasReasons) -> Iterator[None]:
    """Ends the record and writes the page, however the body ends; on the main process only."""
    ended = FINISHED
    try:
        yield
    except BaseException as error:
        ended = ended_text(error)
        raise
    finally:
        if is_main():
            _close(record, facts, ended=ended, bad=bad_videos.reasons)


def ended_text(error: BaseException) -> str:
    """How a run ended that did not finish, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    if isinstance(error, Stopped):
        return f"stopped {error}"
    if isinstance(error, SystemExit):
        return f"stopped with exit code {error.code}"
    words = str(error).split("\n")[0]
    return f"stopped: {words}" if isinstance(error, UserError) else f"failed: {type(error).__name__}: {words}"


def _close(record: RunRecord, facts: RunFacts, *, ended: str, bad: Mapping[str, str]) -> None:
    """The page must not hide the error that ends the run: where it cannot be written, that is said and no more."""
    try:
        record.finish(run_totals(record.path).final_numbers(), ended)
        page = summary_text(facts, run_totals(record.path), bad)
        with atomic_file(facts.folder / SUMMARY_FILE) as file:
            file.write(page.encode())
    except (OSError, UserError) as error:
        logger.warning("%s cannot be written (%s)", facts.folder / SUMMARY_FILE, error)


def summary_text(facts: RunFacts, totals: RunTotals, bad: Mapping[str, str]) -> str:
    """The page, in Markdown.

    Args:
        bad: path -> why it could not be read.
    """
    sections = [_head(facts, totals), _result(facts, totals), _cost(totals), _making(facts), _bad_text(bad)]
    return "\n".join(line for section in sections for line in [*section, ""])


def _head(facts: RunFacts, totals: RunTotals) -> list[str]:
    parts = totals.parts
    done = totals.epoch["epoch"] + 1 if totals.epoch else 0
    lines = [f"# {facts.folder.name}", "", f"**{parts[-1].ended}**, after {done} of {facts.num_epochs} epochs; {facts.hardware}"]
    if len(parts) > 1:
        lines += ["", f"The run was resumed: it has {len(parts)} parts, whose times are summed below.", ""]
        lines += ["| part | from | took | ended |", "|---|---|---|---|"]
        numbered = list(enumerate(parts, start=1))
        lines += [_part_row(number, part) for number, part in numbered[-LISTED:]]
    return lines


def _part_row(number: int, part: Part) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.started))
    place = f"epoch {part.epoch + 1}" + (f" step {part.step + 1}" if part.step else "")
    return f"| {number} | {began}, {place} | {duration_text(part.seconds)} | {part.ended} |"


def _result(facts: RunFacts, totals: RunTotals) -> list[str]:
    lines = ["## Result", ""]
    if totals.last and totals.best:
        measured = [key for key in METRIC_NAMES if key in totals.last]
        titles = ("validation", *(METRIC_NAMES[key] for key in measured), "after epoch", "unreadable", "views per video")
        lines += [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        for name, entry in (("best", totals.best), ("last", totals.last)):
            for row, prefix in ((name, ""), (f"{name}, average of the weights", "ema_")):
                cells = [f"{entry[prefix + key]:.4f}" if prefix + key in entry else "" for key in measured]
                if any(cells):
                    lines.append(f"| {' | '.join([row, *cells, str(entry['epoch'] + 1), str(entry['failed']), facts.views])} |")
        lines += ["", f"Checkpoint of the best: `{facts.best_path}`; `tools/test_ddp_pytorch.py` tests it with more views."]
    else:
        lines.append("No validation has been made.")
    if totals.epoch:
        numbers = totals.epoch
        lines += ["", f"Last training epoch ({numbers['epoch'] + 1}): loss {numbers['loss']:.4f}, top-1 {numbers['top1']:.4f}."]
    return lines


def _cost(totals: RunTotals) -> list[str]:
    lines = ["## Cost", "", f"- wall time {duration_text(totals.seconds)}" + (" over all parts" if len(totals.parts) > 1 else "")]
    if totals.clips_per_s is not None:
        lines.append(f"- {totals.clips_per_s:.1f} clips/s (median, all processes); {totals.data_share:.0%} of training waited for data")
    if totals.resident_mb is not None:
        lines.append(f"- memory of the main process: {totals.resident_mb:,.0f} MiB resident" + _cuda(totals))
    return lines


def _cuda(totals: RunTotals) -> str:
    return "" if totals.cuda_peak_mb is None else f", {totals.cuda_peak_mb:,.0f} MiB at most on the CUDA device"


def _making(facts: RunFacts) -> list[str]:
    lines = ["## How it was made", "", "```", facts.command, "```", ""]
    lines += [f"- {name} {version}" for name, version in facts.versions.items()]
    lines += [f"- {each.use}: `{each.path}`, {each.num_videos:,} videos, sha256 `{each.sha256 or 'none'}`" for each in facts.lists]
    lines += ["", "Config, where it differs from the defaults and from the model zoo's row (all of it: `config.yaml`):", "", "```"]
    return [*lines, *(f"{key}: {value!r}" for key, value in facts.changed.items()), "```"]


def _bad_text(bad: Mapping[str, str]) -> list[str]:
    lines = ["## Videos that could not be read", ""]
    if not bad:
        return [*lines, "None in training."]
    rows = [f"- `{path}`: {reason}" for path, reason in sorted(bad.items())[:LISTED]]
    more = [f"- and {len(bad) - LISTED} more; the log names them"] if len(bad) > LISTED else []
    return [*lines, f"{len(bad)} in training. Another video took the place of each.", "", *rows, *more]
