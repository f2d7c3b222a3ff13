"""What a video shows as time goes by: the probabilities of windows that slide over it."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from vidrec.data.spans import Span
from vidrec.data.windows import Window, read_windows, sliding
from vidrec.engine.out_of_memory import naming_views
from vidrec.utils.ahead import ahead
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from vidrec.inference.predictor import Predictor


class Moment(NamedTuple):
    """The probabilities [K] float32 of one window, in seconds from the start of the video; `total`: windows of the video, 0 unknown."""

    start_s: float
    stop_s: float
    probabilities: np.ndarray
    total: int = 0


@dataclass(frozen=True, eq=False)
class Timeline:
    """The windows of a video.

    Attributes:
        path: of the video.
        starts, stops: [W] seconds.
        probabilities: [W, K] float32.
        class_names: [K].
    """

    path: str
    starts: np.ndarray
    stops: np.ndarray
    probabilities: np.ndarray
    class_names: list[str]

    @classmethod
    def of(cls, path: str, moments: Iterable[Moment], class_names: Sequence[str]) -> "Timeline":
        rows = list(moments)
        starts, stops = (np.array([getattr(row, name) for row in rows]) for name in ("start_s", "stop_s"))
        stacked = np.stack([row.probabilities for row in rows]) if rows else np.empty((0, len(class_names)), np.float32)
        return cls(path, starts, stops, stacked, list(class_names))

    @property
    def middles(self) -> np.ndarray:
        """[W] seconds."""
        return (self.starts + self.stops) / 2

    def top_labels(self, count: int) -> list[int]:
        """The classes that are the most probable one in most windows, then those that reach the highest probabilities, best first."""
        led = np.bincount(self.probabilities.argmax(1), minlength=len(self.class_names))
        return np.lexsort((-self.probabilities.max(0), -led))[:count].tolist()

    def at(self, second: float) -> np.ndarray:
        """[K] probabilities of the window whose middle is nearest to a moment."""
        return self.probabilities[int(np.abs(self.middles - second).argmin())]

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        """Example: `Timeline(a.mp4: 24 windows over 0:00:12; archery 0.0 to 8.0 s, bowling 8.0 to 12.0 s)`"""
        from vidrec.engine.progress import duration_text

        length = duration_text(float(self.stops[-1])) if len(self) else "0:00:00"
        parts = [f"{name} {start:.1f} to {stop:.1f} s" for name, start, stop in self.segments()[:5]]
        more = ", ..." if len(self.segments()) > 5 else ""
        return f"Timeline({self.path}: {len(self)} windows over {length}; {', '.join(parts)}{more})"

    def segments(self) -> list[tuple[str, float, float]]:
        """(class, start, stop in seconds) of each stretch in which one class is the most probable; stretches meet between windows."""
        best = self.probabilities.argmax(1) if len(self) else np.empty(0, int)
        changes = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
        middles, found = self.middles, []
        for first, after in pairwise(changes):
            if first == after:
                continue
            start = 0.0 if first == 0 else float(middles[first - 1 : first + 1].mean())
            stop = float(self.stops[-1]) if after == len(best) else float(middles[after - 1 : after + 1].mean())
            found.append((self.class_names[int(best[first])], start, stop))
        return found


def slide(
    model: "Predictor",
    path: str | Path,
    *,
    stride_s: float = 0.5,
    window_s: float = 0.0,
    all_crops: bool = False,
    span: Span | None = None,
) -> Iterator[Moment]:
    """The windows of a video one after the other, decoded in a thread while the network works; any length in bounded memory.

    Args:
        stride_s: seconds from window to window.
        window_s: seconds of a window; 0: what one clip of the network spans.
        all_crops: every crop of a test, and not the one of the middle.
        span: the part of the video.

    Raises:
        VideoError: the video cannot be read, at once or on the way.
        UserError: stride_s or window_s cannot be.
    """
    check_stride(stride_s, window_s)
    pipeline = sliding(model.pipeline, crops=model.pipeline.num_crops if all_crops else 1)
    windows = read_windows(path, pipeline, stride_s=stride_s, window_s=window_s, span=span)
    return moments(model, ahead(windows, count=2 * model.views_per_batch))


def check_stride(stride_s: float, window_s: float) -> None:
    """Raises UserError for a stride or a window that cannot be, in seconds."""
    if not (0 < stride_s < float("inf") and 0 <= window_s < float("inf")):
        raise UserError(
            f"The stride is {stride_s:g} s and the window {window_s:g} s; the stride must be above 0, the window 0 (one clip) or above."
            " Give such numbers."
        )


def moments(model: "Predictor", windows: Iterable[Window]) -> Iterator[Moment]:
    """The probabilities of windows, several of them in one forward pass."""
    group: list[Window] = []
    for window in windows:
        group.append(window)
        if sum(len(member.video.views) for member in group) >= model.views_per_batch:
            yield from forward_windows(model, group)
            group = []
    if group:
        yield from forward_windows(model, group)


@torch.inference_mode()
def forward_windows(model: "Predictor", group: Sequence[Window]) -> list[Moment]:
    """The probabilities of some windows, in as few forward passes as can be."""
    videos = [window.video for window in group]
    with naming_views(videos, views=model.views_per_batch, device=model.device):
        outputs = model.view_outputs(videos)
    found = []
    for window, views in zip(group, outputs, strict=True):
        probabilities = model.average.probabilities(model.average.score(views), len(views))
        found.append(Moment(window.start_s, window.stop_s, probabilities.float().cpu().numpy(), window.total))
    return found


class TimelineFile:
    """A csv that gets a row for every window as it comes: its seconds, the most probable class, and the probability of every class.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, out: Path, class_names: Sequence[str]):
        self._out, self._names = out, class_names
        try:
            self._file = out.open("w", encoding="utf-8", newline="", buffering=1)
        except OSError as error:
            raise self._refusal(error) from error
        self._write(["start_s", "stop_s", "class", *class_names])

    def add(self, moment: Moment) -> None:
        best = self._names[int(moment.probabilities.argmax())]
        self._write([f"{moment.start_s:.3f}", f"{moment.stop_s:.3f}", best, *(f"{p:.6g}" for p in moment.probabilities)])

    def close(self) -> None:
        self._file.close()

    def _write(self, cells: Sequence[str]) -> None:
        try:
            csv.writer(self._file, lineterminator="\n").writerow(cells)
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> UserError:
        return UserError(f"{self._out} cannot be written ({error.strerror or error}); choose another folder with --out, or make room.")
