"""From the views of a video to its score: what is averaged, by name, in float64."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidrec.utils.errors import UserError

AVERAGES: dict[str, Callable[[Tensor], Tensor]] = {
    "logits_mean": lambda logits: logits.mean(0),
    "prob_mean": lambda logits: logits.softmax(1).mean(0),
    "prob_sum": lambda logits: logits.softmax(1).sum(0),
}
FEATURE_MEAN = "feature_mean"


class ViewAverage:
    """What a network gives for each view, and the score of a video that comes of it.

    Args:
        average: logits_mean; prob_mean or prob_sum: of the softmax of each view; feature_mean: of the vectors that enter the
            classifier, which is then applied once. For a linear classifier in eval mode that is the mean of the logits, since a mean
            and a linear map can change places.
        classifier: the network's last layer; feature_mean needs it.

    Raises:
        UserError: feature_mean without a classifier.
    """

    def __init__(self, average: str, classifier: nn.Module | None = None):
        if average not in AVERAGES and average != FEATURE_MEAN:
            raise ValueError(f"average is {average!r}; it must be one of {', '.join((*AVERAGES, FEATURE_MEAN))}.")
        if average == FEATURE_MEAN and classifier is None:
            raise UserError(
                "CONFIG.TEST.AVERAGE is feature_mean and the network's head has no layer `fc`; it must be its classifier."
                " Set CONFIG.TEST.AVERAGE logits_mean, or name the head's last layer so."
            )
        self.average, self.classifier = average, classifier

    def outputs(self, model: nn.Module, clips: Tensor) -> Tensor:
        """Views [v, 3, T, H, W] -> logits [v, K], or, for feature_mean, features [v, D].

        Raises:
            UserError: the classifier does not see exactly one vector per view.
        """
        if self.average != FEATURE_MEAN:
            return model(clips)
        seen: list[Tensor] = []
        hook = self.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            model(clips)
        finally:
            hook.remove()
        shapes = [list(features.shape) for features in seen]
        if len(seen) != 1 or seen[0].dim() != 2 or len(seen[0]) != len(clips):
            raise UserError(
                f"The classifier got inputs of {shapes} for {len(clips)} views; feature_mean needs one vector per view, [{len(clips)}, D]."
                " Set CONFIG.TEST.AVERAGE logits_mean for this network."
            )
        return seen[0]

    def score(self, outputs: Tensor) -> Tensor:
        """All views of one video, [V, K] or [V, D] -> its score [K] float32."""
        if self.average == FEATURE_MEAN:
            return self.classifier(outputs.double().mean(0, keepdim=True).to(outputs.dtype))[0].float()
        return AVERAGES[self.average](outputs.double()).to(torch.float32)
