"""Clips for calibration and comparison: the same ones in every run, spread over the list, and bad videos replaced and reported."""

import numpy as np
import pytest
import torch

from vidrec.data.multiview import EvalVideo, Failure
from vidrec.data.views import ViewGrid
from vidrec.inference.sample_clips import middle_view, noise_clips, sample_clips, spread
from vidrec.utils.errors import DataError


class Videos(list):
    """Videos by number: one frame of that value, or None for one that cannot be read."""

    def __getitem__(self, row):
        value = super().__getitem__(row)
        if value is None:
            return EvalVideo(
                row, 0, f"{row}.mp4", torch.empty(0), ViewGrid(np.empty((0, 1)), np.empty((0, 4))), Failure(f"{row}.mp4", "cut")
            )
        frames = torch.full((1, 2, 2, 3), value, dtype=torch.uint8)
        return EvalVideo(row, 0, f"{row}.mp4", frames, ViewGrid(np.array([[0]]), np.array([[0, 2, 0, 2]])), None)


@pytest.mark.parametrize(
    ("total", "count", "rows"),
    [(6, 3, [0, 2, 5, 1, 3, 4]), (3, 5, [0, 1, 2]), (1, 4, [0]), (5, 1, [0, 1, 2, 3, 4]), (0, 4, [])],
)
def test_rows_are_spread_over_the_list_and_the_others_follow(total, count, rows):
    assert list(spread(total, count)) == rows


def test_video_that_cannot_be_read_is_replaced_and_reported():
    found = sample_clips(Videos([None, 11, 12, 13, 14, 15]), 3)
    assert found.clips[:, 0, 0, 0, 0].tolist() == [12, 15, 11]
    assert found.failures == [Failure("0.mp4", "cut")]


def test_list_without_a_readable_video_is_an_error_that_shows_the_first():
    with pytest.raises(DataError, match=r"None of the 2 videos of the list can be read \(0\.mp4: cut\); at least one must be\."):
        sample_clips(Videos([None, None]), 2)


def test_middle_view_is_the_one_in_the_middle_of_the_grid():
    frames = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 2, 2, 3)
    views = ViewGrid(np.array([[0], [1], [2]]), np.array([[0, 2, 0, 2]] * 3))
    assert middle_view(EvalVideo(0, 0, "a", frames, views, None)).unique().tolist() == [1]


def test_noise_is_the_same_in_every_run():
    first, again = (noise_clips(2, clip_len=1, size=4) for _ in range(2))
    assert torch.equal(first, again) and first.shape == (2, 1, 4, 4, 3) and first.dtype == torch.uint8
