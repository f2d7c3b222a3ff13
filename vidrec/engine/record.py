"""The numbers of a run on disk: metrics.jsonl, one line each even when a run is resumed; and what the loggers get of them."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from vidrec.engine.checkpoint import RunState
from vidrec.engine.confusion import class_accuracies, class_table, confusion_counts, draw_confusion
from vidrec.engine.contact_sheet import Row, draw_sheet, label_text
from vidrec.engine.files import atomic_file, make_folder, room_text
from vidrec.engine.loggers import Loggers, RunInfo
from vidrec.engine.metric_lines import METRICS_FILE, is_before, read_lines
from vidrec.engine.metrics import Accuracies
from vidrec.engine.progress import StepReport
from vidrec.engine.tester import VideoScores
from vidrec.utils.dist import is_main, world_size
from vidrec.utils.errors import UserError

FRAMES = 8  # shown of a sample clip, spread over it
KILLED = "killed"
_ODD = re.compile(r"[^\w/.-]+")  # what MLflow or TensorBoard take in no name


class RunRecord:
    """Writes what training measured; does nothing on processes other than the main one.

    metrics.jsonl holds an object a line, docs/logging.md says which. Numbers that the run will make again after resuming are dropped
    first; that a part of the run began and ended stays.

    Args:
        folder: of the run.
        start: where the run begins or goes on.
        num_steps: the most steps that an epoch has; epochs are so far apart in TensorBoard, also where they have fewer.
        loggers: get the numbers and pictures as well; not started yet. None: none.
        run: what they are told of the run.
        class_names: in order of label, for pictures and tables.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        start: RunState,
        num_steps: int,
        loggers: Loggers | None = None,
        run: RunInfo | None = None,
        class_names: Sequence[str] | None = None,
    ):
        self.path = folder / METRICS_FILE
        self.class_names = class_names
        self._num_steps, self._began = num_steps, time.time()
        self._loggers = (loggers if is_main() else None) or Loggers({})
        if not is_main():
            return
        with _explained(self.path):
            make_folder(folder)
            _drop_from(self.path, start)
        self._append("start", {"epoch": start.epoch, "step": start.step, "processes": world_size()})
        if self._loggers and run is not None:
            self._loggers.start(run, start.epoch * num_steps + start.step)

    def step(self, report: StepReport) -> None:
        numbers = {name: value for name, value in asdict(report).items() if value is not None}
        self._write("step", numbers, self._place(report.epoch, report.step))

    def epoch(self, epoch: int, **numbers: float) -> None:
        self._write("epoch", {"epoch": epoch, **numbers}, self._end_of(epoch))

    def validation(self, epoch: int, scores: VideoScores | None, measured: Accuracies, *, best_by: str = "top1") -> None:
        """The numbers of a validation, with those of the classes and, where each video has one label, a confusion matrix.

        Args:
            scores: on the main process; None on the others.
            best_by: the number by which the best validation is chosen.
        """
        if not is_main() or scores is None:
            return
        numbers = {"epoch": epoch, **measured.numbers(), "failed": measured.num_failed, "best_by": best_by}
        if measured.class_precisions is not None:
            return self._write("val", {**numbers, "per_class": measured.class_precisions}, self._end_of(epoch))
        counts = confusion_counts(scores.scores, scores.labels, scores.failed)
        of_class = class_accuracies(counts, scores.labels)
        self._write("val", {**numbers, "per_class": of_class}, self._end_of(epoch))
        if self._loggers:
            picture = draw_confusion(counts, title=f"validation after epoch {epoch + 1}", names=self.class_names)
            self._loggers.image(self._end_of(epoch), "val/confusion", picture)
            self._loggers.text(self._end_of(epoch), "val/per_class", class_table(counts, of_class, self.class_names))

    @property
    def shows_clips(self) -> bool:
        """Whether `clips` would be seen by anybody."""
        return bool(self._loggers)

    def clips(self, epoch: int, step: int, clips: Tensor, labels: Tensor) -> None:
        """A picture of clips [B, T, S, S, 3] uint8, with their labels [B] or shares [B, K]."""
        rows = [Row([f"label {label_text(label, self.class_names)}"], clip) for clip, label in zip(clips, labels, strict=True)]
        self._loggers.image(self._place(epoch, step), "train/clips", _pixels(rows))

    def finish(self, metrics: Mapping[str, float], ended: str) -> None:
        """Writes how this part of the run ended, and ends the loggers.

        Args:
            metrics: the final numbers of the run.
            ended: `finished`, or why the run stopped before.
        """
        if not is_main():
            return
        self._append("end", {"ended": ended, "seconds": round(time.time() - self._began, 3)})
        self._loggers.finish(metrics, ended)

    def _place(self, epoch: int, step: int) -> int:
        return epoch * self._num_steps + step

    def _end_of(self, epoch: int) -> int:
        return self._place(epoch + 1, -1)

    def _write(self, kind: str, numbers: Mapping[str, Any], global_step: int) -> None:
        if not is_main():
            return
        self._append(kind, numbers)
        self._loggers.scalars(global_step, dict(_tagged(numbers, kind)))

    def _append(self, kind: str, numbers: Mapping[str, Any]) -> None:
        with _explained(self.path), open(self.path, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"kind": kind, **numbers, "time": round(time.time(), 3)}) + "\n")


def _tagged(numbers: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    """(tag, number) of what loggers get: places and lists left out, inner names behind a slash, odd characters replaced.

    Example: `step` {"epoch": 3, "lr": 0.5, "lrs": {"head, biases": 0.25}} -> step/lr 0.5, step/lrs/head_biases 0.25
    """
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield from _tagged(value, f"{prefix}/{name}")
        elif isinstance(value, (int, float)) and name not in ("epoch", "step"):
            yield _ODD.sub("_", f"{prefix}/{name}"), float(value)


def _pixels(rows: Sequence[Row]) -> Any:
    import numpy as np

    return np.asarray(draw_sheet(rows, frames=FRAMES))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns a failure to write into an error for the user."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}; {room_text(path.parent)}); "
            "make room, or choose a folder that you may write to with CONFIG.LOG.BASE_PATH."
        ) from error


def _drop_from(path: Path, start: RunState) -> None:
    """Keeps the lines from before `start`; a last line that a kill cut short goes too.

    Where the last part of the run has not said how it ended it was killed; its time, up to its last line, is noted before that is lost.
    """
    if not path.exists():
        return
    began = last = None
    with atomic_file(path) as file:
        for line, entry in read_lines(path):
            last = entry.get("time")
            if entry["kind"] == "start":
                began = last
            elif entry["kind"] == "end":
                began = None
            if is_before(entry, start.epoch, start.step):
                file.write(line.encode())
        if began is not None and last is not None:
            end = {"kind": "end", "ended": KILLED, "seconds": round(last - began, 3), "time": last}
            file.write((json.dumps(end) + "\n").encode())
