"""Items that are made in a thread while the ones before are used."""

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
_END = object()
END_LIMIT = 5.0  # seconds that an item under way is waited for at the end; a stream that hangs is left behind


def ahead(items: Iterable[Item], count: int = 2, *, newest: bool = False) -> Iterator[Item]:
    """The items in their order, at most `count` of them made ahead; an error comes out where its item would have.

    For work that leaves Python's lock alone, such as decoding. Where the iterator is left early, the thread ends at its next item.

    Args:
        newest: items do not wait to be used; where `count` of them do, the oldest is dropped. For what goes on whether it is used or not.
    """
    maker = _Maker(items, count, newest)
    thread = threading.Thread(target=maker.work, daemon=True, name="vidrec-ahead")
    thread.start()
    try:
        while True:
            item, error = maker.made.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        maker.stop.set()
        thread.join(END_LIMIT)


class _Maker:
    """What the thread does: (item, None) into a queue for every item, then (_END, the error or None)."""

    def __init__(self, items: Iterable[Any], count: int, newest: bool):
        self._items, self._newest = items, newest
        self.made: queue.Queue = queue.Queue(count)
        self.stop = threading.Event()

    def work(self) -> None:
        error = None
        try:
            for item in self._items:
                self._put((item, None), wait=not self._newest)
                if self.stop.is_set():
                    return
        except BaseException as raised:  # whatever it is, it is raised by the one who waits for the item
            error = raised
        self._put((_END, error), wait=True)

    def _put(self, entry: tuple[Any, BaseException | None], *, wait: bool) -> None:
        """Waits for room, or makes some; gives up where nobody waits for the entry any more."""
        while not self.stop.is_set():
            try:
                self.made.put(entry, block=wait, timeout=0.1)
                return
            except queue.Full:
                if not wait:
                    with suppress(queue.Empty):  # it has been taken meanwhile
                        self.made.get_nowait()
