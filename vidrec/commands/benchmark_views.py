"""For benchmark_data: the CPU time of samples, views and decodes, and whether the pixels of views are the right ones."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vidrec.utils.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from vidrec.data.decoders.reading import ReadOptions, Size
    from vidrec.data.multiview import EvalVideo
    from vidrec.data.views import ViewGrid

SHORT_SIDE = 256  # pixels, of the resize that is measured by itself

PREFIX = "recording_"  # of the names under which the recording readers are registered

# The frame indices that the pipelines asked for, in the order of the calls.
ASKED: list[np.ndarray] = []


class RecordingReader:
    """The reader of `decoder`, with the indices asked for kept in ASKED; so the pipelines are measured as they are."""

    decoder = "auto"

    def __init__(self, path: str, reading: "ReadOptions", size: "Size | None"):
        from vidrec.data.decoders import open_video

        self._reader = open_video(path, self.decoder, reading, size=size)
        self.fps = self._reader.fps

    def __len__(self) -> int:
        return len(self._reader)

    def get_frames(self, indices: np.ndarray) -> "Tensor":
        ASKED.append(indices)
        return self._reader.get_frames(indices)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> "RecordingReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class RecordingDecord(RecordingReader):
    decoder = "decord"


RECORDING = {"auto": RecordingReader, "decord": RecordingDecord}


class ViewTimes(NamedTuple):
    """CPU seconds of one test video. `per_view` is None where that was not asked for."""

    prepared: float  # read, resized and cut into all views, as uint8
    normalized: float  # these views made into batches of floats
    once: float  # one decode of the frames that the views need
    per_view: float | None  # a decode for each view


def recording(decoder: str) -> str:
    """The name under which the recording reader of a decoder can be given as CONFIG.DATA.DECODER."""
    from vidrec.data.decoders.base import DECODERS

    DECODERS.register(PREFIX + decoder, f"{__name__}:{RECORDING[decoder].__name__}")
    return PREFIX + decoder


def read_video(dataset: Any, index: int, path: Path) -> "EvalVideo":
    """A test video. Raises DataError where it cannot be read."""
    video = dataset[index]
    if video.failure is not None:
        raise DataError(f"{path} cannot be measured: {video.failure.reason} Leave it out of --videos.")
    return video


def time_sample(dataset: Any, epoch: int, index: int, path: Path) -> tuple[float, float]:
    """CPU seconds of one training sample, and of decoding its frames alone, by the dataset's reader."""
    from vidrec.data.samplers import SampleKey

    ASKED.clear()
    seconds = cpu_seconds(lambda: dataset[SampleKey(epoch, index, index)])
    frames, decoder = np.concatenate(ASKED), dataset.pipeline.decoder.removeprefix(PREFIX)
    return seconds, cpu_seconds(lambda: _decode(path, frames, decoder))


def time_views(dataset: Any, index: int, path: Path, *, per_view: bool, views_per_batch: int) -> ViewTimes:
    """The times of one test video.

    Args:
        per_view: decode for each view anew too.
        views_per_batch: how many views are normalized into one batch, as in a test.
    """
    views: list[Tensor] = []
    clips = _clips(dataset, path)
    prepared = cpu_seconds(lambda: views.extend(_views(read_video(dataset, index, path))))
    once = cpu_seconds(lambda: _decode(path, np.unique(clips)))
    normalized = cpu_seconds(lambda: _normalize(views, views_per_batch))
    return ViewTimes(prepared, normalized, once, cpu_seconds(lambda: [_decode(path, clip) for clip in clips]) if per_view else None)


def time_resize(path: Path, num_frames: int) -> tuple[float, float]:
    """CPU seconds of decoding frames with a resize to SHORT_SIDE, and without."""
    from vidrec.data.views import resize_size

    def small(height: int, width: int) -> tuple[int, int]:
        return resize_size(height, width, SHORT_SIDE)

    def decode(size: "Size | None") -> None:
        from vidrec.data.decoders import open_video
        from vidrec.data.pipelines import decoded_parts

        with open_video(path, size=size) as reader:
            for _ in decoded_parts(reader, np.arange(num_frames)):
                pass

    return cpu_seconds(lambda: decode(small)), cpu_seconds(lambda: decode(None))


def differing_views(dataset: Any, index: int, path: Path) -> list[int]:
    """The views of a test video that do not equal, in every pixel, those that are made from a decode of their own each."""
    from vidrec.data.decoders import open_video

    video, differing = read_video(dataset, index, path), []
    for view, (found, clip) in enumerate(zip(_views(video), _clips(dataset, path), strict=True)):
        with open_video(path) as reader:
            expected = _view_alone(reader.get_frames(clip).numpy(), video.views, view, size=tuple(video.frames.shape[1:3]))
        if found.shape != expected.shape or (found.numpy() != expected).any():
            differing.append(view)
    return differing


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time that this process, all its threads together, spends on `work`."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _clips(dataset: Any, path: Path) -> np.ndarray:
    """[V, T] frames of the file in each view of a test video."""
    from vidrec.data.decoders import open_video
    from vidrec.data.pipelines import part_of

    pipeline = dataset.pipeline
    with open_video(path) as reader:
        first, video = part_of(reader, None, str(path), with_times=pipeline.target_fps > 0)
    return np.repeat(first + pipeline.choose_frames(video), pipeline.num_crops, axis=0)


def _views(video: "EvalVideo") -> "list[Tensor]":
    """Every view, as a test takes them."""
    from vidrec.data.transforms import VideoViews

    return list(VideoViews(video.frames, video.views))


def _normalize(views: "Sequence[Tensor]", views_per_batch: int) -> None:
    from vidrec.data.transforms import normalize_views

    for start in range(0, len(views), views_per_batch):
        normalize_views(views[start : start + views_per_batch], (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _decode(path: Path, frames: np.ndarray, decoder: str = "auto") -> None:
    from vidrec.data.decoders import open_video

    with open_video(path, decoder) as reader:
        reader.get_frames(frames)


def _view_alone(frames: np.ndarray, grid: "ViewGrid", view: int, *, size: tuple[int, int]) -> np.ndarray:
    """A view [T, h, w, 3] of the decoded frames [T, H, W, 3] of its clip."""
    from vidrec.data.transforms import resize_clip

    y0, y1, x0, x1 = grid.boxes[view]
    cut = resize_clip(frames, *size)[:, y0:y1, x0:x1]
    return cut[:, :, ::-1] if grid.flips is not None and grid.flips[view] else cut
