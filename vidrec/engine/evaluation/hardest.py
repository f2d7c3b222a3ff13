"""Which videos a network is most wrong about."""

import numpy as np

LISTED = 50
FLOOR = 1e-38  # of a probability, so that its logarithm is a number


def true_probabilities(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[N] the probability of each video's label, or the least of those of its labels; NaN where it has none, or was not read.

    Args:
        probabilities: [N, K]; NaN in the rows of videos that could not be read.
        truth: [N] int64 labels, or [N, K] bool where videos have several.
    """
    if truth.ndim == 1:
        return probabilities[np.arange(len(truth)), truth]
    lowest = np.where(truth, probabilities, np.inf).min(1)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def video_losses(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[N] minus the logarithm of the probability of each video's label; NaN for a video that was not read.

    Of several labels, the mean over the classes of the logarithms of the probability of the right answer, yes or no: binary cross entropy.

    Example: probabilities [0.25, 0.75], label 0 -> ln 4; labels [T, F] -> (ln 4 + ln 4) / 2
    """
    if truth.ndim == 1:
        return 0.0 - np.log(np.maximum(true_probabilities(probabilities, truth), FLOOR))  # never -0.0
    return 0.0 - np.log(np.maximum(np.where(truth, probabilities, 1 - probabilities), FLOOR)).mean(1)


def hardest(losses: np.ndarray) -> list[int]:
    """The indices of the videos of the highest loss, worst first, LISTED at the most; those that were not read have none."""
    order = np.argsort(-losses, kind="stable")
    return order[np.isfinite(losses[order])][:LISTED].tolist()
