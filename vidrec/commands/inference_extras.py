"""What `inference` writes beside its tables: timelines, annotated videos, and what streams and cameras show."""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.utils.say import show

if TYPE_CHECKING:
    from pathlib import Path

    from vidrec.data.annotations import VideoTable
    from vidrec.engine.progress import Countdown
    from vidrec.inference.predictor import Prediction, Predictor, Top
    from vidrec.inference.records import Records
    from vidrec.inference.timeline import Timeline

SHOWN_LIVE = 2  # classes in the line of a window
MAX_DRAWN = 20_000  # windows of a stream in its picture, the last ones: nearly three hours at 0.5 s


class Extras(NamedTuple):
    """What is asked for; `stride` and `window` in seconds, window 0 is what a clip spans; `all_crops`: of every window."""

    timeline: bool
    annotate: bool
    stride: float
    window: float
    all_crops: bool

    @property
    def asked(self) -> bool:
        """Whether videos are read once more, for these."""
        return self.timeline or self.annotate


def write_extras(
    model: "Predictor", found: "Prediction", table: "VideoTable", place: int, records: "Records", extras: Extras
) -> dict[str, Any]:
    """Writes what is asked for of the video at a place of a list, and returns what goes into its record. Raises VideoError, UserError."""
    if not extras.asked:
        return {}
    source, span, stem = table.source(place), table.span(place), records.name_of(found.path)
    record: dict[str, Any] = {}
    timeline = None
    if extras.timeline:
        out = records.folder / f"{stem}.timeline.csv"
        timeline = write_timeline(model, source, out, extras, span=span, shown_as=found.path)
        record["timeline"] = {"csv": out.name, "png": out.with_suffix(".png").name, "segments": timeline.segments()}
    if extras.annotate:
        out = records.folder / f"{stem}.mp4"
        record["annotated"] = out.name
        silent = write_annotated(model, source, out, found, timeline, span=span)
        if silent:
            show(f"{found.path}: {silent}")
            record["annotated_without_sound"] = silent
    return record


def write_timeline(model: "Predictor", source: str, out: "Path", extras: Extras, *, span: Any, shown_as: str) -> "Timeline":
    """Writes the csv row by row as windows come, then the PNG beside it. Raises VideoError where the video breaks off; the rows stay."""
    from vidrec.inference.timeline import Timeline, slide
    from vidrec.inference.timeline_plot import plot_timeline

    moments = slide(model, source, stride_s=extras.stride, window_s=extras.window, all_crops=extras.all_crops, span=span)
    seen = _Written(model, out, f"timeline of {out.name.split('.')[0]}")
    try:
        timeline = Timeline.of(shown_as, (seen.pass_on(moment) for moment in moments), model.class_names)
    finally:
        seen.close()
    plot_timeline(timeline, out.with_suffix(".png"))
    return timeline


class _Written:
    """Writes the moments that pass into a csv, and shows how far they are."""

    def __init__(self, model: "Predictor", out: "Path", title: str):
        from vidrec.inference.timeline import TimelineFile

        self._title, self._countdown = title, None
        self._file = TimelineFile(out, model.class_names)

    def pass_on(self, moment: Any) -> Any:
        self._file.add(moment)
        self._countdown = self._countdown or _countdown(moment.total, self._title, "window")
        self._countdown.advance()
        return moment

    def close(self) -> None:
        self._file.close()
        if self._countdown:
            self._countdown.close()


def write_annotated(model: "Predictor", source: str, out: "Path", found: "Prediction", timeline: "Timeline | None", *, span: Any) -> str:
    """Writes the video with its prediction, or that of the window at hand, drawn in; returns why it is silent, '' where it is not."""
    from vidrec.inference.annotate import annotate
    from vidrec.inference.caption import caption_of

    counted: list[Countdown] = []

    def tell(total: int) -> None:
        if not counted:
            counted.append(_countdown(total, f"writing {out.name}", "frame"))
        counted[0].advance()

    reading = model.pipeline.reading
    try:
        done = annotate(source, out, caption_of(model, found, timeline), reading=reading, span=span, tell=tell)
    finally:
        for countdown in counted:
            countdown.close()
    return done.silent


