"""The tables of a test as text: per_class.csv, confusion.csv, views.csv, predictions.csv and hardest.json."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vidrec.engine.evaluation.evaluate import ConfusedPair, Evaluation, ViewAccuracies


class Names(NamedTuple):
    """What rows of a test are called: the full path of each video; the names of the classes, None where there are only numbers."""

    paths: Sequence[str]
    classes: Sequence[str] | None = None

    def of(self, label: int) -> str:
        """The name of a class, '' where it has none."""
        return self.classes[label] if self.classes else ""


def class_csv(evaluation: Evaluation, names: Names) -> str:
    """CSV: a row per class, in the order of the labels. Cells are empty where a share has nothing to be a share of."""
    several = ["average_precision"] if evaluation.targets is not None else []
    rows = [["label", "name", "videos", "failed", "predicted", "recall", "precision", *several]]
    for row in evaluation.classes:
        last = [_share(row.average_precision)] if several else []
        shares = [_share(row.recall), _share(row.precision), *last]
        rows.append([row.label, names.of(row.label), row.videos, row.failed, row.predicted, *shares])
    return _csv(rows)


def confusion_csv(evaluation: Evaluation, names: Names) -> str:
    """CSV: a row per label, a column per prediction, headed by its number, and the videos that could not be read."""
    rows = [["label", "name", *range(len(evaluation.confusion)), "failed"]]
    for row in evaluation.classes:
        rows.append([row.label, names.of(row.label), *evaluation.confusion[row.label].tolist(), row.failed])
    return _csv(rows)


def views_csv(evaluation: Evaluation) -> str:
    """CSV: a row per number of views, as it stands in result.json."""
    entries = [view_entry(view) for view in evaluation.views]
    shown = [{**entry, **{key: _joined(entry[key]) for key in ("clips", "crops")}} for entry in entries]
    return _csv([list(shown[0]), *(list(entry.values()) for entry in shown)])


def view_entry(view: ViewAccuracies) -> dict[str, Any]:
    """The row of a number of views. Example: {"views": 2, "clips": [2, 7], "crops": [1], "top1": 0.5, ...}"""
    return {"views": view.count.num_views, "clips": list(view.count.clips), "crops": list(view.count.crops), **view.numbers}


def pair_entry(pair: ConfusedPair, names: Names) -> dict[str, Any]:
    """A pair of confused classes for JSON, with their names where they have some."""
    named = {"label_name": names.of(pair.label), "prediction_name": names.of(pair.prediction)} if names.classes else {}
    return {**pair._asdict(), **named}


def predictions_csv(evaluation: Evaluation, names: Names) -> str:
    """CSV: a row per video: path, label, prediction, whether it is right, the k best labels with their scores, the probability of the
    label and the loss.

    Several labels of a video stand in one cell, separated by blanks, their names by `; `; the prediction is right where it is one of them,
    and the probability is that of the least probable. The cells of a prediction are empty for a video that could not be read.
    """
    k, reasons = evaluation.accuracies.k, evaluation.result.reasons
    named = ["label_name", "prediction_name"] if names.classes else []
    rows: list[list[Any]] = [
        ["path", "label", "prediction", "correct", *named, f"top{k}", f"top{k}_scores", "probability", "loss", "failure"]
    ]
    for index, (path, row) in enumerate(zip(names.paths, evaluation.result.scores, strict=True)):
        failure, labels = reasons.get(index, ""), labels_of(evaluation, index)
        best = [] if index in reasons else np.argsort(-row, kind="stable")[:k].tolist()
        words = ["; ".join(map(names.of, labels)), names.of(best[0]) if best else ""] if named else []
        scores = " ".join(f"{row[label]:.6g}" for label in best)
        certainty = [_share(evaluation.true_probability[index]), _share(evaluation.losses[index])]
        correct = int(bool(best) and best[0] in labels)
        rows.append([path, _joined(labels), best[0] if best else "", correct, *words, _joined(best), scores, *certainty, failure])
    return _csv(rows)


def hardest_json(evaluation: Evaluation, names: Names) -> str:
    """JSON: a list of the videos of the highest loss, worst first.

    `label` is a number, or a list of them where videos have several; names stand beside them where classes have some.
    """
    entries = []
    for index in evaluation.hardest:
        labels, scores = labels_of(evaluation, index), evaluation.result.scores[index]
        prediction = int(np.argsort(-scores, kind="stable")[0])
        one = evaluation.targets is None
        entry = {"index": index, "path": names.paths[index], "label": labels[0] if one else labels, "prediction": prediction}
        if names.classes:
            entry["label_name"] = names.of(labels[0]) if one else [names.of(label) for label in labels]
            entry["prediction_name"] = names.of(prediction)
        probability = float(evaluation.true_probability[index])
        entry["correct"] = prediction in labels
        entry["probability"] = probability if np.isfinite(probability) else None
        entry["loss"] = float(evaluation.losses[index])
        entries.append(entry)
    return json.dumps(entries, indent=2) + "\n"


def labels_of(evaluation: Evaluation, index: int) -> list[int]:
    """The labels of a video."""
    if evaluation.targets is None:
        return [int(evaluation.result.labels[index])]
    return np.flatnonzero(evaluation.targets[index]).tolist()


def _share(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.6g}"


def _joined(labels: Iterable[int]) -> str:
    return " ".join(map(str, labels))


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    return table.getvalue()
