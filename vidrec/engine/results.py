"""The files of a finished test: result.json, scores.npz and predictions.csv."""

import csv
import io
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vidrec
from vidrec.engine.files import atomic_file, make_folder, room_text
from vidrec.engine.metrics import Accuracies
from vidrec.engine.tester import VideoScores
from vidrec.utils.errors import UserError


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


def write_results(
    folder: Path,
    result: VideoScores,
    measured: Accuracies,
    *,
    info: ResultInfo,
    paths: Sequence[str],
    class_names: Sequence[str] | None = None,
    targets: np.ndarray | None = None,
) -> Path:
    """Writes the three files, each whole or not at all, and returns the path of result.json, which comes last.

    Args:
        paths: [N] full path of each video.
        class_names: [K], or None where labels are shown as numbers only.
        targets: [N, K] bool where videos have several labels; scores.npz then holds them too.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        make_folder(folder)
        with atomic_file(folder / "scores.npz") as file:
            arrays = {"labels": result.labels, "scores": result.scores, "failed": result.failed}
            arrays |= {} if targets is None else {"targets": targets}
            np.savez(file, indices=np.arange(len(result.labels)), **arrays)
        with atomic_file(folder / "predictions.csv") as file:
            single = [[label] for label in result.labels.tolist()]
            label_sets = single if targets is None else [np.flatnonzero(row).tolist() for row in targets]
            table = _predictions(result, label_sets, measured.k, paths=paths, class_names=class_names)
            file.write(table.encode("utf-8", "surrogateescape"))
        with atomic_file(folder / "result.json") as file:
            file.write((json.dumps(_summary(result, measured, info, paths), indent=2) + "\n").encode())
    except OSError as error:
        raise UserError(
            f"The results cannot be written to {folder} ({error.strerror}; {room_text(folder)}); "
            "choose a folder that you may write to with CONFIG.LOG.BASE_PATH."
        ) from error
    return folder / "result.json"


def _summary(result: VideoScores, measured: Accuracies, info: ResultInfo, paths: Sequence[str]) -> dict[str, Any]:
    numbers = {name: value for name, value in asdict(measured).items() if value is not None}
    videos, failed = numbers.pop("num_videos"), numbers.pop("num_failed")
    return {
        "accuracy": {"views": info.num_views, **numbers},
        "counts": {"videos": videos, "read": videos - failed, "failed": failed},
        "failed": [{"index": index, "path": paths[index], "reason": reason} for index, reason in result.reasons.items()],
        "seconds": round(result.seconds, 3),
        "config": info.config,
        "model": info.model,
        "weights": info.weights,
        "annotation": {"path": info.annotation, "sha256": info.annotation_sha256},
        "protocol": info.protocol,
        "versions": {"vidrec": vidrec.__version__, "torch": str(torch.__version__), "python": platform.python_version()},
    }


def _predictions(
    result: VideoScores, label_sets: Sequence[list[int]], k: int, *, paths: Sequence[str], class_names: Sequence[str] | None
) -> str:
    """CSV text, a row per video: path, label, prediction, whether it is right, and the k best labels with their scores.

    Several labels of a video stand in one cell, separated by blanks, their names by `; `; the prediction is right where it is one of them.
    The cells of a prediction are empty for a video that could not be read.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    names = ["label_name", "prediction_name"] if class_names else []
    writer.writerow(["path", "label", "prediction", "correct", *names, f"top{k}", f"top{k}_scores", "failure"])
    for index, (path, labels, row) in enumerate(zip(paths, label_sets, result.scores, strict=True)):
        failure = result.reasons.get(index, "")
        best = [] if failure else np.argsort(-row, kind="stable")[:k].tolist()
        prediction = best[0] if best else ""
        named = ["; ".join(class_names[label] for label in labels), class_names[best[0]] if best else ""] if class_names else []
        scores = " ".join(f"{row[label]:.6g}" for label in best)
        correct = int(prediction in labels)
        writer.writerow([path, _joined(labels), prediction, correct, *named, _joined(best), scores, failure])
    return table.getvalue()


def _joined(labels: Sequence[int]) -> str:
    return " ".join(map(str, labels))