def watch_streams(model: "Predictor", streams: Sequence[str], records: "Records", extras: Extras, *, seconds: float) -> list[str]:
    """Watches streams one after the other and records each by the mean of its windows; returns those that could not be read."""
    from vidrec.inference.records import top_text
    from vidrec.utils.errors import VideoError

    failures = []
    for name in streams:
        seen = Seen(model, name, records)
        try:
            _watch(model, name, seen, extras, seconds=seconds)
        except KeyboardInterrupt:
            show(f"{name}: watching ends")
        except VideoError as error:
            show(f"{name}: CANNOT BE READ: {error}")
            failures.append(name)
            seen.failure = str(error)
        finally:
            seen.close()
        top = seen.top(records.top_k)
        if top:
            show(f"{name}: {top_text(top)} (mean of {seen.count} windows, {seen.left_out} left out)")
        records.add_row(name, top, failure=seen.failure, **seen.about)
    return failures


def _watch(model: "Predictor", name: str, seen: "Seen", extras: Extras, *, seconds: float) -> None:
    """Prints a line for every window of a stream. Windows that come while the network is busy are left out. Raises VideoError."""
    from vidrec.data.live import describe, live_windows, open_live
    from vidrec.data.windows import sliding
    from vidrec.inference.timeline import forward_windows
    from vidrec.utils.ahead import ahead

    source = open_live(name)
    try:
        show(f"{name}: {describe(source)}; Ctrl-C ends the watching")
        pipeline = sliding(model.pipeline, crops=model.pipeline.num_crops if extras.all_crops else 1)
        windows = live_windows(source, pipeline, name, stride_s=extras.stride, window_s=extras.window, seconds=seconds)
        for window in ahead(windows, 1, newest=True):
            seen.add(forward_windows(model, [window])[0], window.video.index)
    finally:
        source.close()


class Seen:
    """What was seen of a stream: the csv gets a row for every window, the PNG the last MAX_DRAWN of them."""

    def __init__(self, model: "Predictor", name: str, records: "Records"):
        self._model, self._name, self._csv = model, name, records.folder / f"{records.name_of(name)}.timeline.csv"
        self._file: Any = None
        self._last: deque[Any] = deque(maxlen=MAX_DRAWN)
        self._sum: Any = 0.0
        self.count, self.left_out, self.failure = 0, 0, ""

    def add(self, moment: Any, index: int) -> None:
        """A window; `index`: how many came before it."""
        from vidrec.engine.progress import duration_text
        from vidrec.inference.records import top_text
        from vidrec.inference.timeline import TimelineFile

        self._file = self._file or TimelineFile(self._csv, self._model.class_names)
        self._file.add(moment)
        self._last.append(moment)
        self._sum, self.count = self._sum + moment.probabilities.astype(float), self.count + 1
        self.left_out = index + 1 - self.count
        show(f"{duration_text(moment.stop_s)} {top_text(self._model.top(moment.probabilities, SHOWN_LIVE))}")

    def top(self, top_k: int) -> "list[Top]":
        """The leading classes by the mean of the windows; none where there was none."""
        return self._model.top(self._sum / self.count, top_k) if self.count else []

    @property
    def about(self) -> dict[str, Any]:
        """What goes into the record."""
        files = {"csv": self._csv.name, "png": self._csv.with_suffix(".png").name} if self.count else {}
        return {"windows": self.count, "windows_left_out": self.left_out, "timeline": files}

    def close(self) -> None:
        """Ends the csv and draws the PNG."""
        from vidrec.inference.timeline import Timeline
        from vidrec.inference.timeline_plot import plot_timeline

        if self.count:
            self._file.close()
            plot_timeline(Timeline.of(self._name, self._last, self._model.class_names), self._csv.with_suffix(".png"))


def _countdown(total: int, title: str, unit: str) -> "Countdown":
    from vidrec.engine.progress import Countdown

    return Countdown(total, title, unit=unit)
