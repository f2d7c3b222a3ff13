"""Mixup and cutmix of a batch."""

import torch

from vidrec.data.augment import AugmentPlan, Op, PairMix
from vidrec.data.mixing import BatchAugment, mix_pairs, partner


def batch(values):
    """Clips [B, 2, 4, 4, 3] of one gray each."""
    return torch.stack([torch.full((2, 4, 4, 3), value, dtype=torch.uint8) for value in values])


def plans(*pairs):
    return [AugmentPlan(pair=pair) for pair in pairs]


def test_partners_are_neighbours_and_the_same_repeat():
    assert [partner(place) for place in range(6)] == [1, 0, 3, 2, 5, 4]
    assert [partner(place, 2) for place in range(8)] == [2, 3, 0, 1, 6, 7, 4, 5]
    assert [partner(place, 3) for place in range(6)] == [3, 4, 5, 0, 1, 2]


def test_mixup_blends_both_clips_and_their_labels():
    blend = PairMix(0.75, None)
    clips, labels = mix_pairs(batch([100, 20, 7, 9]), torch.tensor([0, 1, 2, 2]), plans(blend, blend, None, None), num_classes=3)
    assert clips.dtype == torch.uint8 and clips[:, 0, 0, 0, 0].tolist() == [80, 40, 7, 9]
    assert labels.tolist() == [[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0, 1], [0, 0, 1]]


def test_blended_pixels_are_rounded_not_cut_off():
    blend = PairMix(0.5, None)
    clips, _ = mix_pairs(batch([255, 254]), torch.tensor([0, 1]), plans(blend, blend), num_classes=2)
    assert clips.unique().tolist() == [254]  # 254.5 to the even neighbour


def test_cutmix_puts_the_partners_box_into_all_frames():
    cut = PairMix(0.75, (0, 2, 1, 3))
    clips, labels = mix_pairs(batch([100, 20]), torch.tensor([2, 0]), plans(cut, cut), num_classes=3)
    assert clips[0, :, :2, 1:3].unique().tolist() == [20] and clips[1, :, :2, 1:3].unique().tolist() == [100]
    assert (clips[0] == 100).sum() == 2 * 12 * 3
    assert labels.tolist() == [[0.25, 0, 0.75], [0.75, 0, 0.25]]


def test_shares_of_a_multi_label_batch_are_mixed_too():
    blend = PairMix(0.5, None)
    _, labels = mix_pairs(batch([1, 1]), torch.tensor([[1.0, 1, 0], [0, 0, 1]]), plans(blend, blend), num_classes=3)
    assert labels.tolist() == [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]


def test_the_whole_plan_or_only_the_mixing():
    dark = [AugmentPlan(ops=(Op("brightness", 0.5),), pair=PairMix(0.5, None))] * 2
    common = {"num_classes": 2, "clips_per_video": 1, "mean": (0.0, 0.0, 0.0)}
    clips, labels = batch([100, 20]), torch.tensor([0, 1])
    assert BatchAugment(**common, mixes=True)(clips, labels, dark)[0].unique().tolist() == [30]
    assert BatchAugment(**common, mixes=True, whole=False)(clips, labels, dark)[0].unique().tolist() == [60]
    dimmed, same = BatchAugment(**common, mixes=False)(clips, labels, dark)
    assert dimmed[:, 0, 0, 0, 0].tolist() == [50, 10] and same is labels
