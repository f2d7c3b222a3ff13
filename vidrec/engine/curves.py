"""Points of a run's curves."""

from collections.abc import Sequence
from typing import NamedTuple

MOST = 1000  # points of a curve: neighbours are averaged


class Point(NamedTuple):
    """A number after so many epochs."""

    epochs: float
    value: float


def thinned(points: Sequence[Point], most: int = MOST) -> list[Point]:
    """At most so many points, each the mean of as many neighbours. Example: 5 points, at most 3 -> means of 2, 2 and 1"""
    size = -(-len(points) // most)
    groups = [points[start : start + size] for start in range(0, len(points), size)] if size > 1 else [[point] for point in points]
    return [Point(*(sum(numbers) / len(group) for numbers in zip(*group, strict=True))) for group in groups]


def different(curves: dict[str, list[Point]]) -> dict[str, list[Point]]:
    """The curves without those that are the same as an earlier one, such as the learning rates of groups."""
    kept: dict[str, list[Point]] = {}
    for name, points in curves.items():
        if points not in kept.values():
            kept[name] = points
    return kept
