"""Features of a training and a validation list, made ready for probes, after everything that may be wrong with them was looked at."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidrec.inference.feature_reading import Features
from vidrec.inference.feature_store import differences
from vidrec.utils.errors import DataError

SHOWN = 5  # videos named in a message
SAME = ("network", "layer", "pool", "weights_sha256")  # settings in which both lists must agree


class ProbeData(NamedTuple):
    """Tokens [N, L, D] of L views, or points of maps, of each video, their mean [N, D], and labels [N]."""

    tokens: Tensor
    vectors: Tensor
    labels: Tensor


def probe_data(features: Features, device: torch.device) -> ProbeData:
    """The features of a list on a device."""
    writable = np.require(as_tokens(features.values), requirements="W")  # those of a parquet table are not, which torch warns of
    tokens = torch.from_numpy(writable).float().to(device)
    labels = torch.tensor([labels[0] for labels in features.labels], device=device)
    return ProbeData(tokens, tokens.mean(dim=1), labels)


def as_tokens(values: np.ndarray) -> np.ndarray:
    """[N, D], [N, V, D], maps [N, C, T, H, W] or [N, V, C, T, H, W] -> [N, L, D]; raises ValueError for another number of axes."""
    if values.ndim == 2:
        return values[:, None]
    if values.ndim == 3:
        return values
    if values.ndim not in (5, 6):
        raise ValueError(f"the features have the shape {list(values.shape)}")
    maps = values.reshape(len(values), -1, values.shape[-4], int(np.prod(values.shape[-3:])))  # [N, V, C, THW]
    return np.ascontiguousarray(maps.transpose(0, 1, 3, 2)).reshape(len(values), -1, maps.shape[2])


def check_features(train: Features, val: Features) -> None:
    """Raises DataError for features that a probe cannot be trained on and tested with, naming the first videos."""
    for features in (train, val):
        _check_values(features)
        _check_labels(features)
    if _channels(train) != _channels(val):
        raise DataError(
            f"The features of {train.source} have {_channels(train)} values and those of {val.source} {_channels(val)}; both lists must"
            " go through the same layer of the same network. Extract them with the same options."
        )
    parts = [{key: each.settings[key] for key in SAME if key in each.settings} for each in (train, val)]
    lines = differences(*parts) if all(parts) else []
    if lines:
        raise DataError(
            f"The features of {train.source} and {val.source} come from different layers or networks, so that they cannot be compared;"
            " extract both with the same options. What differs:\n" + "\n".join(f"  - {line}" for line in lines)
        )
    if len({labels[0] for labels in train.labels}) < 2:
        raise DataError(f"All videos of {train.source} have one label; a probe needs at least 2 classes. Check the training list.")


def class_names_of(train: Features, val: Features, given: Sequence[str] | None) -> list[str]:
    """A name for every class: the given ones, else those that the features came with, else the numbers.

    Raises:
        DataError: there are fewer names than classes.
    """
    highest = max(labels[0] for features in (train, val) for labels in features.labels)
    names = list(given or train.class_names or val.class_names or map(str, range(highest + 1)))
    if len(names) <= highest:
        raise DataError(
            f"There are {len(names)} class names, and a video has the label {highest}; labels must lie in [0, {len(names)})."
            " Give the names of all classes with --class-names."
        )
    return names


def _channels(features: Features) -> int:
    """D, or C of maps."""
    return features.values.shape[-1 if features.values.ndim < 5 else -4]


def _check_values(features: Features) -> None:
    shape = features.values.shape
    if len(shape) not in (2, 3, 5, 6) or 0 in shape:
        raise DataError(
            f"The features of {features.source} have the shape {list(shape)}; [N, D], [N, views, D], or maps [N, C, T, H, W] are wanted."
            " Extract them with tools/feat_extract_pytorch.py."
        )
    finite = np.isfinite(features.values.reshape(shape[0], -1)).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{_named(features, ~finite)} of {features.source} have features that are not finite; all values must be numbers."
            " Extract them again, with weights that have not diverged."
        )


def _check_labels(features: Features) -> None:
    counts = np.array([len(labels) for labels in features.labels])
    if (counts == 0).any():
        raise DataError(
            f"{_named(features, counts == 0)} of {features.source} have no label; a probe needs the label of every video."
            " Extract the features with a list that has labels."
        )
    if (counts > 1).any():
        raise DataError(
            f"{_named(features, counts > 1)} of {features.source} have several labels; probes take one a video."
            " Make a list with one label in each line."
        )


def _named(features: Features, rows: np.ndarray) -> str:
    """`3 videos (a.mp4, b.mp4, c.mp4)`"""
    found = np.flatnonzero(rows)
    more = ", ..." if len(found) > SHOWN else ""
    return f"{len(found)} videos ({', '.join(features.paths[row] for row in found[:SHOWN])}{more})"
