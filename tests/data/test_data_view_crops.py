"""Test crops by scheme, and views that are mirrored when they are cut."""

import numpy as np
import pytest
import torch

from vidrec.data.transforms import cut_views
from vidrec.data.view_crops import make_crops
from vidrec.data.views import make_views


def starts(scheme, height, width, *, crop_size, num_crops):
    crops = make_crops(scheme, height, width, crop_size=crop_size, num_crops=num_crops)
    assert (crops.boxes[:, 1::2] - crops.boxes[:, ::2] == crop_size).all()
    return crops.boxes[:, ::2].tolist()


@pytest.mark.parametrize(
    ("scheme", "offsets"), [("uniform", [0, 100, 199]), ("steps", [0, 198, 99]), ("slides", [0, 99, 199]), ("corners", [0, 199, 99])]
)
def test_three_crops_of_a_wide_and_of_a_tall_frame(scheme, offsets):
    assert starts(scheme, 256, 455, crop_size=256, num_crops=3) == [[0, offset] for offset in offsets]
    assert starts(scheme, 455, 256, crop_size=256, num_crops=3) == [[offset, 0] for offset in offsets]


def test_ten_slides_of_the_reference():
    offsets = [0, 9, 18, 28, 37, 46, 56, 65, 74, 84]
    assert starts("slides", 256, 340, crop_size=256, num_crops=10) == [[0, offset] for offset in offsets]


@pytest.mark.parametrize(("scheme", "center"), [("slides", [16, 58]), ("uniform", [16, 58]), ("corners", [16, 58]), ("steps", [16, 58])])
def test_one_crop_is_the_center(scheme, center):
    assert starts(scheme, 256, 340, crop_size=224, num_crops=1) == [center]


def test_centers_differ_in_how_half_a_pixel_is_rounded():
    one = {"crop_size": 112, "num_crops": 1}
    assert starts("slides", 128, 171, **one) == [[8, 30]]
    assert starts("uniform", 128, 171, **one) == [[8, 30]]
    assert starts("corners", 128, 171, **one) == [[8, 29]]
    assert starts("slides", 128, 173, **one) == [[8, 30]]  # 30.5 goes to the even neighbour
    assert starts("uniform", 128, 173, **one) == [[8, 31]]


def test_ten_crops_are_corners_and_center_and_the_same_mirrored():
    crops = make_crops("corners", 256, 340, crop_size=224, num_crops=10)
    five = [[0, 224, 0, 224], [0, 224, 116, 340], [32, 256, 0, 224], [32, 256, 116, 340], [16, 240, 58, 282]]
    assert crops.boxes.tolist() == five * 2
    assert crops.flips.tolist() == [False] * 5 + [True] * 5
    assert starts("steps", 256, 341, crop_size=224, num_crops=5)[1] == [0, 117]


def test_three_crops_smaller_than_the_short_side_are_centered_across():
    assert starts("corners", 256, 340, crop_size=224, num_crops=3) == [[16, 0], [16, 116], [16, 58]]
    assert starts("uniform", 256, 256, crop_size=224, num_crops=3) == [[16, 0], [16, 16], [16, 32]]


def test_numbers_and_sizes_that_a_scheme_does_not_have_are_refused():
    with pytest.raises(ValueError, match="num_crops is 2; uniform has 1, 3"):
        make_crops("uniform", 256, 340, crop_size=224, num_crops=2)
    for scheme in ("slides", "corners"):
        with pytest.raises(ValueError, match="crop_size is 300; it must be at most the short side of the frame, 256"):
            make_crops(scheme, 256, 340, crop_size=300, num_crops=1)


def test_flipped_views_are_mirrored_when_they_are_cut_and_the_frames_stay():
    frames = torch.arange(2 * 4 * 6 * 3, dtype=torch.uint8).reshape(2, 4, 6, 3)
    kept = frames.clone()
    crops = make_crops("corners", 4, 6, crop_size=4, num_crops=10)
    _, grid = make_views(np.array([[0, 1]]), *crops)
    views = cut_views(frames, grid, 0, 10)
    assert torch.equal(views[5:], views[:5].flip(3))
    assert torch.equal(views[1], frames[:, :, 2:6]) and torch.equal(views[6], frames[:, :, 2:6].flip(2))
    assert torch.equal(cut_views(frames, grid, 3, 8), views[3:8])
    assert torch.equal(frames, kept)


def test_a_grid_without_mirrored_crops_has_no_flips():
    crops = make_crops("corners", 4, 6, crop_size=4, num_crops=5)
    assert make_views(np.array([[0, 1]]), *crops)[1].flips is None
