"""Where in a video a network finds the evidence for a class: Grad-CAM of some of its clips, laid over the frames that they have."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidrec.data.decoders import VideoBytes, open_video
from vidrec.data.eval_pipeline import EvalPipeline
from vidrec.data.pipelines import decoded_parts, part_of
from vidrec.data.spans import Span
from vidrec.data.timeline import read_timeline
from vidrec.data.transforms import VideoViews, normalize_views, resize_clip
from vidrec.engine.out_of_memory import OutOfMemory, is_out_of_memory
from vidrec.inference.cam import Cam, LayerMap, grad_cam
from vidrec.inference.predictor import Predictor
from vidrec.inference.video_file import USUAL_FPS
from vidrec.utils.errors import UserError
from vidrec.utils.text import did_you_mean

MIN_FRAMES = 8  # of an explanation, where a clip is shorter: as many clips are taken
MIN_SIDE, MAX_SIDE = 256, 1920  # pixels of the shown frames: the short side is at least, the long one at most this


@dataclass(frozen=True, eq=False)
class Explanation:
    """Evidence for a class in the frames of a video that the network saw.

    Attributes:
        path: of the video.
        label, name: the class.
        probability: of the class, of the mean logits of these clips.
        num_views: different clips that were looked at.
        frames: [N] int64, numbers of the frames that the clips have, rising.
        seconds: [N] when each is shown.
        fps: of the video, frames per second.
        evidence: [N, S, S] float32 in [0, 1], over the square of `box`; 1 is the largest value in the video. All 0 where nothing speaks
            for the class.
        box: y0, y1, x0, x1 of what the network saw, as shares of the frame's height and width.
        layers: what the evidence was read from.
    """

    path: str | Path | VideoBytes
    label: int
    name: str
    probability: float
    num_views: int
    frames: np.ndarray
    seconds: np.ndarray
    fps: float
    evidence: np.ndarray
    box: tuple[float, float, float, float]
    layers: tuple[LayerMap, ...]

    @property
    def per_frame(self) -> np.ndarray:
        """[N] mean evidence of each frame."""
        return self.evidence.mean((1, 2))

    @property
    def steady(self) -> bool:
        """Whether a clip's map is the same in all its frames, since the network keeps one step in time."""
        return all(layer.size[0] == 1 for layer in self.layers) and len(self.frames) > self.num_views


def explain(
    predictor: Predictor,
    path: str | Path | VideoBytes,
    *,
    span: Span | None = None,
    label: int | None = None,
    layers: Sequence[str] = (),
    num_views: int | None = None,
) -> Explanation:
    """Grad-CAM of one video.

    Args:
        span: the part of the video that is looked at; None: all of it.
        label, layers: as in `grad_cam`.
        num_views: clips, placed as in a test, each in its center crop; None: one, the middle, or as many as have MIN_FRAMES frames.

    Raises:
        VideoError: the video cannot be read.
        UserError: a layer has no map; a video has one clip only; memory runs out.
    """
    pipeline = _with_views(predictor.pipeline, num_views)
    chosen = _choose_frames(pipeline, path, span)
    frames, grid = pipeline(path, span)
    cams = _cams(predictor, VideoViews(frames.to(predictor.device), grid), chosen.places, label=label, layers=layers)
    seen = np.unique(chosen.clips)
    evidence, logits, last = _together(cams, np.searchsorted(seen, chosen.clips))
    probabilities = logits.sigmoid() if predictor.average.sigmoid else logits.softmax(0)
    return Explanation(
        path=path,
        label=last.label,
        name=predictor.class_names[last.label],
        probability=float(probabilities[last.label]),
        num_views=len(chosen.clips),
        frames=seen,
        seconds=chosen.seconds[seen],
        fps=chosen.fps,
        evidence=evidence,
        box=tuple((grid.boxes[0] / np.repeat(frames.shape[1:3], 2)).tolist()),
        layers=last.layers,
    )


def find_class(wanted: str, names: Sequence[str]) -> int:
    """The label of a class given by its name, in any case, or its number. Raises UserError for another."""
    by_name = {name.lower(): label for label, name in enumerate(names)}
    if wanted.lower() in by_name:
        return by_name[wanted.lower()]
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    close = did_you_mean(wanted, names) or f" The first names are {', '.join(names[:5])}."
    raise UserError(f"The class is {wanted!r}; it must be a name of the network's classes, or a number from 0 to {len(names) - 1}.{close}")


