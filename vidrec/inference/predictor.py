"""A network that predicts what videos show."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from vidrec.data.annotations import VideoTable
from vidrec.data.loaders import VideoLoader, make_loader, worker_count
from vidrec.data.multiview import EvalVideo, Failure
from vidrec.data.remote import table_of
from vidrec.data.survive import surviving
from vidrec.engine.averages import ViewAverage
from vidrec.engine.out_of_memory import naming_views
from vidrec.engine.precision import MemoryFormat, PrecisionName
from vidrec.engine.tester import Tester
from vidrec.inference.timeline import Timeline, slide
from vidrec.models.recognizer import Recognizer
from vidrec.utils.errors import UserError, VideoError

__all__ = ["Failure", "Prediction", "Predictor", "Top"]


class Top(NamedTuple):
    """One of the most probable classes."""

    label: int
    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of a video.

    Attributes:
        path: of the video.
        score: [K] float32, what `test` writes into scores.npz: the average of the views by CONFIG.TEST.AVERAGE.
        probabilities: [K] float32, softmax or, for a network trained with a loss per class, sigmoid.
        logits: [K] float32, the mean over the views.
        view_logits: [V, K] float32, of each view: clip v // crops, crop v % crops.
        view_boxes: [V, 4] int64, y0, y1, x0, x1 of each view in the resized frame.
        top: the most probable classes, best first.
        index: place in the list, 0 of a single video.
    """

    path: str
    score: np.ndarray
    probabilities: np.ndarray
    logits: np.ndarray
    view_logits: np.ndarray
    view_boxes: np.ndarray
    top: list[Top]
    index: int = 0

    def __repr__(self) -> str:
        """Example: `Prediction(a.mp4: archery 91.2 %, bowling 3.4 %)`"""
        shown = ", ".join(f"{top.name} {100 * top.probability:.1f} %" for top in self.top)
        return f"Prediction({self.path}: {shown})"


