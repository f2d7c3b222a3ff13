"""What a value must fulfil, and the words for it: the makers of the tables of rules."""

from collections.abc import Callable
from typing import Any, NamedTuple

INFINITY = float("inf")


class Rule(NamedTuple):
    """What a value must fulfil, and the words for it (`at least 1 frame`)."""

    holds: Callable[[Any], bool]
    allowed: str


def at_least(low: float, unit: str = "") -> Rule:
    return Rule(lambda value: value >= low, f"at least {low} {unit}".rstrip())


def above(low: float) -> Rule:
    return Rule(lambda value: value > low, f"above {low}")


def within(low: float, high: float) -> Rule:
    return Rule(lambda value: low <= value <= high, f"from {low} to {high}")


def one_of(*choices: str) -> Rule:
    return Rule(lambda value: value in choices, "one of " + ", ".join(choices))


def only(value: Any, why: str) -> Rule:
    return Rule(lambda given: given == value, f"{value}: {why}")


def number_range(low: float, high: float, *, above: bool = False) -> Rule:
    """Two numbers from `low` to `high` in rising order; `above`: `low` itself is too low."""
    words = f"two numbers {'above' if above else 'from'} {low}{f' to {high}' if high != INFINITY else ''} in rising order"
    return Rule(lambda r: len(r) == 2 and low <= r[0] <= r[1] <= high and not (above and r[0] == low), words)


RISING_EPOCHS = Rule(lambda epochs: all(a < b for a, b in zip([0, *epochs], epochs, strict=False)), "epochs from 1 in rising order")
