"""Boxes: tables measured on the reference, and the training crop."""

import json
from pathlib import Path

import numpy as np
import pytest

from vidrec.data.views import crop_boxes, frame_order, make_views, resize_size, resized_size, train_crop

GOLDEN = json.loads((Path(__file__).parent / "golden" / "data_semantics.json").read_text())


def test_sizes_equal_the_reference_table():
    assert len(GOLDEN["resize"]) == 30
    for key, expected in GOLDEN["resize"].items():
        short, size = key.removeprefix("short").removesuffix("_wh").split("_from_")
        width, height = map(int, size.split("x"))
        assert list(resize_size(height, width, int(short))) == expected, key


@pytest.mark.parametrize("case", GOLDEN["test"], ids=lambda case: case["config"])
def test_boxes_equal_the_reference_tables(case):
    squeezed = resized_size(1000, 50, short_side=case["short_side"], squeeze_to=tuple(case["squeeze_to"]))
    assert crop_boxes(*squeezed, crop_size=case["short_side"], num_crops=case["num_crops"]).tolist() == case["spatial_squeezed"]
    for key, expected in case["spatial"].items():
        width, height = map(int, key.split("x"))
        resized = resized_size(height, width, short_side=case["short_side"], squeeze_to=None)
        assert list(resized) == expected["resized_hw"]
        assert crop_boxes(*resized, crop_size=case["short_side"], num_crops=case["num_crops"]).tolist() == expected["crops_y0_y1_x0_x1"]


@pytest.mark.parametrize("case", GOLDEN["center_crop"], ids=lambda case: str(case["crop_size"]))
def test_center_crop_equals_the_reference_table(case):
    for key, expected in case["boxes"].items():
        squeeze_to = tuple(case["squeeze_to"]) if key == "keep_aspect_ratio_false" else None
        width, height = (1, 1) if squeeze_to else map(int, key.split("x"))
        resized = resized_size(height, width, short_side=case["short_side"], squeeze_to=squeeze_to)
        assert crop_boxes(*resized, crop_size=case["crop_size"], num_crops=1).tolist() == [expected], key


def test_one_test_crop_is_the_center():
    assert crop_boxes(256, 340, crop_size=256, num_crops=1).tolist() == [[0, 256, 42, 298]]


def test_crop_larger_than_the_frame_is_refused():
    with pytest.raises(ValueError, match="crop_size is 300; it must be at most the short side of the frame, 256"):
        crop_boxes(256, 340, crop_size=300, num_crops=1)


def test_view_is_clip_times_crops_plus_crop():
    unique, grid = make_views(np.array([[0, 2], [2, 9]]), np.array([[0, 4, 0, 4], [0, 4, 2, 6], [0, 4, 4, 8]]))
    assert unique.tolist() == [0, 2, 9]
    assert grid.positions.tolist() == [[0, 1], [0, 1], [0, 1], [1, 2], [1, 2], [1, 2]]
    assert grid.boxes[:, 2].tolist() == [0, 2, 4, 0, 2, 4]


@pytest.mark.parametrize(
    ("clips", "order"),
    [
        ([[0, 2, 4], [2, 4, 6]], [0, 2, 4, 6]),
        ([[0, 2, 4], [3, 5, 7]], [0, 2, 4, 3, 5, 7]),  # even frames, then odd ones
        ([[1, 4, 7], [3, 6, 9], [4, 7, 10]], [3, 6, 9, 1, 4, 7, 10]),
        ([[5, 6], [8, 9]], [5, 6, 8, 9]),
        ([[3], [1]], [1, 3]),
        ([[0, 0, 0], [0, 0, 0]], [0]),
        ([[0, 2, 3, 3], [0, 2, 3, 3]], [0, 2, 3]),  # a short video, whose last frame is repeated
    ],
)
def test_frames_are_ordered_so_that_evenly_spaced_clips_are_slices(clips, order):
    assert frame_order(np.array(clips)).tolist() == order
    unique, grid = make_views(np.array(clips), np.array([[0, 4, 0, 4]]))
    assert unique.tolist() == order
    assert unique[grid.positions].tolist() == clips


def draw(seed=0, **changes):
    arguments = {"short_side": 60, "scale_range": (1.0, 1.0), "crop_size": 60, "flip_prob": 0.0, "squeeze_to": None} | changes
    return train_crop(120, 160, rng=np.random.default_rng(seed), **arguments)


def test_training_crop_covers_the_short_side_at_scale_one():
    for seed in range(20):
        crop = draw(seed)
        assert (crop.y0, crop.y1, crop.x1 - crop.x0) == (0, 120, 120)
        assert 0 <= crop.x0 <= 40


def test_training_crop_is_smaller_in_the_source_at_a_larger_scale():
    crop = draw(scale_range=(2.0, 2.0))
    assert (crop.y1 - crop.y0, crop.x1 - crop.x0) == (60, 60)


def test_training_crop_of_a_squeezed_frame_is_not_square_in_the_source():
    crop = draw(squeeze_to=(60, 60))  # 120 x 160 becomes 60 x 60, all of which is taken
    assert crop[:4] == (0, 120, 0, 160)


def test_training_crops_reach_every_place_and_flip_as_often_as_asked():
    crops = [draw(seed, crop_size=30, flip_prob=0.25) for seed in range(400)]
    assert (min(crop.x0 for crop in crops), max(crop.x1 for crop in crops)) == (0, 160)
    assert (min(crop.y0 for crop in crops), max(crop.y1 for crop in crops)) == (0, 120)
    assert 70 <= sum(crop.flip for crop in crops) <= 130
    assert not any(draw(seed, flip_prob=0.0).flip for seed in range(50))
    assert all(draw(seed, flip_prob=1.0).flip for seed in range(50))


def test_training_crop_of_a_tiny_frame_is_never_empty():
    for seed in range(20):
        crop = train_crop(
            1, 1, short_side=64, scale_range=(1.0, 1.25), crop_size=16, flip_prob=0.0, squeeze_to=None, rng=np.random.default_rng(seed)
        )
        assert crop[:4] == (0, 1, 0, 1)
