"""The values that the keys of training may take, and what they demand of each other and of the clips."""

from collections.abc import Iterator

from yacs.config import CfgNode

from vidrec.config.recipe_rules import RECIPE_RULES, recipe_rules
from vidrec.config.rule import RISING_EPOCHS, Rule, at_least, one_of

_GRID = "CONFIG.TRAIN.MULTIGRID."

TRAINING_RULES: dict[str, Rule] = {
    **RECIPE_RULES,
    "CONFIG.TRAIN.EPOCH_NUM": at_least(1, "epoch"),
    "CONFIG.TRAIN.BATCH_SIZE": at_least(1, "clip"),
    "CONFIG.TRAIN.LOSS": one_of("softmax", "bce", "focal"),
    "CONFIG.TRAIN.LABEL_SMOOTHING": Rule(lambda value: 0 <= value < 1, "from 0 to below 1"),
    "CONFIG.TRAIN.CLASS_WEIGHTS": Rule(
        lambda weights: weights in ("balanced", []) or (isinstance(weights, list) and min(weights) >= 0 < max(weights)),
        "balanced, or a list of numbers from 0, one for each class and not all 0",
    ),
    "CONFIG.TRAIN.FOCAL_GAMMA": at_least(0),
    "CONFIG.TRAIN.BN_SUB_BATCH": at_least(0, "clips"),
    "CONFIG.TRAIN.RESUME_EPOCH": at_least(-1),
    "CONFIG.TRAIN.MAX_HOURS": at_least(0),
    "CONFIG.TRAIN.SEED": Rule(lambda value: 0 <= value < 2**63, "from 0 to 2**63 - 1"),
    "CONFIG.TRAIN.NAN_POLICY": one_of("stop", "skip"),
    "CONFIG.TRAIN.NAN_SKIPS": at_least(1, "update"),
    "CONFIG.TRAIN.NAN_LOSS": at_least(0),
    "CONFIG.TRAIN.NAN_GRAD_NORM": at_least(0),
    "CONFIG.TRAIN.MULTIGRID.LONG_CYCLE_EPOCH": RISING_EPOCHS,
}


def training_rules(config: CfgNode) -> Iterator[tuple[list[str], str]]:
    """(the keys in play, what is wrong) for every rule that is broken."""
    yield from recipe_rules(config.TRAIN, config.MODEL)
    yield from _schedule_rules(config.TRAIN, config.LOG)
    yield from _batch_rules(config.TRAIN, config.DATA)
    yield from _loss_rules(config.TRAIN, config.DATA)
    yield from _multigrid_rules(config.TRAIN, config.DATA)


def _schedule_rules(train: CfgNode, log: CfgNode) -> Iterator[tuple[list[str], str]]:
    if train.USE_WARMUP and train.WARMUP_EPOCHS >= train.EPOCH_NUM:
        yield (
            ["CONFIG.TRAIN.WARMUP_EPOCHS", "CONFIG.TRAIN.EPOCH_NUM", "CONFIG.TRAIN.USE_WARMUP"],
            (f"CONFIG.TRAIN.WARMUP_EPOCHS is {train.WARMUP_EPOCHS} of {train.EPOCH_NUM} epochs (EPOCH_NUM); the warm-up must end before."),
        )
    if train.RESUME and train.RESUME_EPOCH >= 0:
        yield (
            ["CONFIG.TRAIN.RESUME_EPOCH", "CONFIG.TRAIN.RESUME"],
            (f"CONFIG.TRAIN.RESUME is {train.RESUME!r} and RESUME_EPOCH is {train.RESUME_EPOCH}; set one of them."),
        )
    if (train.RESUME == "auto" or train.RESUME_EPOCH >= 0) and log.EXP_NAME.endswith("use_time"):
        yield (
            ["CONFIG.TRAIN.RESUME", "CONFIG.TRAIN.RESUME_EPOCH", "CONFIG.LOG.EXP_NAME"],
            (
                f"CONFIG.LOG.EXP_NAME is {log.EXP_NAME!r}, a new folder at every start, so there is no run to resume;"
                " give the run a name of its own there."
            ),
        )


