"""Clips in, clips out: resizing and cutting on uint8, normalizing last and on the device.

Resizing is OpenCV's INTER_LINEAR, the numerics of the reference zoo; it was also the fastest measured (per frame 240x320 to 256x341:
0.13 ms, torchvision v2 0.19 ms; 720x1280 to 256x455: 0.42 ms, torchvision 0.57 ms; one thread).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidrec.data.opencv import import_cv2
from vidrec.data.views import TrainCrop, ViewGrid


def resize_clip(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """[N, H, W, 3] uint8 -> [N, height, width, 3] uint8, bilinear without antialiasing."""
    if frames.shape[1:3] == (height, width):
        return frames
    cv2 = import_cv2()
    resized = np.empty((len(frames), height, width, 3), dtype=np.uint8)
    for source, target in zip(frames, resized, strict=True):
        cv2.resize(source, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
    return resized


def crop_clip(frames: np.ndarray, crop: TrainCrop, size: int) -> np.ndarray:
    """[N, H, W, 3] uint8 -> [N, size, size, 3]: cuts the crop out of the source, resizes only that, mirrors it if the crop says so."""
    cut = resize_clip(frames[:, crop.y0 : crop.y1, crop.x0 : crop.x1], size, size)
    return np.ascontiguousarray(cut[:, :, ::-1] if crop.flip else cut)


class VideoViews:
    """The views of one video, each a slice of its frames: cutting one copies nothing.

    Whole frames are copied where a slice cannot do, never a view: all of them once, mirrored, for the mirrored views; and those of a
    clip whose places are not evenly spaced (of a short video, of one at another rate), kept for its crops until another such clip is
    cut.

    Args:
        frames: [N, H, W, 3] unique frames, on any device.
        grid: of the whole video.
    """

    def __init__(self, frames: Tensor, grid: ViewGrid):
        self._frames, self._grid = frames, grid
        self._mirrored: Tensor | None = None
        self._clip, self._clip_key = frames[:0], (b"", False)

    def __len__(self) -> int:
        return len(self._grid)

    def __getitem__(self, view: int) -> Tensor:
        """[T, h, w, 3], dtype and device of the frames, mirrored where the grid says so; to be read only."""
        y0, y1, x0, x1 = self._grid.boxes[view].tolist()
        if self._grid.flips is None or not self._grid.flips[view]:
            return self._take(self._frames, self._grid.positions[view], False)[:, y0:y1, x0:x1]
        if self._mirrored is None:
            self._mirrored = mirror_frames(self._frames)
        width = self._frames.shape[2]
        return self._take(self._mirrored, self._grid.positions[view], True)[:, y0:y1, width - x1 : width - x0]

    def _take(self, frames: Tensor, places: np.ndarray, mirrored: bool) -> Tensor:
        """The frames at `places`, [T, H, W, 3]."""
        first, step = int(places[0]), int(places[1] - places[0]) if len(places) > 1 else 1
        if step > 0 and (np.diff(places) == step).all():
            return frames[first : int(places[-1]) + 1 : step]
        key = (places.tobytes(), mirrored)
        if key != self._clip_key:
            clip = empty_clips((len(places), *frames.shape[1:]), frames.dtype, frames.device)
            self._clip, self._clip_key = torch.index_select(frames, 0, torch.from_numpy(places).to(frames.device), out=clip), key
        return self._clip


def cut_views(frames: Tensor, grid: ViewGrid, start: int, stop: int) -> Tensor:
    """A copy of the views start to stop (not included) of one video, [v, T, h, w, 3], of which all boxes are of one size."""
    views = VideoViews(frames, grid)
    return torch.stack([views[view] for view in range(start, stop)])


def mirror_frames(frames: Tensor) -> Tensor:
    """[N, H, W, 3] -> a copy, mirrored left to right."""
    mirrored = empty_clips(frames.shape, frames.dtype, frames.device)
    for source, target in zip(frames, mirrored, strict=True):  # frame by frame, so that what flip() allocates is small and used again
        target.copy_(source.flip(1))
    return mirrored


def empty_clips(
    shape: Sequence[int], dtype: torch.dtype, device: torch.device, memory_format: torch.memory_format = torch.contiguous_format
) -> Tensor:
    """A tensor whose values are not set yet, [B, C, T, H, W] where it is channels_last_3d.

    On a CPU its memory comes through numpy, which asks Linux for huge pages. Small ones cost more than what is written into them:
    normalizing 8 views of 32 x 256 x 256 into a new batch took 141 ms with them and 61 ms without (one thread).
    """
    if memory_format == torch.channels_last_3d:
        batch, channels, *sizes = shape
        return empty_clips((batch, *sizes, channels), dtype, device).permute(0, 4, 1, 2, 3)
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, dtype=torch.empty(0, dtype=dtype).numpy().dtype))


def normalize_clips(
    clips: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
    out: Tensor | None = None,
) -> Tensor:
    """(clips / 255 - mean) / std, channels first, on the device of the clips.

    Args:
        clips: [B, T, H, W, 3] uint8; slices of larger frames are read about as fast as clips of their own.
        mean, std: per RGB channel, of values in [0, 1].
        dtype: of the result; computed in float32.
        memory_format: of the result; channels_last_3d is the order of the clips themselves.
        out: [B, 3, T, H, W] float32 that is written and returned, such as a part of a larger batch.

    Returns:
        [B, 3, T, H, W] in the memory format, contiguous if not given.
    """
    scale = 1.0 / (255.0 * torch.tensor(std, dtype=torch.float32, device=clips.device))
    shift = -torch.tensor(mean, dtype=torch.float32, device=clips.device) / torch.tensor(std, dtype=torch.float32, device=clips.device)
    channels_first = clips.permute(0, 4, 1, 2, 3)
    values = empty_clips(channels_first.shape, torch.float32, clips.device, memory_format) if out is None else out
    return values.copy_(channels_first).mul_(scale.view(3, 1, 1, 1)).add_(shift.view(3, 1, 1, 1)).to(dtype)


def normalize_views(
    views: Sequence[Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """V views [T, h, w, 3] uint8 of one size -> a batch [V, 3, T, h, w] float32, the only copy that is made of a slice."""
    batch = empty_clips((len(views), 3, *views[0].shape[:3]), torch.float32, views[0].device, memory_format)
    for view, row in zip(views, batch.split(1), strict=True):
        normalize_clips(view[None], mean, std, out=row)
    return batch
