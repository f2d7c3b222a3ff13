"""From the views of a video to its score: what is averaged, by name, in float64."""

from torch import Tensor, nn

from vidrec.utils.errors import UserError

FEATURE_MEAN = "feature_mean"
AVERAGES = ("logits_mean", "prob_mean", "prob_sum", FEATURE_MEAN)


class ViewAverage:
    """What a network gives for each view, and the score of a video that comes of it.

    Args:
        average: logits_mean; prob_mean or prob_sum: of the probabilities of each view; feature_mean: of the vectors that enter the
            classifier, which is then applied once. For a linear classifier in eval mode that is the mean of the logits, since a mean
            and a linear map can change places.
        classifier: the network's last layer; feature_mean needs it.
        sigmoid: probabilities are those of each class by itself (the network was trained so), and not the softmax.

    Raises:
        UserError: feature_mean without a classifier.
    """

    def __init__(self, average: str, classifier: nn.Module | None = None, *, sigmoid: bool = False):
        if average not in AVERAGES:
            raise ValueError(f"average is {average!r}; it must be one of {', '.join(AVERAGES)}.")
        if average == FEATURE_MEAN and classifier is None:
            raise UserError(
                "CONFIG.TEST.AVERAGE is feature_mean and the network's head has no layer `fc`; it must be its classifier."
                " Set CONFIG.TEST.AVERAGE logits_mean, or name the head's last layer so."
            )
        self.average, self.classifier, self.sigmoid = average, classifier, sigmoid

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
        logits = outputs.double()
        if self.average == "logits_mean":
            return logits.mean(0).float()
        probabilities = logits.sigmoid() if self.sigmoid else logits.softmax(1)
        return (probabilities.mean(0) if self.average == "prob_mean" else probabilities.sum(0)).float()

    def probabilities(self, scores: Tensor, num_views: int) -> Tensor:
        """The probability of each class, [..., K] float64, that scores [..., K] of videos with so many views mean."""
        scores = scores.double()
        if self.average in ("prob_mean", "prob_sum"):
            return (scores / (num_views if self.average == "prob_sum" else 1)).clamp(0.0, 1.0)
        return scores.sigmoid() if self.sigmoid else scores.softmax(-1)

    def view_logits(self, outputs: Tensor) -> Tensor:
        """What `outputs` gave, as the logits of each view, [V, K]."""
        return self.classifier(outputs) if self.average == FEATURE_MEAN else outputs

    @property
    def scores_are(self) -> str:
        """What a video's score holds, in words: `logits`, `softmax probabilities`, `sums of sigmoid probabilities` ..."""
        kind = f"{'sigmoid' if self.sigmoid else 'softmax'} probabilities"
        return {"prob_mean": kind, "prob_sum": f"sums of {kind}"}.get(self.average, "logits")
