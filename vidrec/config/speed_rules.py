"""The values that the keys of speed may take, and what they demand of others."""

from collections.abc import Iterator

from yacs.config import CfgNode

from vidrec.config.rule import Rule, at_least, one_of

_TRAIN = "CONFIG.TRAIN."
_PRECISION, _MEMORY_FORMAT = one_of("fp32", "bf16", "fp16"), one_of("contiguous", "channels_last_3d")

SPEED_RULES: dict[str, Rule] = {
    "CONFIG.TRAIN.PRECISION": _PRECISION,
    "CONFIG.TRAIN.MEMORY_FORMAT": _MEMORY_FORMAT,
    "CONFIG.TRAIN.COMPILE": Rule(
        lambda value: value in ("", "inductor", "aot_eager", "cudagraphs"), "one of inductor, aot_eager, cudagraphs, or '' for none"
    ),
    "CONFIG.TRAIN.CHECKPOINT_STAGES": Rule(
        lambda parts: all(type(part) is int and part >= 0 for part in parts), "a list of numbers of stages, 0 for the stem"
    ),
    "CONFIG.TRAIN.ACCUMULATE": at_least(1, "batch"),
    "CONFIG.TRAIN.DDP.FIND_UNUSED": one_of("auto", "always", "never"),
    "CONFIG.TRAIN.DDP.COMPRESSION": Rule(lambda value: value in ("", "bf16"), "bf16, or '' for none"),
    "CONFIG.VAL.PRECISION": _PRECISION,
    "CONFIG.VAL.MEMORY_FORMAT": _MEMORY_FORMAT,
}


def speed_rules(train: CfgNode) -> Iterator[tuple[list[str], str]]:
    """(the keys in play, what is wrong) for every rule that is broken."""
    count, ddp, accumulate = train.ACCUMULATE, f"{_TRAIN}DDP.", f"{_TRAIN}ACCUMULATE"
    if count > 1 and train.MULTIGRID.USE_SHORT_CYCLE:
        key = f"{_TRAIN}MULTIGRID.USE_SHORT_CYCLE"
        text = f"{accumulate} is {count} and {key} is True; the batches of a step must be of one size, and the short cycle has several:"
        yield [accumulate, key], f"{text} set ACCUMULATE 1, or use only the long cycle."
    if count > 1 and train.DDP.STATIC_GRAPH:
        text = f"{ddp}STATIC_GRAPH is True and {accumulate} is {count}; of several batches only the last one sends its gradients, so the"
        yield [f"{ddp}STATIC_GRAPH", accumulate], f"{text} graph is not static: set one of them back."
    if train.DDP.STATIC_GRAPH and train.DDP.FIND_UNUSED == "always":
        text = f"{ddp}STATIC_GRAPH is True and FIND_UNUSED is always; a static graph finds unused weights by itself:"
        yield [f"{ddp}STATIC_GRAPH", f"{ddp}FIND_UNUSED"], f"{text} set FIND_UNUSED auto."
    if train.FUSED_OPTIMIZER and train.OPTIMIZER == "LARS":
        text = f"{_TRAIN}FUSED_OPTIMIZER is True and {_TRAIN}OPTIMIZER is LARS, which has no fused form; SGD and AdamW have one:"
        yield [f"{_TRAIN}FUSED_OPTIMIZER", f"{_TRAIN}OPTIMIZER"], f"{text} set FUSED_OPTIMIZER False."