def shown_frames(predictor: Predictor, explanation: Explanation) -> Iterator[np.ndarray]:
    """The frames [H, W, 3] uint8 of an explanation, in their own size where that can be looked at, see `shown_size`."""
    pipeline = predictor.pipeline
    with open_video(explanation.path, pipeline.decoder, pipeline.reading, size=shown_size) as reader:
        size = None
        for part in decoded_parts(reader, explanation.frames):
            size = size or shown_size(*part.shape[1:3])
            yield from resize_clip(part, *size)


def shown_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) in which frames are shown, even as H.264 needs them.

    Example: 80 x 80 -> (256, 256); 240 x 320 -> (256, 340); 1080 x 1920 -> (1080, 1920); 2160 x 3840 -> (1080, 1920)
    """
    scale = min(max(1.0, MIN_SIDE / min(height, width)), MAX_SIDE / max(height, width))
    return tuple(max(2, int(side * scale + 0.001) // 2 * 2) for side in (height, width))


def _with_views(pipeline: EvalPipeline, num_views: int | None) -> EvalPipeline:
    """The pipeline for so many clips, each in its center crop."""
    single = pipeline.num_segments > 1 or pipeline.sampling != "reference"
    if num_views is not None and num_views < 1:
        raise UserError(f"The number of views is {num_views}; it must be at least 1. Give more, or leave it out.")
    if single and (num_views or 1) > 1:
        raise UserError(
            f"The number of views is {num_views}; this network's clips are spread over the video, so it must be 1. Leave it out."
        )
    usual = 1 if single else -(-MIN_FRAMES // pipeline.clip_len)
    return replace(pipeline, num_clips=num_views or usual, num_crops=1)


class _Chosen(NamedTuple):
    """The clips of a video, each different one once, since a short video has fewer than are wanted.

    Args:
        clips: [V, T] numbers of their frames.
        places: of each among the views of the pipeline.
        seconds: when each frame of the video is shown.
        fps: of the video, frames per second.
    """

    clips: np.ndarray
    places: list[int]
    seconds: np.ndarray
    fps: float


def _choose_frames(pipeline: EvalPipeline, path: str | Path | VideoBytes, span: Span | None) -> _Chosen:
    with open_video(path, pipeline.decoder, pipeline.reading) as reader:
        first, video = part_of(reader, span, path, with_times=pipeline.target_fps > 0)
        clips, places = np.unique(first + pipeline.choose_frames(video), axis=0, return_index=True)
        fps = video.fps or USUAL_FPS
        return _Chosen(clips, places.tolist(), read_timeline(reader, with_times=True)._replace(fps=fps).seconds(), fps)


def _together(cams: Iterable[Cam], places: np.ndarray) -> tuple[np.ndarray, Tensor, Cam]:
    """Evidence [N, S, S] of N frames in [0, 1], the mean of the clips that have a frame; mean logits [K]; and the last of the clips.

    Args:
        cams: of one clip each.
        places: [V, T], which of the N frames each frame of a clip is.
    """
    count = torch.from_numpy(np.bincount(places.reshape(-1))).view(-1, 1, 1)
    total, logits = torch.zeros(0), []
    for cam, clip_places in zip(cams, places, strict=True):
        evidence = cam.evidence[0].cpu()
        total = total if total.numel() else torch.zeros(len(count), *evidence.shape[1:])
        total.index_add_(0, torch.from_numpy(clip_places), evidence)
        logits.append(cam.logits[0].double())
    mean = total / count
    return (mean / (mean.max() or 1.0)).numpy(), torch.stack(logits).mean(0), cam


def _cams(predictor: Predictor, views: VideoViews, places: list[int], *, label: int | None, layers: Sequence[str]) -> Iterator[Cam]:
    """Of each of some views, for the same class."""
    if label is None and len(places) > 1:
        label = int(torch.stack([_logits(predictor, views[place]) for place in places]).mean(0).argmax())
    for place in places:
        yield _cam(predictor, views[place], label, layers)


def _logits(predictor: Predictor, view: Tensor) -> Tensor:
    with torch.inference_mode():
        return predictor.model(normalize_views([view], predictor.mean, predictor.std))[0].float()


def _cam(predictor: Predictor, view: Tensor, label: int | None, layers: Sequence[str]) -> Cam:
    """Of one view [T, S, S, 3] uint8."""
    try:
        return grad_cam(predictor.model, normalize_views([view], predictor.mean, predictor.std), label=label, layers=layers)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        what = f"{len(view)} frames of {view.shape[1]} x {view.shape[2]} pixels"
        raise OutOfMemory(
            f"Memory ran out on {predictor.device} in an explanation of {what}; a layer near the classifier takes the least. Leave the "
            f"layer out, or take the device cpu. The error was: {str(error).splitlines()[0]}"
        ) from error
