"""What one process of a test has found so far."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Part:
    """A row per video; score, and what ByViews keeps, are None where it could not be read."""

    indices: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    scores: list[np.ndarray | None] = field(default_factory=list)
    by_views: list[np.ndarray | None] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, index: int, label: int, score: np.ndarray | None, by_views: np.ndarray | None = None, *, reason: str = "") -> None:
        self.indices.append(index)
        self.labels.append(label)
        self.scores.append(score)
        self.by_views.append(by_views)
        if score is None:
            self.reasons[index] = reason

    def keep(self, wanted: set[int]) -> "Part":
        """The rows of some videos, each once."""
        kept, left = Part(), set(wanted)
        for row in zip(self.indices, self.labels, self.scores, self.by_views, strict=True):
            if row[0] in left:
                left.remove(row[0])
                kept.add(*row, reason=self.reasons.get(row[0], ""))
        return kept
