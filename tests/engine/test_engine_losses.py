"""Losses against values worked out by hand, with p(ln 3) = 3/4 under the sigmoid and softmax of [0, ln 3] = [1/4, 3/4]."""

from math import log

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from vidrec.engine.losses import SigmoidLoss, SoftmaxLoss, balanced_weights, weights_text

LN3 = log(3.0)
L, M = log(4.0), log(4.0 / 3.0)  # -log of 1/4 and of 3/4
H = log(2.0)  # -log of 1/2
LOGITS = [[0.0, LN3], [LN3, 0.0]]


def value(loss, logits, labels):
    return loss(torch.tensor(logits), torch.tensor(labels)).item()


@pytest.mark.parametrize(
    ("arguments", "labels", "expected"),
    [
        ({}, [0, 0], (L + M) / 2),
        ({}, [[1.0, 0.0], [0.75, 0.25]], (L + 0.75 * M + 0.25 * L) / 2),
        ({"smoothing": 0.2}, [0, 0], (0.9 * L + 0.1 * M + 0.9 * M + 0.1 * L) / 2),
        ({"smoothing": 0.2}, [[1.0, 0.0], [1.0, 0.0]], (L + M) / 2),
        ({"class_weights": [2.0, 1.0]}, [0, 1], (2 * L + L) / 2),
        ({"class_weights": [2.0, 1.0]}, [[0.5, 0.5], [0.0, 1.0]], (0.5 * 2 * L + 0.5 * M + L) / 2),
        ({"class_weights": [2.0, 1.0], "smoothing": 0.5}, [0, 0], (0.75 * 2 * (L + M) + 0.25 * (M + L)) / 2),
    ],
)
def test_softmax(arguments, labels, expected):
    assert value(SoftmaxLoss(**tensors(arguments)), LOGITS, labels) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "labels", "expected"),
    [
        ({}, [[1.0, 0.0], [1.0, 1.0]], (H + L + M + H) / 4),
        ({}, [0, 1], (H + L + L + H) / 4),
        ({"smoothing": 0.2}, [0, 0], (H + 0.9 * L + 0.1 * M + 0.9 * M + 0.1 * L + H) / 4),
        ({"smoothing": 0.2}, [[1.0, 1.0], [0.0, 0.0]], (H + 0.9 * M + 0.1 * L + 0.9 * L + 0.1 * M + H) / 4),
        ({"class_weights": [3.0, 1.0]}, [[1.0, 0.0], [0.0, 1.0]], (3 * H + L + L + H) / 4),
        ({"class_weights": [3.0, 1.0]}, [[0.5, 0.5], [0.0, 0.0]], (2 * H + 0.5 * M + 0.5 * L + L + H) / 4),
        ({"focal_gamma": 2.0}, [[1.0, 0.0], [1.0, 1.0]], (0.25 * H + 0.5625 * L + 0.0625 * M + 0.25 * H) / 4),
        ({"focal_gamma": 1.0}, [0, 0], (0.5 * H + 0.75 * L + 0.25 * M + 0.5 * H) / 4),
        ({"focal_gamma": 1.0}, [[0.5, 0.0], [0.0, 0.0]], (0.5 * H + 0.75 * L + 0.75 * L + 0.5 * H) / 4),
        ({"focal_gamma": 2.0, "class_weights": [3.0, 1.0]}, [0, 0], (0.75 * H + 0.5625 * L + 3 * 0.0625 * M + 0.25 * H) / 4),
    ],
)
def test_sigmoid_for_every_class(arguments, labels, expected):
    assert value(SigmoidLoss(**tensors(arguments)), LOGITS, labels) == pytest.approx(expected, rel=1e-6)


def test_without_options_softmax_is_torchs_to_the_last_bit():
    logits, labels = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 4, 2, 1, 1, 3, 0])
    assert SoftmaxLoss()(logits, labels).item() == cross_entropy(logits, labels).item()


@pytest.mark.parametrize("loss", [SoftmaxLoss(class_weights=torch.tensor([5.0, 1.0])), SigmoidLoss(class_weights=torch.tensor([5.0, 1.0]))])
def test_weights_do_not_depend_on_how_clips_are_put_into_batches(loss):
    logits, labels = torch.randn(6, 2, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 1, 1, 1, 0])
    parts = [loss(logits[start : start + 2], labels[start : start + 2]) for start in (0, 2, 4)]
    assert torch.stack(parts).mean().item() == pytest.approx(loss(logits, labels).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("counts", "num_videos", "sigmoid", "expected"),
    [
        ([1, 3], 4, False, [2.0, 2 / 3]),
        ([2, 2], 4, False, [1.0, 1.0]),
        ([1, 0, 3], 4, False, [2.0, 1.0, 2 / 3]),
        ([1, 3], 4, True, [3.0, 1 / 3]),
        ([4, 0, 2], 4, True, [0.0, 1.0, 1.0]),
    ],
)
def test_balanced_weights(counts, num_videos, sigmoid, expected):
    assert balanced_weights(np.array(counts), num_videos, sigmoid=sigmoid) == pytest.approx(expected)


def test_balanced_weights_are_said_with_their_extremes():
    assert weights_text((2.0, 2 / 3), np.array([1, 3])) == "class weights from 0.667 (class 1, 3 videos) to 2 (class 0, 1 video)"
    absent = weights_text((3.0, 1.0, 1.5), np.array([1, 0, 2]))
    assert absent == "class weights from 1.5 (class 2, 2 videos) to 3 (class 0, 1 video); without a video, and so at 1: class 1"


def tensors(arguments):
    return {key: torch.tensor(value) if isinstance(value, list) else value for key, value in arguments.items()}
