"""The values that a key may take, and what keys demand of each other."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from yacs.config import CfgNode

from vidrec.config.inference_rules import INFERENCE_RULES, inference_rules
from vidrec.config.protocols import (
    AVERAGES,
    CLIP_STARTS,
    CROPS,
    DENSE_WINDOW,
    PROTOCOLS,
    RESIZE_PATTERN,
    RESIZES,
    SAMPLINGS,
    SHORT_VIDEO,
    ViewProtocol,
    resolve_protocol,
)
from vidrec.config.rule import INFINITY, Rule, above, at_least, number_range, one_of, only, within
from vidrec.config.speed_rules import SPEED_RULES, speed_rules
from vidrec.config.training_rules import TRAINING_RULES, training_rules
from vidrec.config.validation_rules import VALIDATION_RULES, validation_rules
from vidrec.model_zoo.specs import SECTIONS
from vidrec.utils.text import FRAME_TEMPLATE


def _is_label(label: Any) -> bool:
    return isinstance(label, (int, str)) and not isinstance(label, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _one_of_or_empty(*choices: str) -> Rule:
    return Rule(lambda value: value in ("", *choices), f"one of {', '.join(choices)}, or '' for the protocol's")


_AUG = "CONFIG.DATA.AUG"
_IMAGE_SIZE = at_least(1, "pixel")

RULES: dict[str, Rule] = {
    **TRAINING_RULES,
    **VALIDATION_RULES,
    **INFERENCE_RULES,
    **SPEED_RULES,
    "DDP_CONFIG.WORLD_SIZE": at_least(1, "node"),
    "DDP_CONFIG.WORLD_RANK": at_least(0),
    "DDP_CONFIG.NPROC_PER_NODE": at_least(0),
    "DDP_CONFIG.DIST_BACKEND": one_of("nccl", "gloo"),
    "DDP_CONFIG.MAX_RESTARTS": at_least(0),
    "DDP_CONFIG.JOIN_TIMEOUT": above(0),
    "DDP_CONFIG.GROUP_TIMEOUT": above(0),
    "DDP_CONFIG.STRAGGLER_STEPS": at_least(0),
    "DDP_CONFIG.GPU": at_least(0),
    "CONFIG.TEST.PROTOCOL": one_of(*PROTOCOLS),
    "CONFIG.TEST.CLIP_STARTS": _one_of_or_empty(*CLIP_STARTS),
    "CONFIG.TEST.TARGET_FPS": Rule(lambda value: value >= 0 or value == -1, "0, -1 for the file's own, or frames per second"),
    "CONFIG.TEST.SHORT_VIDEO": _one_of_or_empty(*SHORT_VIDEO),
    "CONFIG.TEST.RESIZE": Rule(
        lambda text: text in ("", *RESIZES) or RESIZE_PATTERN.fullmatch(text) is not None,
        f"one of {', '.join(RESIZES)}, pixels of the short side (256) or of both (128x171, height x width), or '' for the protocol's",
    ),
    "CONFIG.TEST.CROP_SIZE": at_least(0),
    "CONFIG.TEST.CROPS": _one_of_or_empty(*CROPS),
    "CONFIG.TEST.AVERAGE": _one_of_or_empty(*AVERAGES),
    "CONFIG.DATA.SAMPLING": one_of(*SAMPLINGS),
    "CONFIG.DATA.TARGET_FPS": at_least(0),
    "CONFIG.DATA.SHORT_VIDEO": one_of(*SHORT_VIDEO),
    "CONFIG.DATA.NUM_CLASSES": at_least(1),
    "CONFIG.DATA.CLIP_LEN": at_least(1, "frame"),
    "CONFIG.DATA.FRAME_RATE": at_least(1, "frame"),
    "CONFIG.DATA.NUM_SEGMENT": at_least(1, "segment"),
    "CONFIG.DATA.NUM_CROP": only(1, "a training sample has one crop"),
    "CONFIG.DATA.TEST_NUM_SEGMENT": at_least(1, "clip"),
    "CONFIG.DATA.TEST_NUM_CROP": at_least(1, "crop"),
    "CONFIG.DATA.CROP_SIZE": _IMAGE_SIZE,
    "CONFIG.DATA.SHORT_SIDE_SIZE": _IMAGE_SIZE,
    "CONFIG.DATA.NEW_HEIGHT": _IMAGE_SIZE,
    "CONFIG.DATA.NEW_WIDTH": _IMAGE_SIZE,
    "CONFIG.DATA.SCALE_RANGE": Rule(lambda r: len(r) == 2 and 1.0 <= r[0] <= r[1], "two factors from 1.0 in rising order"),
    "CONFIG.DATA.FLIP_PROB": within(0, 1),
    "CONFIG.DATA.FLIP_LABEL_MAP": Rule(
        lambda pairs: all(isinstance(pair, (list, tuple)) and len(pair) == 2 and all(map(_is_label, pair)) for pair in pairs),
        "a list of pairs of labels or class names, such as [[3, 4], [left, right]]",
    ),
    "CONFIG.DATA.CLIPS_PER_VIDEO": at_least(1, "clip"),
    "CONFIG.DATA.AUG_DEVICE": one_of("cpu", "device"),
    f"{_AUG}.CROP": one_of("short_side", "resized", "corners"),
    f"{_AUG}.RESIZED_CROP.AREA": number_range(0, 1, above=True),
    f"{_AUG}.RESIZED_CROP.ASPECT": number_range(0, INFINITY, above=True),
    f"{_AUG}.CORNER_CROP.SCALES": Rule(lambda s: max(s, default=2) <= 1 and min(s) > 0, "factors above 0 and at most 1, at least one"),
    f"{_AUG}.CORNER_CROP.MAX_DISTORT": at_least(0),
    f"{_AUG}.COLOR_JITTER.BRIGHTNESS": at_least(0),
    f"{_AUG}.COLOR_JITTER.CONTRAST": at_least(0),
    f"{_AUG}.COLOR_JITTER.SATURATION": at_least(0),
    f"{_AUG}.COLOR_JITTER.HUE": within(0, 0.5),
    f"{_AUG}.RAND_AUGMENT.NUM_OPS": at_least(1, "operation"),
    f"{_AUG}.RAND_AUGMENT.MAGNITUDE": within(0, 30),
    f"{_AUG}.AUGMIX.SEVERITY": within(0.1, 10),
    f"{_AUG}.AUGMIX.WIDTH": at_least(1, "chain"),
    f"{_AUG}.AUGMIX.DEPTH": at_least(0, "operations"),
    f"{_AUG}.AUGMIX.ALPHA": above(0),
    f"{_AUG}.ERASING.AREA": number_range(0, 1, above=True),
    f"{_AUG}.ERASING.ASPECT": number_range(0, INFINITY, above=True),
    f"{_AUG}.ERASING.FILL": one_of("noise", "mean"),
    f"{_AUG}.MIX.MIXUP_ALPHA": at_least(0),
    f"{_AUG}.MIX.CUTMIX_ALPHA": at_least(0),
    f"{_AUG}.MIX.CUTMIX_PROB": within(0, 1),
    **{f"{_AUG}.{group}.PROB": within(0, 1) for group in ("COLOR_JITTER", "RAND_AUGMENT", "AUGMIX", "ERASING", "MIX")},
    "CONFIG.DATA.MEAN": Rule(lambda values: len(values) == 3, "three numbers, for red, green and blue"),
    "CONFIG.DATA.STD": Rule(lambda values: len(values) == 3 and min(values) > 0, "three numbers above 0, for red, green and blue"),
    "CONFIG.DATA.FRAME_TEMPLATE": Rule(FRAME_TEMPLATE.fullmatch, "a file name with one place for the number, as img_%05d.jpg has"),
    "CONFIG.DATA.FRAME_OFFSET": at_least(0),
    "CONFIG.DATA.MAX_PIXELS": at_least(1, "pixel"),
    "CONFIG.DATA.MAX_FRAMES": at_least(1, "frame"),
    "CONFIG.DATA.MAX_CLIP_FRAMES": at_least(1, "frame"),
    "CONFIG.DATA.MAX_CLIP_GB": above(0),
    "CONFIG.DATA.MAX_SECONDS": at_least(0, "seconds"),
    "CONFIG.DATA.MAX_BAD_SHARE": within(0, 1),
    "CONFIG.DATA.READ_TIMEOUT": at_least(0, "second"),
    "CONFIG.DATA.NUM_WORKERS": at_least(0),
    "CONFIG.DATA.MULTIGRID": only(False, "it is read by nothing; CONFIG.TRAIN.MULTIGRID is meant"),
    "CONFIG.MODEL.ZOO": Rule(lambda zoo: zoo in ("", *SECTIONS), f"one of {', '.join(SECTIONS)}, or '' for whichever has the name"),
    "CONFIG.MODEL.FROZEN_STAGES": at_least(-1),
    "CONFIG.LOG.EXP_NAME": Rule(bool, "a name; use_time takes the start time"),
    "CONFIG.LOG.SAVE_FREQ": at_least(1, "epoch"),
    "CONFIG.LOG.SAVE_STEPS": at_least(0),
    "CONFIG.LOG.SAVE_MINUTES": at_least(0),
    "CONFIG.LOG.KEEP_LAST": at_least(0),
    "CONFIG.LOG.DISPLAY_FREQ": at_least(1, "iteration"),
    "CONFIG.LOG.LOGGERS": Rule(lambda names: all(map(_is_name, names)) and len(set(names)) == len(names), "a list of names, each once"),
    "CONFIG.LOG.CLIP_FREQ": at_least(0, "epoch"),
    "CONFIG.LOG.LEVEL": one_of("DEBUG", "INFO", "WARNING", "ERROR"),
}


def between_keys(cfg: CfgNode) -> Iterator[tuple[list[str], str]]:
    """(the keys in play, what is wrong) for every rule between keys that a complete config breaks."""
    yield from _model_rules(cfg.CONFIG.MODEL)
    yield from _size_rules(cfg.CONFIG.DATA)
    yield from training_rules(cfg.CONFIG)
    yield from validation_rules(cfg.CONFIG)
    yield from inference_rules(cfg.CONFIG)
    yield from speed_rules(cfg.CONFIG.TRAIN)
    yield from _sampling_rules(cfg.CONFIG.DATA)
    yield from _test_rules(cfg.CONFIG)
    if cfg.DDP_CONFIG.WORLD_SIZE > 1:
        yield from _node_rules(cfg.DDP_CONFIG)


def _model_rules(model: CfgNode) -> Iterator[tuple[list[str], str]]:
    parts = [part for part in ("BACKBONE", "HEAD") if not model[part].get("TYPE")]
    if parts and not model.NAME:  # a name that brings no network has a mistake of its own
        missing = " and ".join(f"CONFIG.MODEL.{part}.TYPE" for part in parts)
        yield ["CONFIG.MODEL.NAME", "CONFIG.MODEL.BACKBONE", "CONFIG.MODEL.HEAD"], (
            f"no network is named: {missing} {'is' if len(parts) == 1 else 'are'} missing; write them, or a zoo name in CONFIG.MODEL.NAME."
        )
    if model.LOAD and not model.PRETRAINED_PATH:
        yield ["CONFIG.MODEL.LOAD"], "CONFIG.MODEL.LOAD is True and CONFIG.MODEL.PRETRAINED_PATH is empty; name the weights file."
    if model.PRETRAINED is not False and not model.NAME:
        yield ["CONFIG.MODEL.PRETRAINED"], (
            f"CONFIG.MODEL.PRETRAINED is {model.PRETRAINED!r} and CONFIG.MODEL.NAME is empty; published weights belong to a zoo name."
        )


def _size_rules(data: CfgNode) -> Iterator[tuple[list[str], str]]:
    crop, side = data.CROP_SIZE, data.SHORT_SIDE_SIZE
    if crop > side:
        yield ["CONFIG.DATA.CROP_SIZE", "CONFIG.DATA.SHORT_SIDE_SIZE"], (
            f"CONFIG.DATA.CROP_SIZE is {crop} and SHORT_SIDE_SIZE is {side} pixels; the crop must fit in the frame: lower it."
        )


def _sampling_rules(data: CfgNode) -> Iterator[tuple[list[str], str]]:
    keys, total = ["CONFIG.DATA.SAMPLING", "CONFIG.DATA.NUM_SEGMENT", "CONFIG.DATA.CLIP_LEN"], data.NUM_SEGMENT * data.CLIP_LEN
    if data.SAMPLING == "dense" and data.NUM_SEGMENT > 1:
        yield keys[:2], f"CONFIG.DATA.SAMPLING is dense and NUM_SEGMENT is {data.NUM_SEGMENT}; dense is one clip: set 1, or take segments."
    if total > data.MAX_CLIP_FRAMES:
        yield [*keys[1:], "CONFIG.DATA.MAX_CLIP_FRAMES"], (
            f"CONFIG.DATA.NUM_SEGMENT * CLIP_LEN is {total} frames and MAX_CLIP_FRAMES {data.MAX_CLIP_FRAMES}; one clip must fit: raise it."
        )
    if data.SAMPLING == "dense_sample" and total > DENSE_WINDOW:
        yield keys, (
            f"CONFIG.DATA.NUM_SEGMENT * CLIP_LEN is {total} frames; SAMPLING dense_sample spreads at most {DENSE_WINDOW}: take uniform."
        )


def _test_rules(config: CfgNode) -> Iterator[tuple[list[str], str]]:
    """What the fields of a test's protocol demand of each other, whether they are its own or set in their place."""
    keys = [f"CONFIG.TEST.{key}" for key in config.TEST]
    if not all(RULES[f"CONFIG.TEST.{key}"].holds(value) for key, value in config.TEST.items()):
        return
    test = resolve_protocol(config)
    counts, total = CROPS[test.crops], test.clip_len
    if test.crop_size > test.short_side:
        yield [*keys, "CONFIG.DATA.CROP_SIZE", "CONFIG.DATA.SHORT_SIDE_SIZE"], (
            f"The test crop of CONFIG.TEST.PROTOCOL {test.name} has {test.crop_size} pixels and its frame's short side {test.short_side};"
            " the crop must fit in the frame: lower CONFIG.TEST.CROP_SIZE, or name a larger CONFIG.TEST.RESIZE."
        )
    yield from _memory_rules(keys, test, config.DATA.MAX_CLIP_GB)
    if counts and test.num_crops not in counts:
        yield [*keys, "CONFIG.DATA.TEST_NUM_CROP"], (
            f"CONFIG.DATA.TEST_NUM_CROP is {test.num_crops}; the crops of CONFIG.TEST.PROTOCOL {test.name} ({test.crops}) are"
            f" {' or '.join(map(str, counts))}: take one of these, or CONFIG.TEST.CROPS slides."
        )
    if test.clip_starts == "tsm_dense" and total > DENSE_WINDOW:
        yield [*keys, "CONFIG.DATA.NUM_SEGMENT", "CONFIG.DATA.CLIP_LEN"], (
            f"CONFIG.DATA.NUM_SEGMENT * CLIP_LEN is {total} frames; CONFIG.TEST.CLIP_STARTS tsm_dense spreads at most {DENSE_WINDOW}:"
            " take tsm."
        )


