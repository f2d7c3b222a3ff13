"""Small text helpers shared by error messages."""

import difflib
import re
from collections.abc import Iterable

FRAME_TEMPLATE = re.compile(r"([^%/\\]*)%(?:0\d+)?d([^%/\\]*)")  # a file name with one place for a number, and what stands around it


def close_matches(word: str, names: Iterable[str], count: int = 3) -> list[str]:
    """The names most like `word`, best first, whatever their case; empty when none is close."""
    by_lower = {name.lower(): name for name in names}
    return [by_lower[match] for match in difflib.get_close_matches(word.lower(), by_lower, n=count, cutoff=0.6)]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """` Did you mean 'a' or 'b'?` (with a blank in front), or '' when no name is close."""
    matches = close_matches(word, names)
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
