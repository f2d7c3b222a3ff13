"""The numbers of a run on disk: metrics.jsonl and TensorBoard, one line each even when a run is resumed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vidrec.engine.checkpoint import RunState
from vidrec.engine.files import atomic_file, make_folder, room_text
from vidrec.engine.progress import StepReport
from vidrec.utils.dist import is_main
from vidrec.utils.errors import UserError


class RunRecord:
    """Writes what training measured; does nothing on processes other than the main one.

    metrics.jsonl holds an object a line: `kind` is step (averages since the last display, main process), epoch (averages of the
    epoch over all processes) or val. Numbers that the run will make again after resuming are dropped first.

    Args:
        folder: of the run.
        start: where the run begins or goes on.
        num_steps: the most steps that an epoch has; epochs are so far apart in TensorBoard, also where they have fewer.
        tensorboard: folder of the event files; None for none.
        config: YAML text, shown in TensorBoard.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, start: RunState, num_steps: int, tensorboard: Path | None = None, config: str = ""):
        self._num_steps = num_steps
        self._path = folder / "metrics.jsonl"
        self._events = None
        if not is_main():
            return
        with _explained(self._path):
            make_folder(folder)
            _drop_from(self._path, start)
        if tensorboard is not None:
            first_step = start.epoch * num_steps + start.step
            with _explained(tensorboard):
                self._events = _open_events(make_folder(tensorboard), first_step)
            self._events.add_text("config", f"```yaml\n{config}\n```", first_step)

    def step(self, report: StepReport) -> None:
        self._write("step", asdict(report), report.epoch * self._num_steps + report.step)

    def epoch(self, epoch: int, **numbers: float) -> None:
        self._write("epoch", {"epoch": epoch, **numbers}, (epoch + 1) * self._num_steps - 1)

    def validation(self, epoch: int, **numbers: float) -> None:
        self._write("val", {"epoch": epoch, **numbers}, (epoch + 1) * self._num_steps - 1)

    def _write(self, kind: str, numbers: dict[str, Any], global_step: int) -> None:
        if not is_main():
            return
        with _explained(self._path), open(self._path, "a") as lines:
            lines.write(json.dumps({"kind": kind, **numbers}) + "\n")
        if self._events is not None:
            for name in numbers.keys() - {"epoch", "step"}:
                self._events.add_scalar(f"{kind}/{name}", numbers[name], global_step)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


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


def _open_events(folder: Path, first_step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

    return SummaryWriter(str(folder), purge_step=first_step)


def _drop_from(path: Path, start: RunState) -> None:
    """Keeps the lines from before `start`; a last line that a kill cut short goes too."""
    if not path.exists():
        return
    kept = [line for line in path.read_text().splitlines() if _is_before(line, start)]
    with atomic_file(path) as file:
        file.write("".join(f"{line}\n" for line in kept).encode())


def _is_before(line: str, start: RunState) -> bool:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return False
    return (entry["epoch"], entry.get("step", -1)) < (start.epoch, start.step if "step" in entry else -1)
