"""What is done to a clip's pixels after the crop: drawn here as plain numbers, applied by `augment_ops` and `mixing`.

Every choice of a clip is one AugmentPlan, drawn from the clip's own generator, the same for all of its frames. So it is the same for any
number of workers and processes, after a resumption, and wherever it is applied: in the loader process or on the device.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

MAX_LEVEL = 30  # of RandAugment's magnitude
MAX_SEVERITY = 10  # of AugMix

# name -> (what it does at full strength, whether the sign is drawn): shears as slopes, translations as shares of the side, degrees,
# changes of a factor of 1, bits less than 8, share of the value range from which on it is inverted. None: there is no strength.
RAND_SPACE: dict[str, tuple[float | None, bool]] = {
    "identity": (None, False),
    "shear_x": (0.3, True),
    "shear_y": (0.3, True),
    "translate_x": (150 / 331, True),
    "translate_y": (150 / 331, True),
    "rotate": (30.0, True),
    "brightness": (0.9, True),
    "saturation": (0.9, True),
    "contrast": (0.9, True),
    "sharpness": (0.9, True),
    "posterize": (4.0, False),
    "solarize": (1.0, False),
    "autocontrast": (None, False),
    "equalize": (None, False),
}
# The paper leaves out what overlaps with the corruptions of its test set: brightness, saturation, contrast and sharpness.
MIX_SPACE = {name: RAND_SPACE[name] for name in ("shear_x", "shear_y", "rotate", "posterize", "solarize", "autocontrast", "equalize")} | {
    "translate_x": (1 / 3, True),
    "translate_y": (1 / 3, True),
}
_FACTORS = ("brightness", "contrast", "saturation", "sharpness")


class Op(NamedTuple):
    """One operation and its amount in the unit of `augment_ops`: a factor, degrees, pixels, bits or a value; 0 where it takes none."""

    name: str
    amount: float = 0.0


class Chain(NamedTuple):
    """Operations one after the other, and the share of their result in the mixture."""

    share: float
    ops: tuple[Op, ...]


class Erase(NamedTuple):
    """A box in pixels, the ends not included, that is filled: with noise of this seed, or with the mean color where it is -1."""

    y0: int
    y1: int
    x0: int
    x1: int
    seed: int


class PairMix(NamedTuple):
    """How a clip takes from its partner: `share` is its own part of the label; a box y0, y1, x0, x1 is cut in, None blends."""

    share: float
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class AugmentPlan:
    """Everything that happens to one clip after the crop, in this order."""

    ops: tuple[Op, ...] = ()
    chains: tuple[Chain, ...] = ()  # AugMix; what their shares leave to 1 is the clip's own
    erase: Erase | None = None
    pair: PairMix | None = None


@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast, saturation and hue in random order (Krizhevsky et al., NIPS 2012, in torchvision's form).

    Args:
        brightness, contrast, saturation: a factor is drawn from [max(0, 1 - v), 1 + v]; 0 leaves it out.
        hue: a shift is drawn from [-hue, hue] turns of the color circle, at most 0.5; 0 leaves it out.
        prob: of doing it at all.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    prob: float = 1.0

    def draw(self, rng: np.random.Generator) -> tuple[Op, ...]:
        if rng.random() >= self.prob:
            return ()
        spans = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}
        ops = [Op(name, rng.uniform(max(0.0, 1 - span), 1 + span)) for name, span in spans.items() if span > 0]
        ops += [Op("hue", rng.uniform(-self.hue, self.hue))] if self.hue > 0 else []
        return tuple(ops[place] for place in rng.permutation(len(ops)))


@dataclass(frozen=True)
class RandAugment:
    """num_ops of 14 operations, all at one strength (Cubuk et al., NeurIPS 2020).

    Args:
        magnitude: strength from 0 to 30.
        prob: of doing it at all.
    """

    num_ops: int = 2
    magnitude: float = 9.0
    prob: float = 1.0

    def draw(self, rng: np.random.Generator, size: int) -> tuple[Op, ...]:
        if rng.random() >= self.prob:
            return ()
        return tuple(_draw_op(rng, RAND_SPACE, self.magnitude / MAX_LEVEL, size) for _ in range(self.num_ops))


@dataclass(frozen=True)
class AugMix:
    """Several chains of operations mixed with each other and with the clip (Hendrycks et al., ICLR 2020), without the paper's extra loss.

    Args:
        severity: strengths are drawn from (0, severity], of 10.
        width: number of chains.
        depth: operations in each; 0: 1 to 3, drawn.
        alpha: of the Dirichlet and Beta distributions of the shares.
        prob: of doing it at all.
    """

    severity: float = 3.0
    width: int = 3
    depth: int = 0
    alpha: float = 1.0
    prob: float = 1.0

    def draw(self, rng: np.random.Generator, size: int) -> tuple[Chain, ...]:
        if rng.random() >= self.prob:
            return ()
        shares = rng.beta(self.alpha, self.alpha) * rng.dirichlet([self.alpha] * self.width)
        depths = [self.depth or int(rng.integers(1, 4)) for _ in shares]
        return tuple(
            Chain(
                float(share),
                tuple(_draw_op(rng, MIX_SPACE, rng.uniform(0.1, self.severity) / MAX_SEVERITY, size) for _ in range(depth)),
            )
            for share, depth in zip(shares, depths, strict=True)
        )


@dataclass(frozen=True)
class RandomErasing:
    """A box filled with noise or the mean color, the same in all frames (Zhong et al., AAAI 2020).

    Args:
        prob: of doing it at all.
        area: share of the clip's area, drawn evenly from this range.
        aspect: width over height, drawn evenly in its logarithm.
        fill: `noise`: every pixel of the box drawn anew; `mean`: DATA.MEAN, which is 0 to the network.
    """

    prob: float = 0.25
    area: tuple[float, float] = (0.02, 0.33)
    aspect: tuple[float, float] = (0.3, 3.3)
    fill: Literal["noise", "mean"] = "noise"

    def draw(self, rng: np.random.Generator, size: int) -> Erase | None:
        if rng.random() >= self.prob:
            return None
        pixels = size**2 * rng.uniform(*self.area)
        ratio = np.exp(rng.uniform(*np.log(self.aspect)))
        height, width = (min(max(round(float(np.sqrt(side))), 1), size) for side in (pixels / ratio, pixels * ratio))
        y, x = (int(rng.integers(size - side, endpoint=True)) for side in (height, width))
        seed = int(rng.integers(2**31)) if self.fill == "noise" else -1
        return Erase(y, y + height, x, x + width, seed)


@dataclass(frozen=True)
class Mixing:
    """Mixup (Zhang et al., ICLR 2018) or CutMix (Yun et al., ICCV 2019) of the two clips of a pair; both take the same from each other.

    Args:
        mixup_alpha, cutmix_alpha: of the Beta distribution of the share; 0 leaves that kind out.
        prob: of mixing a pair.
        cutmix_prob: of cutmix where both kinds are on.
    """

    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    prob: float = 1.0
    cutmix_prob: float = 0.5

    def draw(self, rng: np.random.Generator, size: int) -> PairMix | None:
        if rng.random() >= self.prob:
            return None
        cut = self.cutmix_alpha > 0 and (self.mixup_alpha == 0 or rng.random() < self.cutmix_prob)
        alpha = self.cutmix_alpha if cut else self.mixup_alpha
        share = float(rng.beta(alpha, alpha))
        if not cut:
            return PairMix(share, None)
        half = size * np.sqrt(1.0 - share) / 2
        y, x = rng.uniform(0, size, 2)
        y0, y1, x0, x1 = (int(np.clip(round(side), 0, size)) for side in (y - half, y + half, x - half, x + half))
        return PairMix(1.0 - (y1 - y0) * (x1 - x0) / size**2, (y0, y1, x0, x1))  # of the pixels that are really its own


@dataclass(frozen=True)
class ClipAugment:
    """The augmentations that are on."""

    color: ColorJitter | None = None
    rand: RandAugment | None = None
    augmix: AugMix | None = None
    erasing: RandomErasing | None = None
    mixing: Mixing | None = None

    def draw(self, rng: np.random.Generator, size: int, *, pair_rng: np.random.Generator) -> AugmentPlan:
        """The plan of a clip.

        Args:
            rng: of the clip.
            size: side of the clip, pixels.
            pair_rng: of the pair that is mixed; in the same state for both of its clips.
        """
        ops = self.color.draw(rng) if self.color else ()
        ops += self.rand.draw(rng, size) if self.rand else ()
        return AugmentPlan(
            ops=ops,
            chains=self.augmix.draw(rng, size) if self.augmix else (),
            erase=self.erasing.draw(rng, size) if self.erasing else None,
            pair=self.mixing.draw(pair_rng, size) if self.mixing else None,
        )


def _draw_op(rng: np.random.Generator, space: dict[str, tuple[float | None, bool]], strength: float, size: int) -> Op:
    """One operation of the space at a strength from 0 to 1."""
    name = list(space)[rng.integers(len(space))]
    full, signed = space[name]
    if full is None:
        return Op(name)
    amount = strength * full * (-1 if signed and rng.random() < 0.5 else 1)
    if name in _FACTORS:
        return Op(name, 1.0 + amount)
    if name.startswith("translate"):
        return Op(name, float(int(amount * size)))
    if name == "posterize":
        return Op(name, float(8 - round(amount)))
    return Op(name, 255.0 * (1.0 - amount)) if name == "solarize" else Op(name, amount)
