"""Where numbers and pictures of a run go beside metrics.jsonl: TensorBoard, Weights & Biases, MLflow, or a package's own logger.

A logger can fail and be missing for a while; training goes on, and metrics.jsonl has every number.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from vidrec.engine.log import logger
from vidrec.registry import Registry
from vidrec.utils.errors import UserError
from vidrec.utils.text import did_you_mean

GROUP = "vidrec.loggers"  # of entry points
LOGGERS = Registry(
    "logger",
    {
        "tensorboard": "vidrec.engine.tensorboard_logger:TensorBoardLogger",
        "wandb": "vidrec.engine.online_loggers:WandbLogger",
        "mlflow": "vidrec.engine.online_loggers:MLflowLogger",
    },
)
REST_S = 60.0  # for which a logger that failed is left alone


@dataclass(frozen=True)
class RunInfo:
    """What a logger learns of a run.

    Attributes:
        name: of the run's folder.
        folder: of the run; a logger keeps there what it needs to go on with the same record after resuming.
        log_dir: where a logger may write files of its own; it makes the folder.
        config: the whole config as YAML text.
        changed: dotted key -> value, of the keys that differ from the defaults: the hyper-parameters of the run.
    """

    name: str
    folder: Path
    log_dir: Path
    config: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)


class Logger(Protocol):
    """What an entry point of the group `vidrec.loggers` names: a class without arguments. Only the main process makes one.

    Steps count over the whole run; after resuming some come a second time, and the later value is the true one. A method that
    raises is said once, the logger left alone for a minute, and then called again. None may block for long: training waits.
    """

    def start(self, run: RunInfo, first_step: int) -> None:
        """Called before anything else, with the step that comes first. A UserError from here stops the run before its first batch."""

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Numbers by tag: `step/loss`, `epoch/top1`, `val/top1`."""

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, [H, W, 3] uint8."""

    def text(self, step: int, name: str, markdown: str) -> None:
        """A text, such as a table."""

    def finish(self, metrics: Mapping[str, float], ended: str) -> None:
        """The last call, with the final numbers and `finished` or why the run ended before."""


def find_logger(name: str) -> Callable[[], Logger]:
    """The class behind a name: one of vidrec's own, or of an installed package's entry point, which goes before.

    Raises:
        UserError: nothing has that name, or what has it is not installed or cannot be imported.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name in points:
        return _load(points[name])
    if name not in LOGGERS.names():
        known = sorted({*LOGGERS.names(), *points})
        raise UserError(
            f"CONFIG.LOG.LOGGERS names {name!r}; it must be one of {', '.join(known)}, or the entry point ({GROUP}) of a package that "
            f"is installed here.{did_you_mean(name, known)} Install the package, or take the name off the list."
        )
    if find_spec(name) is None:
        raise UserError(
            f"CONFIG.LOG.LOGGERS names {name!r}, whose package is not installed; a logger must be there before training starts. "
            f"Install it with `pip install {name}`, or take the name off the list."
        )
    return LOGGERS.get(name)


def _load(point: EntryPoint) -> Callable[[], Logger]:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        package = point.dist.name if point.dist else point.value.split(":")[0]
        raise UserError(
            f"CONFIG.LOG.LOGGERS names {point.name!r}, which is {point.value} of {package} and cannot be imported ({error}); it must be "
            f"importable. Repair it with `pip install --force-reinstall {package}`, or take the name off the list."
        ) from error


class _Named(NamedTuple):
    name: str
    logger: Logger


@dataclass
class _Trouble:
    """Of one logger: until when it is left alone, and the calls that it missed."""

    until: float = 0.0
    missed: int = 0


class Loggers:
    """Several loggers as one, none of which can stop a run once it has started.

    Args:
        loggers: by name.
        rest_s: seconds for which a logger is left alone after it has failed.
    """

    def __init__(self, loggers: Mapping[str, Logger], *, rest_s: float = REST_S):
        self._loggers = [_Named(name, each) for name, each in loggers.items()]
        self._rest_s = rest_s
        self._troubles = {name: _Trouble() for name in loggers}
        self._to_start: dict[str, Callable[[], None]] = {}

    def __bool__(self) -> bool:
        return bool(self._loggers)

    def start(self, run: RunInfo, first_step: int) -> None:
        """Starts them; one that fails is started again later. Raises UserError where that is a user's to mend."""
        for named in self._loggers:
            self._to_start[named.name] = lambda named=named: named.logger.start(run, first_step)
            self._call(named, None)

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        self._all(lambda each: each.scalars(step, numbers))

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._all(lambda each: each.image(step, name, pixels))

    def text(self, step: int, name: str, markdown: str) -> None:
        self._all(lambda each: each.text(step, name, markdown))

    def finish(self, metrics: Mapping[str, float], ended: str) -> None:
        """Ends them, also those that are left alone now, and says what they have missed."""
        for trouble in self._troubles.values():
            trouble.until = 0.0
        self._all(lambda each: each.finish(metrics, ended))
        for name, trouble in self._troubles.items():
            if trouble.missed:
                logger.warning("the logger %s has missed %d records; metrics.jsonl has all numbers", name, trouble.missed)

    def _all(self, call: Callable[[Logger], None]) -> None:
        for named in self._loggers:
            self._call(named, call)

    def _call(self, named: _Named, call: Callable[[Logger], None] | None) -> None:
        """Starts a logger where that is still to be done, then makes the call."""
        trouble = self._troubles[named.name]
        if time.monotonic() < trouble.until:
            trouble.missed += 1
            return
        try:
            if named.name in self._to_start:
                self._to_start[named.name]()
                del self._to_start[named.name]
            if call is not None:
                call(named.logger)
        except UserError:
            raise
        except Exception as error:  # whatever a service or a package of others raises must not end days of training
            if not trouble.missed:
                logger.warning("the logger %s fails (%s: %s); training goes on without it", named.name, type(error).__name__, error)
            trouble.missed += 1
            trouble.until = time.monotonic() + self._rest_s


def make_loggers(names: Sequence[str]) -> Loggers:
    """The loggers of these names, made but not started. Raises UserError as `find_logger` does."""
    return Loggers({name: find_logger(name)() for name in names})