def _memory_rules(keys: list[str], test: ViewProtocol, max_gb: float) -> Iterator[tuple[list[str], str]]:
    gigabytes = test.clip_len * test.crop_size**2 * 3 / 1e9
    if gigabytes > max_gb:
        yield [*keys, "CONFIG.DATA.CLIP_LEN", "CONFIG.DATA.MAX_CLIP_GB"], (
            f"A test clip of {test.clip_len} frames of {test.crop_size} pixels takes {gigabytes:.3g} GB and CONFIG.DATA.MAX_CLIP_GB is"
            f" {max_gb:g}; one clip must fit: raise it, or lower CONFIG.TEST.CROP_SIZE."
        )


def _node_rules(ddp: CfgNode) -> Iterator[tuple[list[str], str]]:
    if ddp.WORLD_RANK >= ddp.WORLD_SIZE:
        yield ["DDP_CONFIG.WORLD_RANK", "DDP_CONFIG.WORLD_SIZE"], (
            f"DDP_CONFIG.WORLD_RANK is {ddp.WORLD_RANK} of {ddp.WORLD_SIZE} nodes (WORLD_SIZE); ranks count from 0."
        )
    if ddp.AUTO_RANK_MATCH and len(ddp.WORLD_URLS) != ddp.WORLD_SIZE:
        yield ["DDP_CONFIG.WORLD_URLS", "DDP_CONFIG.WORLD_SIZE"], (
            f"DDP_CONFIG.WORLD_URLS has {len(ddp.WORLD_URLS)} addresses for {ddp.WORLD_SIZE} nodes (WORLD_SIZE);"
            " list one for each, or set AUTO_RANK_MATCH False and WORLD_RANK."
        )
    if not _is_address(ddp.DIST_URL):
        yield ["DDP_CONFIG.DIST_URL"], f"DDP_CONFIG.DIST_URL is {ddp.DIST_URL!r}; with several nodes it must read tcp://HOST:PORT."


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "tcp" and bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False
