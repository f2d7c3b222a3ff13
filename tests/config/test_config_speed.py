"""The keys of speed, and what they demand of others."""

import pytest

from vidrec.config import load_config
from vidrec.utils.errors import ConfigError

ACCUMULATE = ["CONFIG.TRAIN.ACCUMULATE", "2"]


def mistakes(tmp_path, *overrides):
    path = tmp_path / "run.yaml"
    path.write_text("CONFIG:\n  MODEL:\n    NAME: i3d_resnet50_v1_kinetics400\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("PRECISION", "fp8", "one of fp32, bf16, fp16"),
        ("MEMORY_FORMAT", "channels_last", "one of contiguous, channels_last_3d"),
        ("COMPILE", "tensorrt", "one of inductor, aot_eager, cudagraphs, or '' for none"),
        ("CHECKPOINT_STAGES", "[1, -1]", "a list of numbers of stages, 0 for the stem"),
        ("CHECKPOINT_STAGES", "[stem]", "a list of numbers of stages, 0 for the stem"),
        ("ACCUMULATE", "0", "at least 1 batch"),
        ("DDP.FIND_UNUSED", "True", "one of auto, always, never"),
        ("DDP.COMPRESSION", "fp16", "bf16, or '' for none"),
    ],
)
def test_value_that_a_key_cannot_take_is_named_with_those_it_can(tmp_path, key, value, words):
    found = mistakes(tmp_path, f"CONFIG.TRAIN.{key}", value)
    assert len(found) == 1 and f"CONFIG.TRAIN.{key}" in found[0] and words in found[0]


@pytest.mark.parametrize("key", ["PRECISION", "MEMORY_FORMAT"])
def test_keys_of_evaluation_have_rules_too(tmp_path, key):
    assert f"CONFIG.VAL.{key} is 'half'" in mistakes(tmp_path, f"CONFIG.VAL.{key}", "half")[0]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            [*ACCUMULATE, "CONFIG.TRAIN.MULTIGRID.USE_SHORT_CYCLE", "True"],
            "must be of one size, and the short cycle has several: set ACCUMULATE 1",
        ),
        ([*ACCUMULATE, "CONFIG.TRAIN.DDP.STATIC_GRAPH", "True"], "the graph is not static"),
        (["CONFIG.TRAIN.DDP.STATIC_GRAPH", "True", "CONFIG.TRAIN.DDP.FIND_UNUSED", "always"], "set FIND_UNUSED auto"),
        (["CONFIG.TRAIN.FUSED_OPTIMIZER", "True", "CONFIG.TRAIN.OPTIMIZER", "LARS"], "SGD and AdamW have one: set FUSED_OPTIMIZER False"),
    ],
)
def test_keys_that_exclude_each_other_are_named_together(tmp_path, overrides, words):
    found = mistakes(tmp_path, *overrides)
    assert len(found) == 1 and words in found[0] and all(key.rsplit(".")[-1] in found[0] for key in overrides[::2])


def test_accumulation_goes_with_the_long_cycle(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("CONFIG:\n  MODEL:\n    NAME: i3d_resnet50_v1_kinetics400\n  TRAIN:\n    MULTIGRID:\n      USE_LONG_CYCLE: True\n")
    assert load_config(path, ACCUMULATE).CONFIG.TRAIN.ACCUMULATE == 2
