"""What is wrong with the numbers of a component, said all at once and by the keys of the config."""

import math
from typing import Any

from vidrec.utils.errors import ConfigError

BACKBONE, NECK, HEAD = "CONFIG.MODEL.BACKBONE", "CONFIG.MODEL.NECK", "CONFIG.MODEL.HEAD"


class Mistakes:
    """Collects the mistakes in the arguments of one component.

    Args:
        section: the component's place in the config, said in the messages.

    Example:
        mistakes = Mistakes(BACKBONE)
        mistakes.unless(width >= 1, f"WIDTH is {width}; it must be at least 1 channel. Give 64.")
        mistakes.raise_all()
    """

    def __init__(self, section: str):
        self.section = section
        self.found: list[str] = []

    def unless(self, holds: bool, message: str) -> None:
        """Adds the message, which begins with the key, where the condition does not hold."""
        if not holds:
            self.found.append(f"{self.section}.{message}")

    def raise_all(self) -> None:
        """Raises ConfigError with everything found so far, if anything is."""
        if self.found:
            raise ConfigError(self.found)

    def at_least_1(self, **arguments: int) -> None:
        for name, value in arguments.items():
            self.unless(value >= 1, f"{name.upper()} is {value}; it must be at least 1. Raise it, or leave it out for the default.")

    def odd(self, **kernels: int) -> None:
        for name, value in kernels.items():
            self.unless(value >= 1 and value % 2 == 1, f"{name.upper()} is {value}; it must be odd and at least 1. Give 1, 3, 5 or 7.")

    def share(self, **arguments: float) -> None:
        for name, value in arguments.items():
            self.unless(0 <= value <= 1, f"{name.upper()} is {value}; it must lie in [0, 1]. Leave it out for the default.")

    def rate(self, **arguments: float) -> None:
        for name, value in arguments.items():
            self.unless(0 <= value < 1, f"{name.upper()} is {value}; it must be from 0 to below 1. Give 0 for none, or 0.1 to 0.5.")

    def above_0(self, **arguments: float) -> None:
        for name, value in arguments.items():
            self.unless(0 < value < math.inf, f"{name.upper()} is {value}; it must be above 0. Leave it out for the default.")

    def strides(self, **strides: tuple[int, ...]) -> None:
        for name, values in strides.items():
            good = len(values) == 3 and min(values) >= 1
            self.unless(good, f"{name.upper()} is {list(values)}; it must have 3 numbers, each at least 1. Give (t, h, w).")

    def one_per_stage(self, stages: int, **arguments: tuple[Any, ...]) -> None:
        for name, values in arguments.items():
            what = f"{name.upper()} has {len(values)} entries; the network has {stages} stages."
            self.unless(len(values) == stages, f"{what} Give one entry per stage.")

    def temporal_kernels(self, stages: int, **arguments: tuple[tuple[int, ...], ...]) -> None:
        """One entry per stage, each of odd numbers; () stands for 1 everywhere."""
        self.one_per_stage(stages, **{name: values for name, values in arguments.items() if values})
        for name, values in arguments.items():
            for stage, kernels in enumerate(values):
                good = kernels and all(kernel >= 1 and kernel % 2 == 1 for kernel in kernels)
                what = f"{name.upper()} of stage {stage} is {list(kernels)}; it must hold odd numbers, at least one."
                self.unless(good, f"{what} Write [1] for none in time.")

    def temporal_pools(self, stages: int, pools: tuple[int, ...]) -> None:
        self.one_per_stage(stages, temporal_pools=pools)
        good = all(pool >= 1 for pool in pools)
        self.unless(good, f"TEMPORAL_POOLS is {list(pools)}; every factor must be at least 1. Give 1 for no pool after a stage.")

    def nonlocal_blocks(self, stage_blocks: tuple[int, ...], chosen: tuple[tuple[int, ...], ...]) -> None:
        """One entry per stage, each of indices of its blocks; () stands for none anywhere."""
        if chosen:
            self.one_per_stage(len(stage_blocks), nonlocal_blocks=chosen)
        for stage, (count, blocks) in enumerate(zip(stage_blocks, chosen, strict=False)):
            for block in blocks:
                what = f"NONLOCAL_BLOCKS names block {block} of stage {stage}; that stage has blocks 0 to {count - 1}."
                self.unless(0 <= block < count, f"{what} Name one of those.")

    def two_levels(self, **arguments: tuple[int, ...]) -> None:
        for name, values in arguments.items():
            good = len(values) == 2 and min(values) >= 1
            self.unless(good, f"{name.upper()} is {list(values)}; it must have 2 numbers, each at least 1. Give the fine level's first.")

    def out_stages(self, stages: int, out_stages: int) -> None:
        message = f"OUT_STAGES is {out_stages}; it must be 1 to {stages}, the number of stages. Give 1 for the last one."
        self.unless(1 <= out_stages <= stages, message)
