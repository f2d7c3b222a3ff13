"""Reading metrics.jsonl, of a run that is over, goes on or was killed, without torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidrec.engine.log import logger

METRICS_FILE = "metrics.jsonl"
# Lines of these kinds tell of a process, not of the weights: they stay when the run goes on from an earlier place.
PART_KINDS = ("start", "end")
# What a validation measures, where it does, as it is said to people.
METRIC_NAMES = {"map": "mAP", "top1": "top-1", "top5": "top-5", "mean_class": "mean class", "loss": "loss"}


def metric_text(metric: str) -> str:
    """The name of a number of a validation, as it is said to people. Example: `ema_top1` -> `top-1 of the average`"""
    return METRIC_NAMES[metric.removeprefix("ema_")] + (" of the average" if metric.startswith("ema_") else "")


def is_better(metric: str, value: float, best: float | None) -> bool:
    """Whether the value of a metric is better than the best before it, None where there is none: lower of losses, else higher."""
    return best is None or (value < best if metric.endswith("loss") else value > best)


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, in order, as `read_lines` finds them."""
    return (entry for _, entry in read_lines(path))


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a file with their objects, in order, read one at a time.

    A last line without its end is left out: a process writes it now, or was killed while it did. Other lines that are no objects (a
    disk that was switched off) are left out too, and counted in a warning.
    """
    damaged = 0
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            entry = parse_entry(line) if line.endswith("\n") else None
            if entry is not None:
                yield line, entry
            elif line.endswith("\n"):
                damaged += 1
    if damaged:
        logger.warning("%d lines of %s are damaged and left out", damaged, path)


def parse_entry(line: str) -> dict[str, Any] | None:
    """The object of a line; None for a line that holds none with a kind and a place."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    known = isinstance(entry, dict) and ("epoch" in entry or entry.get("kind") in PART_KINDS)
    return entry if known and "kind" in entry else None


def is_before(entry: dict[str, Any], epoch: int, step: int) -> bool:
    """Whether a line stays when the run goes on with this step of this epoch; what comes later is measured again.

    Averages of an epoch, and its validation, stay where the whole epoch came before.

    Example: going on at epoch 1, step 5 keeps the steps up to 4 of epoch 1, and all of epoch 0.
    """
    if entry["kind"] in PART_KINDS:
        return True
    if "step" in entry:
        return (entry["epoch"], entry["step"]) < (epoch, step)
    return entry["epoch"] < epoch
