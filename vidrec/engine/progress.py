"""What a person watching sees: a bar on a terminal, plain lines elsewhere; and how long the loop waited for data."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from vidrec.engine.log import logger
from vidrec.utils.dist import is_main
from vidrec.utils.say import show

LINE_EVERY_S = 10.0  # of `shown`, where there is no terminal


@dataclass(frozen=True)
class StepReport:
    """One display of training: averages since the last one, on the main process.

    Attributes:
        epoch, step: from 0.
        epochs_done: with the share of this epoch, 1.5 in the middle of the second.
        lr, lrs: learning rate of the first parameter group; of all by name or number where there are several.
        clips_per_s: of all processes together.
        data_share: share of the time in which the loop waited for data, 0 to 1.
        grad_norm: of the newest update, before it was clipped; None where there was none yet.
        eta_s: seconds until the run ends, validation not counted.
        resident_mb, cuda_peak_mb: MiB in main memory now, and the most on the CUDA device so far, of the main process.
    """

    epoch: int
    step: int
    epochs_done: float
    loss: float
    top1: float
    top5: float
    lr: float
    clips_per_s: float
    data_share: float
    eta_s: float
    resident_mb: float
    cuda_peak_mb: float | None = None
    grad_norm: float | None = None
    lrs: Mapping[str, float] | None = None


class Wait(NamedTuple):
    """Seconds that passed, those of them spent waiting, and the items that came."""

    seconds: float
    waited: float
    items: int


class WaitClock:
    """Iterates over a loader and measures how long its consumer waits for the items."""

    def __init__(self, items: Iterable[Any]):
        self._items = items
        self._since = time.perf_counter()
        self._waited, self._count = 0.0, 0

    def __iter__(self) -> Iterator[Any]:
        iterator = iter(self._items)
        while True:
            asked = time.perf_counter()
            item = next(iterator, self)  # the clock itself is no item
            self._waited += time.perf_counter() - asked
            if item is self:
                return
            self._count += 1
            yield item

    def read(self) -> Wait:
        """What happened since the last reading."""
        now = time.perf_counter()
        wait = Wait(now - self._since, self._waited, self._count)
        self._since, self._waited, self._count = now, 0.0, 0
        return wait


class TrainDisplay:
    """Shows the steps of one epoch: a bar that moves every step on a terminal, else a line for every report."""

    def __init__(self, epoch: int, *, num_epochs: int, num_steps: int):
        self._title = f"epoch {epoch + 1}/{num_epochs}"
        self._num_steps = num_steps
        self._bar = _bar(self._title, num_steps, unit="step")

    def advance(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def show(self, report: StepReport) -> None:
        numbers = (
            f"loss {report.loss:.4f} top1 {report.top1:.3f} lr {report.lr:.2e} "
            f"{report.clips_per_s:.1f} clips/s data {report.data_share:.0%} eta {duration_text(report.eta_s)}"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(numbers)
        logger.info("%s step %d/%d %s", self._title, report.step + 1, self._num_steps, numbers, extra={"in_bar": True})

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def shown(items: Iterable[Any], total: int, title: str) -> Iterator[Any]:
    """The items, with a bar on a terminal or now and then a line elsewhere; silent on processes other than the main one.

    Args:
        total: number of items of this process.
    """
    bar, started = _bar(title, total, unit="video"), time.monotonic()
    said = started
    for done, item in enumerate(items, start=1):
        yield item
        if bar is not None:
            bar.update()
        elif is_main() and time.monotonic() - said >= LINE_EVERY_S:
            said = time.monotonic()
            logger.info("%s %d/%d eta %s", title, done, total, duration_text((said - started) / done * (total - done)))
    if bar is not None:
        bar.close()


class Countdown:
    """Progress of work of a known size with the time that is left: a bar on a terminal, now and then a line on standard error elsewhere.

    Args:
        total: items of the work.
        unit: what one item is.
    """

    def __init__(self, total: int, title: str, *, unit: str = "video"):
        self._total, self._title, self._unit, self._done = total, title, unit, 0
        self._bar = _bar(title, total, unit=unit)
        self._started = self._said = time.monotonic()

    def say(self, text: str) -> None:
        """Prints a result on standard output, above the bar."""
        if self._bar is None:
            show(text)
        else:
            self._bar.write(text)

    def advance(self, count: int = 1) -> None:
        self._done += count
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(count)
        elif is_main() and now - self._said >= LINE_EVERY_S:
            rate = self._done / (now - self._started)
            left = duration_text((self._total - self._done) / rate)
            print(f"{self._title} {self._done}/{self._total}, {rate:.3g} {self._unit}s/s, eta {left}", file=sys.stderr, flush=True)
            self._said = now

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items, each counted when the next one is asked for; closes at their end."""
        for item in items:
            yield item
            self.advance()
        self.close()

    def __enter__(self) -> "Countdown":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(title: str, total: int, *, unit: str) -> Any:
    """A tqdm bar, or None where nobody would see it move."""
    if not (is_main() and sys.stderr.isatty()):
        return None
    from tqdm import tqdm

    return tqdm(total=total, desc=title, unit=unit, leave=False, dynamic_ncols=True)


def duration_text(seconds: float) -> str:
    """Example: 3725.2 -> 1:02:05"""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