def _batch_rules(train: CfgNode, data: CfgNode) -> Iterator[tuple[list[str], str]]:
    batch, clips, mix = train.BATCH_SIZE, data.CLIPS_PER_VIDEO, data.AUG.MIX
    if train.BN_SUB_BATCH and batch % train.BN_SUB_BATCH:
        text = f"CONFIG.TRAIN.BN_SUB_BATCH is {train.BN_SUB_BATCH} and BATCH_SIZE is {batch} clips; the batch must be a multiple of it: "
        yield ["CONFIG.TRAIN.BN_SUB_BATCH", "CONFIG.TRAIN.BATCH_SIZE"], text + "change one of the two."
    keys = ["CONFIG.DATA.CLIPS_PER_VIDEO", "CONFIG.TRAIN.BATCH_SIZE"]
    mixing = [key for key in ("MIXUP_ALPHA", "CUTMIX_ALPHA") if mix[key] and mix.PROB]
    if batch % clips:
        text = f"{keys[0]} is {clips} and {keys[1]} is {batch} clips; the batch must be a multiple of it: change one of the two."
        yield keys, text
    elif mixing and batch // clips % 2:
        text = f"CONFIG.DATA.AUG.MIX.{mixing[0]} is {mix[mixing[0]]} and a batch has {batch // clips} videos (BATCH_SIZE over "
        text += "CLIPS_PER_VIDEO); clips are mixed in pairs, so they must be an even number: change CONFIG.TRAIN.BATCH_SIZE."
        yield [f"CONFIG.DATA.AUG.MIX.{mixing[0]}", *keys], text


def _loss_rules(train: CfgNode, data: CfgNode) -> Iterator[tuple[list[str], str]]:
    keys, weights = ["CONFIG.TRAIN.CLASS_WEIGHTS", "CONFIG.DATA.NUM_CLASSES"], train.CLASS_WEIGHTS
    if isinstance(weights, list) and len(weights) not in (0, data.NUM_CLASSES):
        text = f"CONFIG.TRAIN.CLASS_WEIGHTS has {len(weights)} numbers; it must have one for each of the {data.NUM_CLASSES} classes "
        yield keys, text + "(CONFIG.DATA.NUM_CLASSES): change one of the two, or write balanced."


def _multigrid_rules(train: CfgNode, data: CfgNode) -> Iterator[tuple[list[str], str]]:
    grid, epochs = train.MULTIGRID, train.MULTIGRID.LONG_CYCLE_EPOCH
    switches = [f"{_GRID}{key}" for key in ("USE_LONG_CYCLE", "USE_SHORT_CYCLE") if grid[key]]
    if not switches:
        return
    if data.CROP_SIZE < 64 or data.CROP_SIZE % (32 if data.CROP_SIZE >= 160 else 16):  # data.multigrid.size_unit
        text = f"CONFIG.DATA.CROP_SIZE is {data.CROP_SIZE} pixels; multigrid training needs at least 64, a multiple of 16, and from 160 "
        yield [*switches, "CONFIG.DATA.CROP_SIZE"], text + "on of 32: change it, or switch CONFIG.TRAIN.MULTIGRID off."
    if not grid.USE_LONG_CYCLE:
        return
    keys = [f"{_GRID}LONG_CYCLE_EPOCH", switches[0]]
    if not epochs or epochs[-1] >= train.EPOCH_NUM:
        text = f"{keys[0]} is {list(epochs)} of {train.EPOCH_NUM} epochs (EPOCH_NUM); it must name epochs before the end, from the last of "
        yield [*keys, "CONFIG.TRAIN.EPOCH_NUM"], text + "which on clips have their full shape: change it."
    step = 2 if len(epochs) < 3 else 4
    if data.CLIP_LEN % step:
        text = f"CONFIG.DATA.CLIP_LEN is {data.CLIP_LEN} frames; a long cycle of {len(epochs) + 1} stages takes every {step}th of them, so "
        text += f"it must be a multiple of {step}: change it, or use only {_GRID}USE_SHORT_CYCLE."
        yield [switches[0], keys[0], "CONFIG.DATA.CLIP_LEN"], text
