"""The files of a finished test; docs/evaluation.md describes each."""

import json
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

import vidrec
from vidrec.engine.confusion import draw_confusion
from vidrec.engine.evaluation import tables
from vidrec.engine.evaluation.drawing import as_png, draw_views
from vidrec.engine.evaluation.evaluate import Evaluation
from vidrec.engine.evaluation.tables import Names
from vidrec.engine.files import atomic_file, make_folder, room_text
from vidrec.utils.errors import UserError

RESULT_FILE = "result.json"


@dataclass(frozen=True)
class ResultInfo:
    """What a number needs beside it to mean something.

    Attributes:
        protocol: every resolved field of how clips and views are made, decoder included.
        num_views: views per video (temporal clips x crops).
    """

    protocol: dict[str, Any]
    num_views: int
    annotation: str
    annotation_sha256: str
    config: str
    model: str
    weights: str


def write_results(folder: Path, evaluation: Evaluation, *, info: ResultInfo, names: Names) -> Path:
    """Writes the files, each whole or not at all, and returns the path of result.json, which comes last.

    What an earlier test left of files that this one does not have is removed.

    Raises:
        UserError: the folder cannot be written.
    """
    writers: dict[str, Callable[[BinaryIO], object] | None] = {
        "scores.npz": lambda file: np.savez(file, **_arrays(evaluation)),
        "predictions.csv": lambda file: file.write(_bytes(tables.predictions_csv(evaluation, names))),
        "per_class.csv": lambda file: file.write(_bytes(tables.class_csv(evaluation, names))),
        "hardest.json": lambda file: file.write(_bytes(tables.hardest_json(evaluation, names))),
        **_confusion_writers(evaluation, info, names),
        **_view_writers(evaluation),
        RESULT_FILE: lambda file: file.write(_bytes(json.dumps(_summary(evaluation, info, names), indent=2) + "\n")),
    }
    try:
        make_folder(folder)
        for name, write in writers.items():
            if write is None:
                with suppress(FileNotFoundError):
                    (folder / name).unlink()
                continue
            with atomic_file(folder / name) as file:
                write(file)
    except OSError as error:
        raise UserError(
            f"The results cannot be written to {folder} ({error.strerror}; {room_text(folder)}); "
            "choose a folder that you may write to with CONFIG.LOG.BASE_PATH."
        ) from error
    return folder / RESULT_FILE


def _arrays(evaluation: Evaluation) -> dict[str, np.ndarray]:
    result = evaluation.result
    arrays = {"indices": np.arange(len(result.labels)), "labels": result.labels, "scores": result.scores, "failed": result.failed}
    return arrays if evaluation.targets is None else arrays | {"targets": evaluation.targets}


def _confusion_writers(evaluation: Evaluation, info: ResultInfo, names: Names) -> dict[str, Callable[[BinaryIO], object] | None]:
    if evaluation.confusion is None:
        return {"confusion.csv": None, "confusion.png": None}
    title = f"{info.model}, {evaluation.accuracies.num_videos} videos, {info.num_views} views"
    return {
        "confusion.csv": lambda file: file.write(_bytes(tables.confusion_csv(evaluation, names))),
        "confusion.png": lambda file: file.write(as_png(draw_confusion(evaluation.confusion, title=title, names=names.classes))),
    }


def _view_writers(evaluation: Evaluation) -> dict[str, Callable[[BinaryIO], object] | None]:
    if not evaluation.views:
        return {"views.csv": None, "views.png": None}
    title = f"{evaluation.accuracies.num_videos} videos"
    return {
        "views.csv": lambda file: file.write(_bytes(tables.views_csv(evaluation))),
        "views.png": lambda file: file.write(as_png(draw_views(evaluation.views, title=title))),
    }


def _bytes(text: str) -> bytes:
    """UTF-8; a path that is none keeps its bytes."""
    return text.encode("utf-8", "surrogateescape")


def _summary(evaluation: Evaluation, info: ResultInfo, names: Names) -> dict[str, Any]:
    result = evaluation.result
    numbers = {name: value for name, value in asdict(evaluation.accuracies).items() if value is not None}
    videos, failed = numbers.pop("num_videos"), numbers.pop("num_failed")
    several = evaluation.confusion is None
    return {
        "accuracy": {"views": info.num_views, **numbers},
        "top1_interval": asdict(evaluation.interval),
        "calibration": asdict(evaluation.calibration),
        "counts": {"videos": videos, "read": videos - failed, "failed": failed},
        "by_views": [tables.view_entry(view) for view in evaluation.views],
        "confused": None if several else [tables.pair_entry(pair, names) for pair in evaluation.pairs()],
        "failed": [{"index": index, "path": names.paths[index], "reason": reason} for index, reason in result.reasons.items()],
        "seconds": round(result.seconds, 3),
        "config": info.config,
        "model": info.model,
        "weights": info.weights,
        "annotation": {"path": info.annotation, "sha256": info.annotation_sha256},
        "protocol": info.protocol,
        "versions": {"vidrec": vidrec.__version__, "torch": str(torch.__version__), "python": platform.python_version()},
    }
