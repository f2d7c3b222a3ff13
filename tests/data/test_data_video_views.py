"""Views are slices of the frames of their video, whatever the clip, the crop and the side it is seen from."""

import numpy as np
import pytest
import torch

from vidrec.data.transforms import VideoViews, cut_views, empty_clips, mirror_frames, normalize_clips, normalize_views
from vidrec.data.view_crops import make_crops
from vidrec.data.views import make_views

EVEN = [[0, 2, 4], [2, 4, 6], [0, 2, 4]]
SHORT = [[0, 1, 1], [1, 1, 1]]  # a video of two frames, whose last one is repeated
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)


def ten_crops(clips, *, device="cpu", num_crops=10):
    """Frames of noise, 5 x 8, and the grid of the crops of `clips`, 4 x 4."""
    unique, grid = make_views(np.array(clips), *make_crops("corners", 5, 8, crop_size=4, num_crops=num_crops))
    frames = torch.randint(0, 256, (len(unique), 5, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return frames.to(device), grid


def memory(tensor):
    return tensor.untyped_storage().data_ptr()


@pytest.mark.parametrize("clips", [EVEN, [[0, 2, 4], [1, 3, 5]], [[3], [5]], [[0, 1, 3], [1, 3, 4]], SHORT, [[2, 1, 0], [0, 1, 2]]])
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_every_view_has_the_pixels_of_its_frames_and_box(clips, device):
    frames, grid = ten_crops(clips, device=device)
    views = VideoViews(frames, grid)
    assert len(views) == 10 * len(clips)
    for view in [*range(len(views)), *np.random.default_rng(0).permutation(len(views)).tolist()]:
        y0, y1, x0, x1 = grid.boxes[view]
        expected = torch.stack([frames[place] for place in grid.positions[view].tolist()])[:, y0:y1, x0:x1]
        assert torch.equal(views[view], expected.flip(2) if grid.flips[view] else expected)


def test_evenly_spaced_views_are_slices_of_the_frames():
    for clips in (EVEN, [[3], [5]], [[0, 1, 2], [1, 2, 3]], [[0, 2, 4], [1, 3, 5]], [[1, 5, 9], [2, 6, 10], [4, 8, 12]]):
        frames, grid = ten_crops(clips, num_crops=5)
        assert {memory(view) for view in VideoViews(frames, grid)} == {memory(frames)}


def test_mirrored_views_are_slices_of_one_mirrored_copy():
    frames, grid = ten_crops(EVEN)
    views = VideoViews(frames, grid)
    plain, mirrored = ({memory(views[view]) for view in np.flatnonzero(grid.flips == side)} for side in (False, True))
    assert plain == {memory(frames)}
    assert len(mirrored) == 1 and mirrored != plain


def test_a_clip_that_is_not_evenly_spaced_is_copied_once_for_all_its_crops():
    frames, grid = ten_crops([[0, 1, 4], [1, 2, 3]], num_crops=5)
    assert grid.positions[0].tolist() == [0, 1, 4]
    cut = list(VideoViews(frames, grid))
    first, second = ({memory(view) for view in part} for part in (cut[:5], cut[5:]))
    assert len(first) == 1 and first != {memory(frames)}
    assert second == {memory(frames)}


def test_views_cut_together_are_a_copy():
    frames, grid = ten_crops(EVEN)
    views = cut_views(frames, grid, 3, 8)
    assert tuple(views.shape) == (5, 3, 4, 4, 3)
    assert torch.equal(views, torch.stack([VideoViews(frames, grid)[view] for view in range(3, 8)]))
    views.zero_()
    assert int(frames.max()) > 200


def test_mirroring_leaves_the_frames_and_turns_every_one():
    frames = torch.arange(2 * 3 * 4 * 3, dtype=torch.uint8).reshape(2, 3, 4, 3)
    kept = frames.clone()
    assert torch.equal(mirror_frames(frames), frames.flip(2))
    assert torch.equal(frames, kept)


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_batch_of_slices_has_the_values_of_a_batch_of_copies(device):
    frames, grid = ten_crops(EVEN, device=device)
    mean, std = (0.5, 0.2, 0.0), (0.25, 0.5, 1.0)
    views = list(VideoViews(frames, grid))[3:9]
    batch = normalize_views(views, mean, std)
    assert (tuple(batch.shape), batch.dtype, batch.device) == ((6, 3, 3, 4, 4), torch.float32, frames.device)
    assert torch.equal(batch, normalize_clips(torch.stack(views), mean, std))


@pytest.mark.parametrize(("shape", "dtype"), [((2, 3, 4), torch.float32), ((5, 3), torch.uint8), ((0, 3), torch.float32)])
def test_empty_clips_have_the_shape_and_type_and_can_be_written(shape, dtype):
    clips = empty_clips(shape, dtype, torch.device("cpu"))
    assert (tuple(clips.shape), clips.dtype, clips.is_contiguous()) == (shape, dtype, True)
    assert bool((clips.fill_(7) == 7).all())
    assert empty_clips(shape, dtype, torch.device("meta")).is_meta