class Predictor:
    """A network with its weights, its way of cutting videos into views, and its class names; `vidrec.load` makes one.

    Args:
        model: on `device`, in eval mode.
        class_names: [K], numbers as text where there are none.
        make_views: from a list of videos to the dataset of their views, such as `partial(MultiViewDataset, clip_len=32, ...)` called
            with the table.
        average: of the views.
        mean, std: RGB, of values in [0, 1].
        views_per_batch: views of one forward.
        precision, memory_format: of the forward pass, see Tester.
        num_workers: loader processes of `predict_many`; 0: the cores of this machine.
        read_timeout: seconds that such a process may take for one video; 0: no limit.
        name, weights: where it is from, for people.
    """

    def __init__(
        self,
        model: Recognizer,
        *,
        class_names: Sequence[str],
        make_views: Callable[[VideoTable], Dataset],
        average: ViewAverage,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        views_per_batch: int = 8,
        precision: PrecisionName = "fp32",
        memory_format: MemoryFormat = "contiguous",
        num_workers: int = 0,
        read_timeout: float = 0.0,
        name: str = "",
        weights: str = "",
    ):
        self.model, self.class_names, self.device = model, list(class_names), device
        self.mean, self.std, self.average = tuple(mean), tuple(std), average
        self.make_views, self.views_per_batch, self.precision, self.memory_format = make_views, views_per_batch, precision, memory_format
        self.num_workers, self.read_timeout, self.name, self.weights = num_workers, read_timeout, name, weights
        self.pipeline = make_views(VideoTable.from_paths([])).pipeline
        self._tester = Tester(
            model,
            device=device,
            mean=mean,
            std=std,
            views_per_batch=views_per_batch,
            average=average,
            precision=precision,
            memory_format=memory_format,
        )

    @property
    def clip_len(self) -> int:
        """Frames of a view."""
        return self.pipeline.clip_len

    @property
    def crop_size(self) -> int:
        """Side of a view, pixels."""
        return self.pipeline.crop_size

    @property
    def num_views(self) -> int:
        """Views of a video."""
        return self.pipeline.num_clips * self.pipeline.num_crops

    def read(self, path: str | Path) -> EvalVideo:
        """All views of one video: its frames as uint8 and the grid of views. Raises VideoError where it cannot be read."""
        video = self.make_views(table_of([path]))[0]
        if video.failure is not None:
            raise VideoError(video.failure.reason)
        return video

    def predict(self, path: str | Path, *, top_k: int = 5) -> Prediction:
        """What a video shows.

        Args:
            path: a video file, a folder of numbered frames, or a URL of a video file.
            top_k: classes of `Prediction.top`, at least 1; as many as there are, if they are fewer.

        Raises:
            VideoError: the video cannot be read.
        """
        _check_top_k(top_k)
        return self.predict_video(self.read(path), top_k=top_k)

    def predict_many(self, paths: Sequence[str | Path] | VideoTable, *, top_k: int = 5) -> Iterator[Prediction | Failure]:
        """What each of many videos shows, in their order, decoded in other processes while the network works.

        Args:
            paths: files and folders of frames, or a table, which may mean parts of videos.

        Yields:
            A Prediction, or a Failure (path, reason) for a video that cannot be read.
        """
        _check_top_k(top_k)
        table = paths if isinstance(paths, VideoTable) else table_of(paths)
        loading = partial(self._loader, self.make_views(table))
        for video in surviving(loading, table):
            yield video.failure if video.failure is not None else self.predict_video(video, top_k=top_k)

    def _loader(self, views: Dataset, places: Sequence[int]) -> VideoLoader:
        """The videos at some places of a list, one by one."""
        workers = worker_count(self.num_workers, local_world_size=1)
        on_gpu = self.device.type == "cuda"
        return make_loader(views, places, batch_size=None, num_workers=workers, pin_memory=on_gpu, read_timeout=self.read_timeout)

    @torch.inference_mode()
    def predict_video(self, video: EvalVideo | Any, *, top_k: int = 5) -> Prediction:
        """What a video shows whose views are read already. Raises UserError where the network's scores are not finite."""
        with naming_views([video], views=self.views_per_batch, device=self.device):
            (outputs,) = self.view_outputs([video])
        score, view_logits = self.average.score(outputs), self.average.view_logits(outputs)
        if not torch.isfinite(score).all():
            raise UserError(
                f"The network gives scores that are not finite for {video.path}; its weights ({self.weights}) are damaged or have"
                " diverged. Use other weights."
            )
        probabilities = self.average.probabilities(score, len(view_logits)).float().cpu().numpy()
        logits = view_logits.double().mean(0).float()
        return Prediction(
            path=video.path,
            score=score.cpu().numpy(),
            probabilities=probabilities,
            logits=logits.cpu().numpy(),
            view_logits=view_logits.cpu().numpy(),
            view_boxes=video.views.boxes,
            top=self.top(probabilities, top_k),
            index=int(video.index),
        )

    def timeline(self, path: str | Path, *, stride: float = 0.5, window: float = 0.0, all_crops: bool = False) -> Timeline:
        """What a video shows as time goes by, by windows that slide over it; videos of any length are read in bounded memory.

        Args:
            stride: seconds from window to window.
            window: seconds of a window; 0: what one clip spans.
            all_crops: every crop of a test, and not the one of the middle.

        Raises:
            VideoError: the video cannot be read.
        """
        table = table_of([path])  # which keeps a fetched file until it is read
        moments = slide(self, table.source(0), stride_s=stride, window_s=window, all_crops=all_crops)
        return Timeline.of(str(path), moments, self.class_names)

    @torch.inference_mode()
    def view_outputs(self, videos: Sequence[EvalVideo]) -> Sequence[torch.Tensor]:
        """What `average` takes of each video's views, [V, K] or [V, D], all views of all videos in as few forwards as can be."""
        return self._tester.view_outputs(list(videos))

    def top(self, probabilities: np.ndarray, top_k: int) -> list[Top]:
        """The most probable classes of [K] probabilities, best first; of equal ones the lower label."""
        best = np.argsort(-probabilities, kind="stable")[:top_k].tolist()
        return [Top(label, self.class_names[label], float(probabilities[label])) for label in best]

    def __repr__(self) -> str:
        """Example: `Predictor(i3d_resnet50_v1_kinetics400: 400 classes; 30 views (10 x 3) of 32 frames, 256 x 256; cpu)`"""
        views = f"{self.num_views} view{'s' if self.num_views > 1 else ''} ({self.pipeline.num_clips} x {self.pipeline.num_crops})"
        size = f"{self.clip_len} frames, {self.crop_size} x {self.crop_size}"
        name = self.name or type(self.model.backbone).__name__
        return f"Predictor({name}: {len(self.class_names)} classes; {views} of {size}; {self.device})"


def _check_top_k(top_k: int) -> None:
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise UserError(f"top_k is {top_k!r}; it must be a whole number of at least 1. Give one, such as 5.")
