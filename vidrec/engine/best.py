"""Which validation is the best so far, and whether it is worth going on."""

from dataclasses import dataclass, field
from typing import Any

from vidrec.engine.metric_lines import is_better, metric_text


@dataclass
class BestWatch:
    """Compares each validation with the best before it, and counts those that were no better.

    Attributes:
        metric: the number of a validation that is compared: a name of METRIC_NAMES, with `ema_` before it of the average of the weights.
        patience: validations in a row without a better one after which training ends; 0: it never does.
        stale: such validations so far. In checkpoints, so that a resumed run goes on counting.
    """

    metric: str = "top1"
    patience: int = 0
    stale: int = field(default=0, init=False)

    @property
    def text(self) -> str:
        """Example: `mAP`; `top-1 of the average`"""
        return metric_text(self.metric)

    def improved(self, value: float, best: float | None) -> bool:
        """Whether a validation with this value is better than the best before it, and takes note of it. Equal is not better."""
        better = is_better(self.metric, value, best)
        self.stale = 0 if better else self.stale + 1
        return better

    def exhausted(self, best: float | None) -> bool:
        """Whether training is to end; not before the run has a best."""
        return best is not None and 0 < self.patience <= self.stale

    def state_dict(self) -> dict[str, Any]:
        return {"metric": self.metric, "stale": self.stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stale = state["stale"]
