"""Work that goes on beside the training loop: one job at a time, whose error is raised where it is asked for."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Background:
    """Runs jobs in a thread, never two at once. A job that is under way when Python ends is waited for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vidrec-writer")
        self._job: Future[None] | None = None

    def start(self, job: Callable[..., None], *args: Any) -> None:
        """Begins a job, after the end of the one before. Raises the error of that one."""
        self.finish()
        self._job = self._thread.submit(job, *args)

    def finish(self) -> None:
        """Waits until nothing is under way. Raises the error of the last job, once."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    @property
    def failed(self) -> bool:
        """Whether the last job has ended with an error that nobody has got yet. Does not wait."""
        return self._job is not None and self._job.done() and self._job.exception() is not None
