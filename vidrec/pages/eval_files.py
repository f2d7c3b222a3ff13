"""The files of a test (docs/evaluation.md), read for a page: each that is missing or damaged is a remark, never an error."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULT_FILE = "result.json"


@dataclass
class ClassRow:
    """A class of a test, or of a validation.

    Attributes:
        value: recall, or the average precision where videos have several labels; None for a class without a video.
    """

    label: int
    name: str
    value: float | None
    videos: int | None = None
    precision: float | None = None


@dataclass
class EvalFiles:
    """What a folder of a test holds.

    Attributes:
        result: result.json.
        classes: per_class.csv, in order of the labels.
        confusion: confusion.csv, [K][K] videos of class `row` that were taken for class `column`; None where there is none.
        hardest: hardest.json, worst first.
        remarks: what is missing or damaged, one sentence each.
    """

    folder: Path
    result: dict[str, Any] = field(default_factory=dict)
    classes: list[ClassRow] = field(default_factory=list)
    confusion: list[list[int]] | None = None
    hardest: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def several_labels(self) -> bool:
        return "map" in self.part("accuracy")

    def part(self, name: str) -> dict[str, Any]:
        """An object of result.json; empty where it has none of that name."""
        found = self.result.get(name)
        return found if isinstance(found, dict) else {}

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A list of objects of result.json; empty where it has none of that name."""
        found = self.result.get(name)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def find_tests(run: Path) -> list[Path]:
    """The folders in a run that hold the result of a test, the newest first."""
    found = [path.parent for path in run.glob(f"*/{RESULT_FILE}")]
    return sorted(found, key=lambda folder: (folder / RESULT_FILE).stat().st_mtime, reverse=True)


def read_test(folder: Path) -> EvalFiles:
    """Everything that the folder of a test holds."""
    test = EvalFiles(folder)
    test.result = _read(test, RESULT_FILE, _object) or {}
    test.classes = _read(test, "per_class.csv", _classes) or []
    test.hardest = _read(test, "hardest.json", _objects) or []
    if not test.several_labels:
        test.confusion = _read(test, "confusion.csv", _confusion)
    return test


def _read(test: EvalFiles, name: str, parse: Callable[[str], Any]) -> Any:
    path = test.folder / name
    try:
        return parse(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except FileNotFoundError:
        test.remarks.append(f"{path} is not there: this test did not write it.")
    except OSError as error:
        test.remarks.append(f"{path} cannot be read ({error.strerror}).")
    except (ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
        test.remarks.append(f"{path} is damaged, or of another version ({type(error).__name__}: {error}).")
    return None


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it holds no object")
    return found


def _objects(text: str) -> list[dict[str, Any]]:
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError("it holds no list of objects")
    return found


def _classes(text: str) -> list[ClassRow]:
    rows = []
    for row in csv.DictReader(io.StringIO(text, newline="")):
        value = row["average_precision"] if "average_precision" in row else row["recall"]
        label = int(row["label"])
        rows.append(ClassRow(label, row["name"] or str(label), _share(value), int(row["videos"]), _share(row["precision"])))
    return rows


def _share(cell: str) -> float | None:
    return float(cell) if cell else None


def _confusion(text: str) -> list[list[int]]:
    """Rows of `label, name, 0, 1 .. K - 1, failed`."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    count = len(header) - 3
    if header[:2] != ["label", "name"] or header[-1] != "failed" or len(rows) != count:
        raise ValueError(f"{len(rows)} rows of {count} predictions are no square matrix")
    return [[int(cell) for cell in row[2 : 2 + count]] for row in rows]
