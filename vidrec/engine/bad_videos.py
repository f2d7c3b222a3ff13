"""Videos that training could not read: each said once, and too many of them stop the run."""

from collections.abc import Iterable
from typing import Protocol

from vidrec.engine.log import logger
from vidrec.utils.dist import all_gather_objects
from vidrec.utils.errors import DataError

LISTED = 20  # paths that the error names


class Failure(Protocol):
    """A video that could not be read, and why."""

    path: str
    reason: str


class BadVideos:
    """Counts the distinct videos that could not be read.

    Args:
        num_videos: length of the training list.
        max_share: the run stops when more than this share of the list cannot be read, 0 to 1.
    """

    def __init__(self, *, num_videos: int, max_share: float):
        self._num_videos, self._max_share = num_videos, max_share
        self._reasons: dict[str, str] = {}

    @property
    def reasons(self) -> dict[str, str]:
        """Path -> why it could not be read, of all processes since the last `share` and of this one since then."""
        return dict(self._reasons)

    def add(self, failures: Iterable[Failure]) -> None:
        """Takes the failures of a batch. Raises DataError when this process alone has seen too many."""
        for failure in failures:
            if failure.path not in self._reasons:
                logger.warning("%s Another video takes its place.", _text(failure.path, failure.reason))
            self._reasons[failure.path] = failure.reason
        self._check()

    def share(self) -> None:
        """Brings the findings of all processes together; every process must call it. Raises DataError when there are too many."""
        for reasons in all_gather_objects(self._reasons):
            self._reasons |= reasons
        self._check()

    def state_dict(self) -> dict[str, str]:
        """The findings of all processes, by path; every process must call it."""
        self.share()
        return dict(self._reasons)

    def load_state_dict(self, state: dict[str, str]) -> None:
        self._reasons = dict(state)

    def _check(self) -> None:
        count = len(self._reasons)
        if count <= self._max_share * self._num_videos:
            return
        rows = [f"  - {_text(path, reason)}" for path, reason in sorted(self._reasons.items())[:LISTED]]
        if count > LISTED:
            rows.append(f"  - and {count - LISTED} more")
        head = (
            f"{count} of {self._num_videos} training videos cannot be read; CONFIG.DATA.MAX_BAD_SHARE allows {self._max_share:g} of them. "
            "Mend them, take them off the list, or allow more:"
        )
        raise DataError("\n".join([head, *rows]))


def _text(path: str, reason: str) -> str:
    """One sentence that names the path; most reasons do."""
    return reason if path in reason else f"{path} cannot be read: {reason}."
