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


def cut_views(frames: Tensor, grid: ViewGrid, start: int, stop: int) -> Tensor:
    """Views start to stop (not included) of one video, cut on the device of its frames.

    Args:
        frames: [N, H, W, 3] unique frames.
        grid: of the whole video; its boxes are all of one size.

    Returns:
        [v, T, h, w, 3], dtype and device of the frames, mirrored where the grid says so. Only these views are copied.
    """
    y0, y1, x0, x1 = grid.boxes[start]
    positions = torch.from_numpy(grid.positions[start:stop]).to(frames.device)
    views = frames.new_empty((*positions.shape, int(y1 - y0), int(x1 - x0), frames.shape[-1]))
    flips = [False] * (stop - start) if grid.flips is None else grid.flips[start:stop].tolist()
    for view, places, (y0, y1, x0, x1), flip in zip(views, positions, grid.boxes[start:stop].tolist(), flips, strict=True):
        torch.index_select(frames[:, y0:y1, x0:x1], 0, places, out=view)
        if flip:
            for frame in view:  # one by one: copies of whole views in turn fragmented the heap, by 110 MB over 250 views of 32 frames
                frame.copy_(frame.flip(1))  # [h, w, 3]
    return views


def normalize_clips(
    clips: Tensor, mean: Sequence[float], std: Sequence[float], *, dtype: torch.dtype = torch.float32, out: Tensor | None = None
) -> Tensor:
    """(clips / 255 - mean) / std, channels first, on the device of the clips.

    Args:
        clips: [B, T, H, W, 3] uint8.
        mean, std: per RGB channel, of values in [0, 1].
        dtype: of the result; computed in float32.
        out: [B, 3, T, H, W] float32 that is written and returned, such as a part of a larger batch.

    Returns:
        [B, 3, T, H, W] contiguous.
    """
    scale = 1.0 / (255.0 * torch.tensor(std, dtype=torch.float32, device=clips.device))
    shift = -torch.tensor(mean, dtype=torch.float32, device=clips.device) / torch.tensor(std, dtype=torch.float32, device=clips.device)
    values = clips.permute(0, 4, 1, 2, 3)
    values = values.to(torch.float32, memory_format=torch.contiguous_format) if out is None else out.copy_(values)
    return values.mul_(scale.view(3, 1, 1, 1)).add_(shift.view(3, 1, 1, 1)).to(dtype)
