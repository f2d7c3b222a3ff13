"""The values that the keys of INFERENCE may take, and what they demand of each other."""

from collections.abc import Iterator
from typing import Any

from yacs.config import CfgNode

from vidrec.config.rule import Rule, at_least, one_of

_INFERENCE = "CONFIG.INFERENCE."


def _names_files(entry: Any) -> bool:
    if isinstance(entry, str):
        return bool(entry)
    return isinstance(entry, int) and not isinstance(entry, bool) and entry >= 1


INFERENCE_RULES: dict[str, Rule] = {
    f"{_INFERENCE}CHECKPOINTS": Rule(
        lambda entries: all(map(_names_files, entries)), "a list of files, patterns of files or numbers of epochs from 1: [best.pth, 9]"
    ),
    f"{_INFERENCE}COMBINE": one_of("scores", "weights"),
    f"{_INFERENCE}BN_BATCHES": at_least(0),
}


def inference_rules(config: CfgNode) -> Iterator[tuple[list[str], str]]:
    """(the keys in play, what is wrong) for every rule that is broken."""
    inference = config.INFERENCE
    if inference.BN_BATCHES and (inference.COMBINE != "weights" or not inference.CHECKPOINTS):
        named = "some" if inference.CHECKPOINTS else "none"
        yield [f"{_INFERENCE}{key}" for key in ("BN_BATCHES", "COMBINE", "CHECKPOINTS")], (
            f"CONFIG.INFERENCE.BN_BATCHES is {inference.BN_BATCHES} with COMBINE {inference.COMBINE} and {named} in CHECKPOINTS; only"
            " averaged weights need new statistics: set it 0, or COMBINE weights and name CHECKPOINTS."
        )
