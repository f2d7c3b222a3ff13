"""The values that the keys of a training recipe may take: optimizer, learning rate and what belongs to them."""

from collections.abc import Iterator

from yacs.config import CfgNode

from vidrec.config.rule import RISING_EPOCHS, Rule, above, at_least, one_of

_TRAIN = "CONFIG.TRAIN."
_SHARE = Rule(lambda value: 0 <= value < 1, "from 0 to below 1")

RECIPE_RULES: dict[str, Rule] = {
    f"{_TRAIN}OPTIMIZER": one_of("SGD", "AdamW", "LARS"),
    f"{_TRAIN}LR": above(0),
    f"{_TRAIN}MOMENTUM": _SHARE,
    f"{_TRAIN}BETAS": Rule(lambda betas: len(betas) == 2 and all(0 <= beta < 1 for beta in betas), "two numbers from 0 to below 1"),
    f"{_TRAIN}EPS": above(0),
    f"{_TRAIN}TRUST": above(0),
    f"{_TRAIN}W_DECAY": at_least(0),
    f"{_TRAIN}LAYER_DECAY": Rule(lambda value: 0 < value <= 1, "above 0 and at most 1"),
    f"{_TRAIN}HEAD_LR_MULT": above(0),
    f"{_TRAIN}LR_POLICY": one_of("Step", "Cosine", "Linear", "Poly", "Constant"),
    f"{_TRAIN}LR_PER": one_of("epoch", "step"),
    f"{_TRAIN}LR_MILESTONE": RISING_EPOCHS,
    f"{_TRAIN}STEP": above(0),
    f"{_TRAIN}LR_END": at_least(0),
    f"{_TRAIN}POLY_POWER": above(0),
    f"{_TRAIN}LR_SCALE_BATCH": at_least(0),
    f"{_TRAIN}WARMUP_EPOCHS": at_least(0),
    f"{_TRAIN}WARMUP_START_LR": at_least(0),
    f"{_TRAIN}WARMUP_TO_LR": at_least(0),
    f"{_TRAIN}CLIP_NORM": at_least(0),
    f"{_TRAIN}CLIP_VALUE": at_least(0),
    f"{_TRAIN}HEAD_WARMUP_EPOCHS": at_least(0),
    f"{_TRAIN}EMA.DECAY": _SHARE,
    f"{_TRAIN}EMA.VALIDATE": one_of("both", "ema"),
    f"{_TRAIN}PRECISE_BN": at_least(0),
}


def recipe_rules(train: CfgNode, model: CfgNode) -> Iterator[tuple[list[str], str]]:
    """(the keys in play, what is wrong) for every rule that is broken."""
    yield from _optimizer_rules(train)
    yield from _norm_rules(train, model)
    if train.CLIP_NORM and train.CLIP_VALUE:
        yield (
            [f"{_TRAIN}CLIP_NORM", f"{_TRAIN}CLIP_VALUE"],
            (
                f"CONFIG.TRAIN.CLIP_NORM is {train.CLIP_NORM:g} and CLIP_VALUE is {train.CLIP_VALUE:g};"
            " gradients are clipped in one way: set one."
            ),
        )
    if train.HEAD_WARMUP_EPOCHS >= train.EPOCH_NUM:
        yield (
            [f"{_TRAIN}HEAD_WARMUP_EPOCHS", f"{_TRAIN}EPOCH_NUM"],
            (
                f"CONFIG.TRAIN.HEAD_WARMUP_EPOCHS is {train.HEAD_WARMUP_EPOCHS} of {train.EPOCH_NUM} epochs (EPOCH_NUM);"
            " the rest of the network"
                " would never train: lower it, or freeze the network with CONFIG.MODEL.FROZEN_STAGES."
            ),
        )


def _norm_rules(train: CfgNode, model: CfgNode) -> Iterator[tuple[list[str], str]]:
    still = [f"CONFIG.MODEL.{key}" for key in ("BN_EVAL", "USE_AFFINE") if model[key]]
    sync, parts = "CONFIG.MODEL.SYNC_BN", f"{_TRAIN}BN_SUB_BATCH"
    if model.SYNC_BN and train.BN_SUB_BATCH:
        text = f"{sync} is True, BatchNorm over all processes, and {parts} is {train.BN_SUB_BATCH}, over parts of each one's clips"
        yield [sync, parts], f"{text}; set one of them."
    for key, on in ((sync, model.SYNC_BN), (parts, train.BN_SUB_BATCH), (f"{_TRAIN}PRECISE_BN", train.PRECISE_BN)):
        if on and still:
            yield (
                [key, still[0]],
                f"{key} is {on} and {still[0]} is True, which leaves no statistics to take from batches; set one of them.",
            )


def _optimizer_rules(train: CfgNode) -> Iterator[tuple[list[str], str]]:
    if train.NESTEROV and (train.OPTIMIZER != "SGD" or not train.MOMENTUM):
        yield (
            [f"{_TRAIN}{key}" for key in ("NESTEROV", "OPTIMIZER", "MOMENTUM")],
            (
                f"CONFIG.TRAIN.NESTEROV is True, OPTIMIZER {train.OPTIMIZER} and MOMENTUM {train.MOMENTUM:g};"
                " it is a form of SGD's momentum: take SGD with a momentum above 0, or set NESTEROV False."
            ),
        )
    if train.LR_END > train.LR and train.LR_POLICY in ("Cosine", "Linear", "Poly"):
        yield (
            [f"{_TRAIN}{key}" for key in ("LR_END", "LR", "LR_POLICY")],
            (f"CONFIG.TRAIN.LR_END is {train.LR_END:g} and LR is {train.LR:g}; {train.LR_POLICY} falls from LR to LR_END: lower LR_END."),
        )
