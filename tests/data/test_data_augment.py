"""What is drawn for a clip, and what it does to the pixels."""

import numpy as np
import pytest
import torch

from vidrec.data.augment import (
    RAND_SPACE,
    AugmentPlan,
    AugMix,
    Chain,
    ClipAugment,
    ColorJitter,
    Erase,
    Mixing,
    Op,
    PairMix,
    RandAugment,
    RandomErasing,
)
from vidrec.data.augment_ops import _FUNCTIONS, apply_plan

EVERYTHING = ClipAugment(
    color=ColorJitter(0.4, 0.4, 0.4, 0.1),
    rand=RandAugment(2, 9),
    augmix=AugMix(),
    erasing=RandomErasing(prob=1.0),
    mixing=Mixing(mixup_alpha=0.8, cutmix_alpha=1.0),
)
MEAN = (0.5, 0.25, 0.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(frames=3, size=16):
    """A clip whose frames are all the same picture."""
    frame = rng(1).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    return torch.from_numpy(np.repeat(frame, frames, axis=0))


def applied(*ops, clip=None, **plan):
    return apply_plan(picture() if clip is None else clip, AugmentPlan(ops=tuple(ops), **plan), MEAN)


def test_a_plan_depends_on_its_generators_and_nothing_else():
    torch.manual_seed(0)
    plans = [EVERYTHING.draw(rng(seed), 16, pair_rng=rng(7)) for seed in (0, 0, 1)]
    torch.manual_seed(1)
    assert plans[0] == plans[1] == EVERYTHING.draw(rng(0), 16, pair_rng=rng(7))
    assert plans[0] != plans[2] and plans[0].pair == plans[2].pair
    before = torch.random.get_rng_state()
    apply_plan(picture(), plans[0], MEAN)
    assert torch.equal(before, torch.random.get_rng_state())


def test_nothing_on_draws_and_does_nothing():
    generator = rng()
    plan = ClipAugment().draw(generator, 16, pair_rng=rng())
    assert plan == AugmentPlan() and generator.random() == rng().random()
    clip = picture()
    assert apply_plan(clip, plan, MEAN) is clip


@pytest.mark.parametrize("name", RAND_SPACE)
def test_every_operation_treats_all_frames_alike_and_stays_uint8(name):
    full, _ = RAND_SPACE[name]
    amount = {"posterize": 5.0, "solarize": 100.0, "translate_x": 3.0, "translate_y": 3.0}.get(name, 0.3 if full else 0.0)
    clip = applied(Op(name, amount))
    assert clip.dtype == torch.uint8 and clip.shape == (3, 16, 16, 3) and clip.is_contiguous()
    assert torch.equal(clip[0], clip[1]) and torch.equal(clip[0], clip[2])
    assert torch.equal(clip, picture()) == (name == "identity")
    assert set(RAND_SPACE) | {"hue"} == set(_FUNCTIONS)


@pytest.mark.parametrize(
    ("op", "value"),
    [
        (Op("brightness", 0.5), 50),
        (Op("posterize", 3.0), 96),
        (Op("solarize", 90.0), 155),
        (Op("solarize", 101.0), 100),
        (Op("brightness", 2.0), 200),
    ],
)
def test_what_operations_do_to_a_gray_of_100(op, value):
    gray = torch.full((2, 4, 4, 3), 100, dtype=torch.uint8)
    assert applied(op, clip=gray).unique().tolist() == [value]


def test_translation_moves_by_whole_pixels_and_fills_with_black():
    moved = applied(Op("translate_x", 3.0))
    assert torch.equal(moved[:, :, 3:], picture()[:, :, :-3]) and not moved[:, :, :3].any()
    moved = applied(Op("translate_y", -2.0))
    assert torch.equal(moved[:, :-2], picture()[:, 2:]) and not moved[:, -2:].any()


def test_operations_follow_one_another():
    assert torch.equal(
        applied(Op("brightness", 0.5), Op("posterize", 3.0)), applied(Op("posterize", 3.0), clip=applied(Op("brightness", 0.5)))
    )


def test_augmix_adds_its_chains_by_their_shares():
    black, half = Chain(0.25, (Op("brightness", 0.0),)), Chain(0.5, (Op("brightness", 0.5),))
    gray = torch.full((2, 4, 4, 3), 100, dtype=torch.uint8)
    assert applied(clip=gray, chains=(black, half)).unique().tolist() == [50]  # 0.25 * 100 + 0.25 * 0 + 0.5 * 50


def test_erasing_fills_one_box_in_all_frames():
    clip = applied(erase=Erase(2, 6, 3, 9, -1))
    assert clip[:, 2:6, 3:9].reshape(-1, 3).unique(dim=0).tolist() == [[128, 64, 0]]
    noisy = applied(erase=Erase(2, 6, 3, 9, 5))
    inside = noisy[:, 2:6, 3:9]
    assert torch.equal(inside[0], inside[2]) and len(inside.unique()) > 20
    assert torch.equal(noisy, applied(erase=Erase(2, 6, 3, 9, 5))) and not torch.equal(noisy, applied(erase=Erase(2, 6, 3, 9, 6)))
    for changed in (clip, noisy):
        changed[:, 2:6, 3:9] = picture()[:, 2:6, 3:9]
        assert torch.equal(changed, picture())


def test_color_jitter_draws_within_its_spans_in_any_order():
    drawn = [ColorJitter(brightness=0.4, contrast=2.0, hue=0.1).draw(rng(seed)) for seed in range(200)]
    amounts = {name: [op.amount for ops in drawn for op in ops if op.name == name] for name in ("brightness", "contrast", "hue")}
    assert 0.6 <= min(amounts["brightness"]) < 0.65 and 1.35 < max(amounts["brightness"]) <= 1.4
    assert 0.0 <= min(amounts["contrast"]) < 0.1 and 2.9 < max(amounts["contrast"]) <= 3.0
    assert -0.1 <= min(amounts["hue"]) < -0.09
    assert len({tuple(op.name for op in ops) for ops in drawn}) == 6
    assert 20 <= sum(bool(ColorJitter(0.4, prob=0.25).draw(rng(seed))) for seed in range(200)) <= 80


def test_rand_augment_draws_each_operation_at_its_strength():
    drawn = [op for seed in range(300) for op in RandAugment(2, 15).draw(rng(seed), 331)]
    assert len(drawn) == 600 and {op.name for op in drawn} == set(RAND_SPACE)
    amounts = {name: sorted({round(op.amount, 4) for op in drawn if op.name == name}) for name in RAND_SPACE}
    assert amounts["rotate"] == [-15.0, 15.0] and amounts["translate_x"] == [-75.0, 75.0] and amounts["shear_y"] == [-0.15, 0.15]
    assert amounts["brightness"] == [0.55, 1.45] and amounts["posterize"] == [6.0] and amounts["solarize"] == [127.5]
    assert amounts["equalize"] == amounts["identity"] == [0.0]


def test_augmix_draws_chains_whose_shares_leave_room_for_the_clip():
    drawn = [AugMix(severity=3, width=3).draw(rng(seed), 100) for seed in range(100)]
    assert {len(chains) for chains in drawn} == {3} and {len(chain.ops) for chains in drawn for chain in chains} == {1, 2, 3}
    assert all(0 <= sum(chain.share for chain in chains) <= 1 for chains in drawn)
    assert {len(chain.ops) for chain in AugMix(depth=2).draw(rng(), 100)} == {2}
    assert "brightness" not in {op.name for chains in drawn for chain in chains for op in chain.ops}


def test_erased_boxes_lie_inside_and_have_the_area_asked_for():
    drawn = [RandomErasing(prob=1.0, area=(0.1, 0.2), aspect=(0.5, 2.0)).draw(rng(seed), 100) for seed in range(200)]
    areas = [(box.y1 - box.y0) * (box.x1 - box.x0) / 1e4 for box in drawn]
    assert min(areas) > 0.09 and max(areas) < 0.21
    assert min(box.y0 for box in drawn) >= 0 and max(box.x1 for box in drawn) <= 100
    assert RandomErasing(prob=1.0, fill="mean").draw(rng(), 100).seed == -1
    assert RandomErasing(prob=0.0).draw(rng(), 100) is None


def test_pairs_are_blended_or_cut_and_the_share_is_that_of_the_pixels():
    blended = [Mixing(mixup_alpha=0.2).draw(rng(seed), 100) for seed in range(100)]
    assert all(pair.box is None and 0 <= pair.share <= 1 for pair in blended)
    cut = [Mixing(cutmix_alpha=1.0).draw(rng(seed), 100) for seed in range(100)]
    for share, (y0, y1, x0, x1) in cut:
        assert share == pytest.approx(1 - (y1 - y0) * (x1 - x0) / 1e4) and 0 <= y0 <= y1 <= 100
    both = [Mixing(0.2, 1.0, prob=0.5).draw(rng(seed), 100) for seed in range(400)]
    kinds = [("none" if pair is None else "cut" if pair.box else "blend") for pair in both]
    assert 160 < kinds.count("none") < 240 and 60 < kinds.count("cut") < 140 and 60 < kinds.count("blend") < 140
    assert PairMix(0.5, None) == PairMix(share=0.5, box=None)
