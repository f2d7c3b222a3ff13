"""Training crops of random area and aspect, and of corners."""

import numpy as np
import pytest

from vidrec.data.crops import corner_crop, resized_crop


def resized(seed=0, height=100, width=100, **changes):
    arguments = {"area": (0.25, 0.25), "aspect": (1.0, 1.0), "flip_prob": 0.0, "squeeze_to": None} | changes
    return resized_crop(height, width, rng=np.random.default_rng(seed), **arguments)


def corner(seed=0, **changes):
    arguments = {"scales": (1.0, 0.5), "max_distort": 0, "flip_prob": 0.0, "squeeze_to": None} | changes
    return corner_crop(240, 320, rng=np.random.default_rng(seed), **arguments)


def test_resized_crop_of_a_fixed_area_and_aspect_has_one_size_and_many_places():
    crops = [resized(seed) for seed in range(200)]
    assert {(crop.y1 - crop.y0, crop.x1 - crop.x0) for crop in crops} == {(50, 50)}
    assert min(crop.y0 for crop in crops) <= 2 and max(crop.y1 for crop in crops) >= 98


def test_resized_crops_stay_within_area_and_aspect():
    crops = [resized(seed, 240, 320, area=(0.1, 0.6), aspect=(0.5, 2.0)) for seed in range(300)]
    areas = [(crop.y1 - crop.y0) * (crop.x1 - crop.x0) / (240 * 320) for crop in crops]
    aspects = [(crop.x1 - crop.x0) / (crop.y1 - crop.y0) for crop in crops]
    assert 0.095 < min(areas) < 0.13 and 0.5 < max(areas) < 0.605
    assert 0.49 < min(aspects) < 0.6 and 1.7 < max(aspects) < 2.03


def test_resized_crop_that_never_fits_is_the_largest_centered_one():
    assert resized(0, 100, 400, area=(1.0, 1.0), aspect=(0.75, 4 / 3))[:4] == (0, 100, 133, 266)
    assert resized(0, 400, 100, area=(1.0, 1.0), aspect=(0.75, 4 / 3))[:4] == (133, 266, 0, 100)
    assert resized(0, 1, 1)[:4] == (0, 1, 0, 1)


def test_resized_crop_of_a_squeezed_frame_has_its_aspect_there():
    crop = resized(0, 100, 200, area=(1.0, 1.0), squeeze_to=(50, 50))
    assert crop[:4] == (0, 100, 0, 200)


def test_corner_crops_are_the_five_places_in_each_size():
    boxes = {corner(seed)[:4] for seed in range(400)}
    large = {(0, 240, 0, 240), (0, 240, 80, 320), (0, 240, 40, 280)}
    small = {(0, 120, 0, 120), (0, 120, 200, 320), (120, 240, 0, 120), (120, 240, 200, 320), (60, 180, 100, 220)}
    assert boxes == large | small


@pytest.mark.parametrize(("max_distort", "sizes"), [(0, 4), (1, 10), (3, 16)])
def test_sides_of_a_corner_crop_lie_at_most_max_distort_places_apart(max_distort, sizes):
    crops = [corner(seed, scales=(1.0, 0.875, 0.75, 0.5), max_distort=max_distort) for seed in range(800)]
    assert len({(crop.y1 - crop.y0, crop.x1 - crop.x0) for crop in crops}) == sizes


def test_both_kinds_flip_as_often_as_asked():
    assert 30 <= sum(resized(seed, flip_prob=0.25).flip for seed in range(200)) <= 70
    assert 30 <= sum(corner(seed, flip_prob=0.25).flip for seed in range(200)) <= 70
    assert not any(corner(seed).flip or resized(seed).flip for seed in range(50))
