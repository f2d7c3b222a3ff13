"""How far a top-1 accuracy can be trusted, and how far the network's own probabilities."""

from dataclasses import dataclass

import numpy as np
import torch

LEVEL, RESAMPLES, SEED = 0.95, 1000, 0
BINS = 15


@dataclass(frozen=True)
class Interval:
    """Where a number lies, by the bootstrap: quantiles over lists of as many videos drawn out of the list with replacement."""

    low: float
    high: float
    level: float
    resamples: int
    seed: int


def top1_interval(hits: np.ndarray) -> Interval:
    """The percentile bootstrap interval of a share (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Args:
        hits: [N] bool, N at least 1; False for a video that could not be read.

    Example: all hits are True -> 1.0 to 1.0
    """
    from torchmetrics.aggregation import MeanMetric  # takes seconds to import
    from torchmetrics.wrappers import BootStrapper

    tails = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    # Its draws come from torch's global generator: that is seeded here and as it was afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        mean = MeanMetric(sync_on_compute=False).set_dtype(torch.float64)  # the main process alone is here
        drawn = BootStrapper(mean, num_bootstraps=RESAMPLES, quantile=tails, sampling_strategy="multinomial")
        drawn.update(torch.from_numpy(hits).double())
    low, high = drawn.compute()["quantile"].tolist()
    return Interval(low, high, LEVEL, RESAMPLES, SEED)


@dataclass(frozen=True)
class Calibration:
    """How far probabilities are from shares of right answers.

    Attributes:
        ece: expected calibration error over the videos that were read; None where none was.
        ece_failed_wrong: the same with each unreadable video as a wrong answer of probability 1.
        bins: equal shares of [0, 1].
        mean_confidence: mean probability of the predictions of the videos that were read.
        videos: that were read.
    """

    ece: float | None
    ece_failed_wrong: float
    bins: int
    mean_confidence: float | None
    videos: int


def calibration(probabilities: np.ndarray, truth: np.ndarray, failed: np.ndarray) -> Calibration:
    """The expected calibration error (Guo et al., ICML 2017), mean absolute difference of confidence and accuracy over the bins.

    Args:
        probabilities: [N, K]; rows of videos that could not be read are not looked at.
        truth: [N] int64 labels, of which the most probable class is compared; or [N, K] bool where videos have several: then every pair
            of video and class is an answer, compared with its probability.
        failed: [N] bool.

    Example: two videos, both said with probability 0.8, one right -> 0.3
    """
    read = ~failed
    confidences = probabilities[read].max(1) if truth.ndim == 1 else probabilities[read].ravel()
    right = probabilities[read].argmax(1) == truth[read] if truth.ndim == 1 else truth[read].ravel()
    lost = int(failed.sum()) * (1 if truth.ndim == 1 else probabilities.shape[1])
    strict = np.concatenate([confidences, np.ones(lost)]), np.concatenate([right, np.zeros(lost, dtype=bool)])
    some = len(confidences) > 0
    mean = float(probabilities[read].max(1).mean()) if some else None
    return Calibration(_error(confidences, right) if some else None, _error(*strict), BINS, mean, int(read.sum()))


def _error(confidences: np.ndarray, right: np.ndarray) -> float:
    from torchmetrics.functional.classification import binary_calibration_error  # takes seconds to import

    pairs = torch.from_numpy(confidences.astype(np.float64)).clamp(0, 1), torch.from_numpy(right).long()
    return binary_calibration_error(*pairs, n_bins=BINS, norm="l1", validate_args=False).item()
