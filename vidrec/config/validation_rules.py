"""The values that the keys of validation may take, and what they demand of each other and of training."""

from collections.abc import Iterator

from yacs.config import CfgNode

from vidrec.config.rule import Rule, at_least

METRICS = ("map", "top1", "top5", "mean_class", "loss")
_VAL = "CONFIG.VAL."

VALIDATION_RULES: dict[str, Rule] = {
    f"{_VAL}FREQ": at_least(0),
    f"{_VAL}BATCH_SIZE": at_least(1, "view"),
    f"{_VAL}NUM_SEGMENT": at_least(1, "clip"),
    f"{_VAL}NUM_CROP": at_least(1, "crop"),
    f"{_VAL}BEST_METRIC": Rule(
        lambda name: name == "" or name.removeprefix("ema_") in METRICS,
        f"one of {', '.join(METRICS)}, with ema_ before it for the average of the weights, or '' for map or top1",
    ),
    f"{_VAL}PATIENCE": at_least(0, "validations"),
}


def validation_rules(config: CfgNode) -> Iterator[tuple[list[str], str]]:
    """(the keys in play, what is wrong) for every rule that is broken."""
    val, data, ema = config.VAL, config.DATA, config.TRAIN.EMA
    if val.PATIENCE and not val.FREQ:
        yield [f"{_VAL}PATIENCE", f"{_VAL}FREQ"], (
            f"CONFIG.VAL.PATIENCE is {val.PATIENCE} and CONFIG.VAL.FREQ is 0, so there is no validation to wait for; set one of them."
        )
    if val.NUM_SEGMENT > 1 and (data.SAMPLING != "reference" or data.NUM_SEGMENT > 1):
        yield [f"{_VAL}NUM_SEGMENT", "CONFIG.DATA.SAMPLING", "CONFIG.DATA.NUM_SEGMENT"], (
            f"CONFIG.VAL.NUM_SEGMENT is {val.NUM_SEGMENT} with CONFIG.DATA.SAMPLING {data.SAMPLING} and NUM_SEGMENT {data.NUM_SEGMENT};"
            " such a clip spans the whole video, and validation takes it once: set it 1."
        )
    if val.BEST_METRIC.startswith("ema_") and (not ema.DECAY or ema.VALIDATE != "both"):
        yield [f"{_VAL}BEST_METRIC", "CONFIG.TRAIN.EMA.DECAY", "CONFIG.TRAIN.EMA.VALIDATE"], (
            f"CONFIG.VAL.BEST_METRIC is {val.BEST_METRIC}, which CONFIG.TRAIN.EMA measures with a DECAY above 0 and VALIDATE both;"
            f" DECAY is {ema.DECAY:g} and VALIDATE is {ema.VALIDATE}: set them so, or leave ema_ away."
        )
