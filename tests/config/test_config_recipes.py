"""Bad values of a training recipe: each is a mistake with file and line, and all are said at once."""

import pytest

from vidrec import load_config
from vidrec.utils.errors import ConfigError

NETWORK = "CONFIG:\n  MODEL:\n    BACKBONE: {TYPE: I3DResNet, DEPTH: 50}\n    HEAD: {TYPE: PoolHead}\n"


def mistakes_of(folder, train, model=""):
    (folder / "run.yaml").write_text(f"{NETWORK}{model}  TRAIN: {train}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(folder / "run.yaml")
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ("{OPTIMIZER: Adam}", "OPTIMIZER is 'Adam'; it must be one of SGD, AdamW, LARS."),
        ("{BETAS: [0.9]}", "BETAS is [0.9]; it must be two numbers from 0 to below 1."),
        ("{BETAS: [0.9, 1.0]}", "two numbers from 0 to below 1"),
        ("{EPS: 0}", "EPS is 0.0; it must be above 0."),
        ("{TRUST: 0}", "TRUST is 0.0; it must be above 0."),
        ("{LAYER_DECAY: 1.5}", "LAYER_DECAY is 1.5; it must be above 0 and at most 1."),
        ("{LAYER_DECAY: 0}", "above 0 and at most 1"),
        ("{HEAD_LR_MULT: 0}", "HEAD_LR_MULT is 0.0; it must be above 0."),
        ("{LR_POLICY: cosine}", "one of Step, Cosine, Linear, Poly, Constant"),
        ("{LR_PER: iteration}", "LR_PER is 'iteration'; it must be one of epoch, step."),
        ("{LR_END: -1}", "LR_END is -1.0; it must be at least 0."),
        ("{POLY_POWER: 0}", "POLY_POWER is 0.0; it must be above 0."),
        ("{LR_SCALE_BATCH: -1}", "LR_SCALE_BATCH is -1; it must be at least 0."),
        ("{WARMUP_TO_LR: -0.1}", "WARMUP_TO_LR is -0.1; it must be at least 0."),
        ("{CLIP_NORM: -1}", "CLIP_NORM is -1.0; it must be at least 0."),
        ("{CLIP_VALUE: -1}", "CLIP_VALUE is -1.0; it must be at least 0."),
        ("{CLIP_NORM: 1, CLIP_VALUE: 2}", "CLIP_NORM is 1 and CLIP_VALUE is 2; gradients are clipped in one way: set one."),
        ("{HEAD_WARMUP_EPOCHS: -1}", "HEAD_WARMUP_EPOCHS is -1; it must be at least 0."),
        ("{HEAD_WARMUP_EPOCHS: 9, EPOCH_NUM: 9}", "HEAD_WARMUP_EPOCHS is 9 of 9 epochs (EPOCH_NUM)"),
        ("{EMA: {DECAY: 1}}", "CONFIG.TRAIN.EMA.DECAY is 1.0; it must be from 0 to below 1."),
        ("{EMA: {VALIDATE: raw}}", "CONFIG.TRAIN.EMA.VALIDATE is 'raw'; it must be one of both, ema."),
        ("{PRECISE_BN: -1}", "PRECISE_BN is -1; it must be at least 0."),
        ("{OPTIMIZER: AdamW, NESTEROV: True}", "it is a form of SGD's momentum"),
        ("{MOMENTUM: 0, NESTEROV: True}", "NESTEROV is True, OPTIMIZER SGD and MOMENTUM 0;"),
        ("{LR: 0.1, LR_END: 0.2, LR_POLICY: Linear}", "Linear falls from LR to LR_END: lower LR_END."),
    ],
)
def test_value_of_a_recipe_is_a_mistake(tmp_path, train, words):
    (mistake,) = mistakes_of(tmp_path, train)
    assert words in mistake and "run.yaml:5" in mistake


@pytest.mark.parametrize("switch", ["BN_EVAL", "USE_AFFINE"])
def test_statistics_that_stand_still_are_neither_shared_nor_renewed(tmp_path, switch):
    found = mistakes_of(tmp_path, "{PRECISE_BN: 10}", model=f"    SYNC_BN: True\n    {switch}: True\n")
    why = f"and CONFIG.MODEL.{switch} is True, which leaves no statistics to take from batches; set one of them."
    assert [mistake.split(": ", 1)[1] for mistake in found] == [
        f"CONFIG.MODEL.SYNC_BN is True {why}",
        f"CONFIG.TRAIN.PRECISE_BN is 10 {why}",
    ]


def test_all_mistakes_of_a_recipe_are_said_at_once(tmp_path):
    found = mistakes_of(tmp_path, "{EPS: 0, LAYER_DECAY: 2, LR_PER: day, LR: 0.1, LR_END: 1, LR_POLICY: Poly}")
    assert [mistake.split()[1] for mistake in found] == [f"CONFIG.TRAIN.{key}" for key in ("EPS", "LAYER_DECAY", "LR_PER", "LR_END")]


def test_end_rate_above_the_rate_is_nothing_to_a_policy_that_has_none(tmp_path):
    (tmp_path / "run.yaml").write_text(f"{NETWORK}  TRAIN: {{LR: 0.1, LR_END: 0.2}}\n")
    assert load_config(tmp_path / "run.yaml").CONFIG.TRAIN.LR_END == 0.2
