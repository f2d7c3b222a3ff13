"""Many files at once, with a progress bar; and whether a video's header can be read."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

Task, Result = TypeVar("Task"), TypeVar("Result")


def for_each(function: Callable[[Task], Result], tasks: Sequence[Task], *, workers: int, title: str) -> list[Result]:
    """The results of a function for each task, in the order of the tasks; an error ends the rest.

    Threads: the work is done by FFmpeg, in processes of its own or without Python's lock.
    """
    from tqdm import tqdm

    pool = ThreadPoolExecutor(max(1, workers))
    try:
        futures = [pool.submit(function, task) for task in tasks]
        for future in tqdm(as_completed(futures), total=len(futures), desc=title, unit="file", mininterval=0.5):
            future.result()
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def header_problem(path: str) -> str:
    """Why a file's header does not read as that of a whole video; '' where it does. Frames are not decoded."""
    from vidrec.data.decoders.av_open import av_open
    from vidrec.data.doctor.examine import bytes_cut_off

    try:
        size = os.path.getsize(path)
        if size == 0:
            return "it is empty (0 bytes)"
        with av_open(f"file:{os.path.abspath(path)}") as container:
            if not container.streams.video:
                return "it has no video stream"
            stream = container.streams.video[0]
            if stream.codec_context is None or not stream.codec_context.width or not stream.codec_context.height:
                return "its picture size is unknown"
            missing = bytes_cut_off(stream, size)
            return f"the file ends {missing:,} bytes before its last packet" if missing else ""
    except (OSError, ValueError) as error:  # PyAV's errors are of these classes
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
