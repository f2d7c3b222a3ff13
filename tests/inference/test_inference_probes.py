"""Probes: what they find on features whose answer is known, that a seed decides everything, and what is said of bad features."""

import math

import numpy as np
import pytest
import torch

from vidrec.inference.feature_reading import Features
from vidrec.inference.probe_data import as_tokens, check_features, class_names_of, probe_data
from vidrec.inference.probes import DECAYS, attentive_probe, hold_out, knn_probe, linear_probe
from vidrec.utils.errors import DataError, UserError


def clouds(num_videos, *, seed, distance=2.0):
    """Vectors of two classes around (0, 0, ...) and (distance, 0, ...), 6 values each, one of them constant."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_videos) % 2
    vectors = torch.randn(num_videos, 6, generator=draw)
    vectors[:, 0] += distance * labels
    vectors[:, 5] = 3.0
    return vectors, labels


def marked_tokens(num_videos, *, seed):
    """Four tokens a video: the marked one says the class, the others say a class at random, louder."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (num_videos,), generator=draw)
    tokens = torch.randn(num_videos, 4, 8, generator=draw) * 0.1
    tokens[:, :, 0] += 4.0 * (torch.randint(0, 2, (num_videos, 4), generator=draw) * 2 - 1)
    place = torch.randint(0, 4, (num_videos,), generator=draw)
    rows = torch.arange(num_videos)
    tokens[rows, place, 0] = 2.0 * labels - 1
    tokens[rows, place, 1] += 3.0
    return tokens, labels


def test_neighbors_vote_by_cosine_and_temperature():
    train = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    labels = torch.tensor([0, 1, 1])
    scores = knn_probe(train, labels, torch.tensor([[5.0, 0.0]]), num_classes=3, k=2, temperature=0.5).scores
    expected = [1.0, math.exp((math.sqrt(0.5) - 1) / 0.5), 0.0]
    np.testing.assert_allclose(scores, [expected], rtol=1e-6)
    assert knn_probe(train, labels, train, num_classes=2, k=20).chosen == {"k": 3, "temperature": 0.07}
    assert knn_probe(train, labels, train, num_classes=2, k=1).scores.argmax(1).tolist() == [0, 1, 1]


def test_at_a_low_temperature_the_nearest_neighbor_decides():
    train, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    scores = knn_probe(train, labels, torch.tensor([[-1.0, -0.8]]), num_classes=2, temperature=1e-4).scores
    np.testing.assert_allclose(scores, [[0.0, 1.0]])


def test_held_out_are_parts_of_every_class():
    labels = np.array([0] * 10 + [1] * 2 + [2])
    held = hold_out(labels, share=0.2, seed=0)
    assert np.bincount(labels[held], minlength=3).tolist() == [2, 1, 0]
    assert not np.array_equal(held, hold_out(labels, share=0.2, seed=1))
    assert np.array_equal(held, hold_out(labels, share=0.2, seed=0))
    assert np.bincount(labels[hold_out(labels, share=0.99, seed=0)], minlength=3).tolist() == [9, 1, 0]
    with pytest.raises(UserError, match=r"None of the 3 classes has 2 training videos, .* or the k-NN probe"):
        hold_out(np.array([0, 1, 2]), share=0.2, seed=0)


def test_linear_probe_finds_the_best_line():
    train, labels = clouds(400, seed=0)
    test, truth = clouds(2000, seed=1)
    steps = []
    found = linear_probe(train, labels, test, num_classes=2, step=lambda: steps.append(1))
    accuracy = (found.scores.argmax(1) == truth.numpy()).mean()
    assert accuracy == pytest.approx(0.8413, abs=0.02)  # the best possible is the normal distribution at distance / 2 = 1
    assert [trial.value for trial in found.trials] == list(DECAYS) and len(steps) == len(DECAYS) + 1
    best = min(found.trials, key=lambda trial: trial.loss)
    assert found.chosen == {"weight_decay": best.value}
    assert np.array_equal(found.scores, linear_probe(train, labels, test, num_classes=2).scores)


def test_linear_probe_does_not_depend_on_scale_and_shift_of_the_features():
    (train, labels), (test, _) = clouds(60, seed=0), clouds(30, seed=1)
    plain = linear_probe(train, labels, test, num_classes=2).scores
    scale, shift = torch.tensor([1e3, 1e-3, 1, 10, 0.1, 1]), torch.tensor([5.0, 0, -2, 0, 1, 0])
    moved = linear_probe(train * scale + shift, labels, test * scale + shift, num_classes=2).scores
    np.testing.assert_allclose(plain, moved, atol=0.02)


def test_decay_of_the_regression_is_that_of_its_minimum():
    """Two vectors -1 and 1: the minimum has weights w and -w with w * decay = sigmoid(-2 w) / ... of each class, found by bisection."""
    from vidrec.inference.probes import _regress

    weight, bias = _regress(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), num_classes=2, decay=0.1)
    low, high = 0.0, 10.0
    for _ in range(60):  # d/dw of log(1 + exp(-2 w)) + 0.1 * w^2, of weights -w and w
        middle = (low + high) / 2
        low, high = (middle, high) if 0.2 * middle < 2 / (1 + math.exp(2 * middle)) else (low, middle)
    assert weight[:, 0].tolist() == pytest.approx([-low, low], abs=1e-4)
    assert bias.tolist() == pytest.approx([0, 0], abs=1e-4)


