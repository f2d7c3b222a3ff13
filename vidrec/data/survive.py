"""Reading on after a video that ends its loader process: that video counts as one that cannot be read."""

import os
from collections.abc import Callable, Iterator, Sequence

from vidrec.data.annotations import VideoTable
from vidrec.data.loaders import LoaderDied, VideoLoader
from vidrec.data.multiview import EvalVideo, Failure, failed_video
from vidrec.data.watch import SLOT


def surviving(loading: Callable[[Sequence[int]], VideoLoader], table: VideoTable) -> Iterator[EvalVideo]:
    """Every video of a list once, in its order, over as many loaders as it takes.

    Args:
        loading: from places in the list to the loader of those videos.

    Raises:
        LoaderDied: a process ended between two videos, so that no video can be blamed.
    """
    done, fatal = 0, {}
    while done < len(table):
        rest = _Places(done, len(table), fatal)
        loader = loading(rest)
        videos = iter(loader)
        try:
            while done < len(table):
                yield failed_video(done, table, fatal[done]) if done in fatal else next(videos)
                done += 1
        except LoaderDied as death:
            ahead = range(done, min(len(table), done + 1 + 4 * max(loader.num_workers, 1)))
            place = next((place for place in ahead if place not in fatal and _same(table.path(place), death.path)), None)
            if place is None:
                raise
            fatal[place] = Failure(table.path(place), f"{table.path(place)} cannot be read: its loader process {death.reason}.")


def _same(path: str, kept: str) -> bool:
    """Whether a path is the one that a loader process was reading, of which only so much is kept."""
    return bool(kept) and os.fsencode(path)[-SLOT:] == os.fsencode(kept)


class _Places(Sequence):
    """The places from `start` to `stop` without those that are fatal; ten million of them take no memory."""

    def __init__(self, start: int, stop: int, fatal: dict[int, Failure]):
        self._start, self._stop, self._fatal = start, stop, frozenset(fatal)

    def __len__(self) -> int:
        return self._stop - self._start - sum(self._start <= place < self._stop for place in self._fatal)

    def __iter__(self) -> Iterator[int]:
        return (place for place in range(self._start, self._stop) if place not in self._fatal)

    def __getitem__(self, place):
        raise TypeError("the places are walked through, not looked up")
