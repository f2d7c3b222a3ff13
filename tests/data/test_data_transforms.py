"""Clips in, clips out."""

import cv2
import numpy as np
import torch

from vidrec.data.transforms import crop_clip, cut_views, normalize_clips, resize_clip
from vidrec.data.views import TrainCrop, crop_boxes, make_views


def ramp(height: int, width: int, frames: int = 2) -> np.ndarray:
    """Pixel (y, x) of frame t is (t, y, x)."""
    values = np.zeros((frames, height, width, 3), dtype=np.uint8)
    values[..., 0] = np.arange(frames)[:, None, None]
    values[..., 1] = np.arange(height)[:, None]
    values[..., 2] = np.arange(width)
    return values


def test_resize_is_opencv_bilinear():
    frames = np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), dtype=np.uint8)
    resized = resize_clip(frames, 17, 23)
    assert resized.shape == (2, 17, 23, 3)
    assert np.array_equal(resized[1], cv2.resize(frames[1], (23, 17), interpolation=cv2.INTER_LINEAR))
    assert resize_clip(frames, 30, 40) is frames


def test_crop_takes_the_box_and_mirrors_it():
    frames = ramp(20, 30)
    cut = crop_clip(frames, TrainCrop(5, 13, 10, 18, False), 8)
    assert np.array_equal(cut, frames[:, 5:13, 10:18])
    assert np.array_equal(crop_clip(frames, TrainCrop(5, 13, 10, 18, True), 8), frames[:, 5:13, 17:9:-1])


def test_no_pixel_outside_the_crop_has_an_effect():
    frames = np.zeros((1, 40, 60, 3), dtype=np.uint8)
    frames[:, 10:30, 20:40] = 200
    assert (crop_clip(frames, TrainCrop(10, 30, 20, 40, False), 33) == 200).all()


def test_crop_before_resize_equals_resize_before_crop_inside():
    smooth = np.repeat((ramp(120, 160, 1)[..., 1:2] + ramp(120, 160, 1)[..., 2:3] // 2), 3, axis=-1)
    whole = resize_clip(smooth, 60, 80)[:, :, 10:70]
    cut = crop_clip(smooth, TrainCrop(0, 120, 20, 140, False), 60)
    assert np.abs(whole.astype(int) - cut).max() <= 1


def test_views_are_cut_in_the_order_of_the_grid():
    frames = torch.from_numpy(ramp(4, 10, frames=5))
    _, grid = make_views(np.array([[0, 1], [2, 4]]), crop_boxes(4, 10, crop_size=4, num_crops=3))
    views = cut_views(frames, grid, 0, 6)
    assert tuple(views.shape) == (6, 2, 4, 4, 3)
    assert views[:, :, 0, 0, 0].tolist() == [[0, 1]] * 3 + [[2, 3]] * 3  # places among the unique frames 0 1 2 4
    assert views[:, 0, 0, 0, 2].tolist() == [0, 3, 6, 0, 3, 6]
    assert torch.equal(cut_views(frames, grid, 2, 5), views[2:5])


def test_normalize_puts_channels_first_and_uses_mean_and_std():
    clips = torch.zeros((1, 2, 1, 1, 3), dtype=torch.uint8)
    clips[0, 1, 0, 0] = torch.tensor([255, 51, 0])
    values = normalize_clips(clips, mean=(0.5, 0.2, 0.0), std=(0.25, 0.5, 1.0))
    assert tuple(values.shape) == (1, 3, 2, 1, 1)
    assert values.is_contiguous()
    torch.testing.assert_close(values[0, :, :, 0, 0], torch.tensor([[-2.0, 2.0], [-0.4, 0.0], [0.0, 0.0]]))
    assert normalize_clips(clips, (0.5, 0.2, 0.0), (0.25, 0.5, 1.0), dtype=torch.bfloat16).dtype == torch.bfloat16


def test_a_part_of_a_batch_is_normalized_in_place():
    clips = torch.randint(0, 256, (2, 3, 4, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = torch.full((3, 3, 3, 4, 5), 7.0)
    mean, std = (0.5, 0.2, 0.0), (0.25, 0.5, 1.0)
    part = normalize_clips(clips, mean, std, out=batch[1:])
    assert part.data_ptr() == batch[1:].data_ptr()
    assert torch.equal(batch[1:], normalize_clips(clips, mean, std)) and bool((batch[0] == 7.0).all())