def test_attentive_probe_finds_the_token_that_says_the_class():
    (train, labels), (test, truth) = marked_tokens(160, seed=0), marked_tokens(100, seed=1)
    options = {"num_classes": 2, "rates": (0.005,), "epochs": 50, "batch_size": 16}
    found = attentive_probe(train, labels, test, **options)
    assert (found.scores.argmax(1) == truth.numpy()).mean() > 0.9
    of_means = linear_probe(train.mean(1), labels, test.mean(1), num_classes=2)
    assert (of_means.scores.argmax(1) == truth.numpy()).mean() < 0.75


def test_a_seed_decides_everything_of_the_attentive_probe():
    train, labels = marked_tokens(40, seed=0)
    options = {"num_classes": 2, "rates": (0.001, 0.005), "epochs": 2}
    first = attentive_probe(train, labels, train, **options)
    torch.manual_seed(99)  # the global generator decides nothing
    assert np.array_equal(first.scores, attentive_probe(train, labels, train, **options).scores)
    assert not np.array_equal(first.scores, attentive_probe(train, labels, train, seed=1, **options).scores)
    assert [trial.value for trial in first.trials] == [0.001, 0.005] and first.tried == "lr"


@pytest.mark.parametrize(
    ("shape", "tokens"), [((2, 5), (2, 1, 5)), ((2, 3, 5), (2, 3, 5)), ((2, 5, 2, 3, 4), (2, 24, 5)), ((2, 3, 5, 1, 2, 2), (2, 12, 5))]
)
def test_tokens_are_views_or_points_of_maps(shape, tokens):
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = as_tokens(values)
    assert found.shape == tokens
    channels = values.reshape(*shape[: len(shape) - 4], shape[-4], -1) if len(shape) > 4 else None
    if channels is not None:  # the first token has the first point of every channel
        np.testing.assert_array_equal(found[0, 0], channels.reshape(2, -1, 5, channels.shape[-1])[0, 0, :, 0])
    data = probe_data(features(values), torch.device("cpu"))
    np.testing.assert_allclose(data.vectors.numpy(), found.mean(1), rtol=1e-6)


def test_values_that_cannot_be_written_are_taken_without_a_warning(recwarn):
    values = np.eye(3, dtype=np.float32)
    values.flags.writeable = False
    assert torch.equal(probe_data(features(values), torch.device("cpu")).vectors, torch.eye(3))
    assert not recwarn.list


def features(values, labels=None, **about):
    values = np.asarray(values, dtype=np.float32)
    labels = [(row % 2,) for row in range(len(values))] if labels is None else labels
    return Features("train", values, labels, [f"{row}.mp4" for row in range(len(values))], **about)


NAN = np.array([[1.0, 2.0], [np.nan, 1.0]])


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        (features(np.ones((2, 3))), features(np.ones((2, 4))), "of train have 3 values and those of train 4; both lists must go through"),
        (features(np.ones((2, 5, 2, 2, 2))), features(np.ones((2, 3))), "have 5 values and those of train 3"),
        (features(NAN), features(np.ones((2, 2))), r"1 videos \(1.mp4\) of train have features that are not finite"),
        (features(np.ones((2, 2))), features(np.ones((2, 2)), [(1,), ()]), r"1 videos \(1.mp4\) of train have no label"),
        (features(np.ones((7, 2)), [(0, 1)] * 7), features(np.ones((2, 2))), r"7 videos \(0.mp4, .*4.mp4, ...\) .* have several labels"),
        (features(np.ones((2, 2)), [(1,)] * 2), features(np.ones((2, 2))), "All videos of train have one label"),
        (features(np.ones(3)), features(np.ones((2, 2))), r"have the shape \[3\]"),
        (features(np.ones((0, 3))), features(np.ones((2, 3))), r"have the shape \[0, 3\]"),
        (
            features(np.ones((2, 2)), settings={"weights_sha256": "ab", "layer": "neck"}),
            features(np.ones((2, 2)), settings={"weights_sha256": "cd", "layer": "neck"}),
            "come from different layers or networks.*\n  - weights_sha256: ab there, cd here",
        ),
    ],
)
def test_bad_features_are_said(train, val, message):
    with pytest.raises(DataError, match=message):
        check_features(train, val)


def test_names_of_classes():
    plain, named = features(np.ones((2, 2))), features(np.ones((2, 2)), class_names=["run", "jump", "swim"])
    check_features(plain, named)
    assert class_names_of(plain, plain, None) == ["0", "1"]
    assert class_names_of(plain, named, None) == ["run", "jump", "swim"]
    assert class_names_of(named, plain, ["a", "b"]) == ["a", "b"]
    with pytest.raises(DataError, match=r"There are 1 class names, and a video has the label 1; labels must lie in \[0, 1\)"):
        class_names_of(plain, plain, ["a"])
