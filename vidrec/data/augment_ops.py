"""Applies the plan of a clip on uint8, with torchvision's functions, on whatever device the clip is.

torchvision's transform classes draw from torch's global generator; its functions take every number as an argument, and only these are
used here.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidrec.data.augment import AugmentPlan, Chain, Erase, Op


def apply_plan(clip: Tensor, plan: AugmentPlan, mean: Sequence[float]) -> Tensor:
    """The clip after color jitter, RandAugment, AugMix and erasing; mixing with its partner comes later.

    Args:
        clip: [T, S, S, 3] uint8.
        mean: RGB in [0, 1], the color of an erased box without noise.

    Returns:
        [T, S, S, 3] uint8 contiguous, on the device of the clip; the clip itself where nothing is to be done.
    """
    if plan.ops or plan.chains:
        planes = _mixed(_chained(clip.permute(0, 3, 1, 2), plan.ops), plan.chains)  # [T, 3, S, S]
        clip = planes.permute(0, 2, 3, 1).contiguous()
    return _erased(clip, plan.erase, mean) if plan.erase else clip


def _chained(planes: Tensor, ops: Sequence[Op]) -> Tensor:
    """[T, 3, S, S] uint8 after the operations, one after the other."""
    for op in ops:
        planes = _FUNCTIONS[op.name](_functional(), planes, op.amount)
    return planes


def _mixed(planes: Tensor, chains: Sequence[Chain]) -> Tensor:
    """The planes and their chains' results, added up by shares in float32 and rounded back to uint8."""
    if not chains:
        return planes
    mixture = planes.to(torch.float32).mul_(1.0 - sum(chain.share for chain in chains))
    for chain in chains:
        mixture.add_(_chained(planes, chain.ops).to(torch.float32), alpha=chain.share)
    return mixture.round_().clamp_(0, 255).to(torch.uint8)


def _erased(clip: Tensor, erase: Erase, mean: Sequence[float]) -> Tensor:
    """[T, S, S, 3] with the box filled in all frames alike."""
    shape = (erase.y1 - erase.y0, erase.x1 - erase.x0, 3)
    if erase.seed < 0:
        fill = np.broadcast_to(np.round(np.multiply(mean, 255)).astype(np.uint8), shape).copy()
    else:
        fill = np.random.default_rng(erase.seed).integers(0, 256, shape, dtype=np.uint8)
    clip = clip.clone()
    clip[:, erase.y0 : erase.y1, erase.x0 : erase.x1] = torch.from_numpy(fill).to(clip.device)
    return clip


def _functional() -> Any:
    import torchvision.transforms.v2.functional as functional  # takes seconds to import, and most trainings need none of it

    return functional


def _affine(functional: Any, planes: Tensor, *, shift: tuple[int, int] = (0, 0), slope: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Shifted by whole pixels and sheared by slopes (x, y) about the center, bilinear, black outside."""
    shear = [math.degrees(math.atan(value)) for value in slope]
    bilinear = functional.InterpolationMode.BILINEAR
    return functional.affine(planes, angle=0.0, translate=list(shift), scale=1.0, shear=shear, interpolation=bilinear)


_FUNCTIONS: dict[str, Callable[[Any, Tensor, float], Tensor]] = {
    "identity": lambda f, planes, _: planes,
    "brightness": lambda f, planes, factor: f.adjust_brightness(planes, factor),
    "contrast": lambda f, planes, factor: f.adjust_contrast(planes, factor),
    "saturation": lambda f, planes, factor: f.adjust_saturation(planes, factor),
    "sharpness": lambda f, planes, factor: f.adjust_sharpness(planes, factor),
    "hue": lambda f, planes, turns: f.adjust_hue(planes, turns),
    "shear_x": lambda f, planes, slope: _affine(f, planes, slope=(slope, 0.0)),
    "shear_y": lambda f, planes, slope: _affine(f, planes, slope=(0.0, slope)),
    "translate_x": lambda f, planes, pixels: _affine(f, planes, shift=(int(pixels), 0)),
    "translate_y": lambda f, planes, pixels: _affine(f, planes, shift=(0, int(pixels))),
    "rotate": lambda f, planes, degrees: f.rotate(planes, degrees, interpolation=f.InterpolationMode.BILINEAR),
    "posterize": lambda f, planes, bits: f.posterize(planes, int(bits)),
    "solarize": lambda f, planes, value: f.solarize(planes, value),
    "autocontrast": lambda f, planes, _: f.autocontrast(planes),
    "equalize": lambda f, planes, _: f.equalize(planes),
}
