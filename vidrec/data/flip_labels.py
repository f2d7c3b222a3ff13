"""Classes that change places where a clip is mirrored, such as "push left" and "push right"."""

import logging
import re
from collections.abc import Sequence

from vidrec.utils.errors import ConfigError
from vidrec.utils.text import did_you_mean


def flip_labels(pairs: Sequence[Sequence[int | str]], names: list[str] | None, *, num_classes: int, flip_prob: float) -> dict[int, int]:
    """Label -> label of the mirrored clip, both ways; labels that stay are left out.

    Args:
        pairs: CONFIG.DATA.FLIP_LABEL_MAP, labels or names of classes.
        names: of the classes, in the order of the labels; None: unknown.
        flip_prob: with no pairs and a probability above 0, names that say left or right are warned of.

    Raises:
        ConfigError: a label that is no class, or one that is in two pairs; with every mistake.

    Example: [[0, 1]] -> {0: 1, 1: 0}
    """
    found: dict[int, int] = {}
    mistakes = []
    if not pairs:
        _warn_of_sides(names or [], flip_prob)
    for pair in pairs:
        labels = [label if isinstance(label, int) else _label_of(label, names) for label in pair]
        wrong = [name for name, label in zip(pair, labels, strict=True) if label is None or not 0 <= label < num_classes]
        if wrong:
            hint = did_you_mean(str(wrong[0]), names or ())
            allowed = f"a label in [0, {num_classes}) or a name of CONFIG.DATA.CLASS_NAMES"
            mistakes.append(f"CONFIG.DATA.FLIP_LABEL_MAP has {wrong[0]!r}; it must be {allowed}. Correct it.{hint}")
        elif labels[0] == labels[1] or found.keys() & set(labels):
            mistakes.append(f"CONFIG.DATA.FLIP_LABEL_MAP has {list(pair)!r}; a class changes places with one other. Take the pair out.")
        else:
            found |= {labels[0]: labels[1], labels[1]: labels[0]}
    if mistakes:
        raise ConfigError(mistakes)
    return found


def _warn_of_sides(names: list[str], flip_prob: float) -> None:
    sided = [name for name in names if {"left", "right"} & set(re.split(r"[\W_]+", name.lower()))]
    if sided and flip_prob:
        logging.getLogger("vidrec").warning(
            f"{len(sided)} of the class names say left or right, first {sided[0]!r}, and CONFIG.DATA.FLIP_PROB is {flip_prob}; a flipped "
            "clip keeps its label. Set it 0, or write the pairs that change places into CONFIG.DATA.FLIP_LABEL_MAP."
        )


def _label_of(name: str, names: list[str] | None) -> int | None:
    return names.index(name) if names and name in names else None
