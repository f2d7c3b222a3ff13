"""For benchmark_data: the lines of its table, each a ratio of CPU times with the bar that it is held to."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vidrec.commands import benchmark_loader, benchmark_views
from vidrec.utils.errors import UserError

ONCE, PER_VIEW = "one decode of their frames", "decode once per view"
FLOOR = (
    "one decode alone, the line below it, is over the bar already, and no pipeline goes below that; docs/performance.md counts the frames "
    "and says what would change it"
)


class Ratio(NamedTuple):
    """A line: two medians in milliseconds of CPU, and the median of the ratios of single runs."""

    work: str
    over: str
    work_ms: float
    over_ms: float
    ratio: float
    bar: float | None = None  # the most that the ratio should be; None: it is stated only
    why: str = ""  # what is said where the bar is missed

    @property
    def met(self) -> bool | None:
        return None if self.bar is None else self.ratio <= self.bar


def make_ratio(work: str, over: str, times: Sequence[tuple[float, float]], bar: float | None = None, why: str = "") -> Ratio:
    """The line of what was measured: seconds of both sides, once a run."""
    work_ms, over_ms = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    return Ratio(work, over, work_ms, over_ms, statistics.median(first / second for first, second in times), bar, why)


def sample_line(dataset: Any, videos: Sequence[Path], repeats: int) -> Ratio:
    """A training sample over its decode by the default reader."""
    return make_ratio("training sample", "decode of its frames", _sample_times(dataset, videos, repeats), 1.15)


def decord_line(dataset: Any, videos: Sequence[Path], repeats: int) -> Ratio | str:
    """The same with decord, or why there is no such line."""
    try:
        times = _sample_times(dataset, videos, repeats)
    except UserError as error:  # it is not installed
        return f"no line for decord: {error}"
    return make_ratio("training sample, by decord", "decode of its frames, by decord", times, 1.25)


def view_lines(dataset: Any, videos: Sequence[Path], repeats: int, *, views_per_batch: int) -> list[Ratio]:
    """All views of a test over one decode and over a decode for each, and their normalization."""
    times = _view_times(dataset, videos, repeats, per_view=True, views_per_batch=views_per_batch)
    views = f"{num_views(dataset)} views"
    return [
        make_ratio(f"{views}, uint8", ONCE, [(run.prepared, run.once) for run in times], 1.15),
        make_ratio(f"{views}, uint8", PER_VIEW, [(run.prepared, run.per_view) for run in times], 0.05, FLOOR),
        make_ratio(ONCE, PER_VIEW, [(run.once, run.per_view) for run in times]),
        make_ratio(f"normalization of {views}", ONCE, [(run.normalized, run.once) for run in times]),
    ]


def ten_crop_lines(dataset: Any, videos: Sequence[Path], repeats: int, *, views_per_batch: int) -> list[Ratio]:
    """The 250 views, half of them mirrored, over one decode, and their normalization."""
    times = _view_times(dataset, videos, repeats, per_view=False, views_per_batch=views_per_batch)
    views = f"{num_views(dataset)} ten-crop views"
    return [
        make_ratio(f"{views}, uint8", ONCE, [(run.prepared, run.once) for run in times], 1.3),
        make_ratio(f"normalization of {views}", ONCE, [(run.normalized, run.once) for run in times]),
    ]


def resize_line(video: Path, num_frames: int, repeats: int) -> Ratio:
    """The resize inside the decode of a large video."""
    times = [benchmark_views.time_resize(video, num_frames) for _ in range(repeats)]
    work = f"decode of 1280x720, resized to short side {benchmark_views.SHORT_SIDE}"
    return make_ratio(work, "decode of 1280x720", times)


def moving_line(dataset: Any, repeats: int) -> Ratio:
    """The share of moving in the work on a training batch."""
    times = [benchmark_loader.time_moving(dataset, batch) for batch in range(repeats)]
    return make_ratio(f"moving {benchmark_loader.BATCH} clips to another process", "preparing and moving them", times)


def num_views(dataset: Any) -> int:
    return dataset.protocol()["num_views"]


def _sample_times(dataset: Any, videos: Sequence[Path], repeats: int) -> list[tuple[float, float]]:
    benchmark_views.time_sample(dataset, 0, 0, videos[0])  # the first run pays for imports
    return [benchmark_views.time_sample(dataset, repeat, *video) for repeat in range(repeats) for video in enumerate(videos)]


def _view_times(
    dataset: Any, videos: Sequence[Path], repeats: int, *, per_view: bool, views_per_batch: int
) -> list[benchmark_views.ViewTimes]:
    benchmark_views.time_views(dataset, 0, videos[0], per_view=False, views_per_batch=views_per_batch)  # the first run pays for imports
    return [
        benchmark_views.time_views(dataset, index, path, per_view=per_view, views_per_batch=views_per_batch)
        for _ in range(repeats)
        for index, path in enumerate(videos)
    ]
