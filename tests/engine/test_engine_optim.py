"""Optimizer and schedule from the config."""

from pathlib import Path

import pytest
import torch
from torch import nn, optim

from vidrec import load_config
from vidrec.config.defaults import get_cfg_defaults
from vidrec.engine.lars import LARS
from vidrec.engine.optim import build_optimizer, build_schedule
from vidrec.models.build import build_model
from vidrec.utils.errors import ConfigError


def test_sgd_takes_only_parameters_to_train():
    cfg, model = get_cfg_defaults(), nn.Linear(2, 3)
    cfg.CONFIG.TRAIN.LR, cfg.CONFIG.TRAIN.MOMENTUM, cfg.CONFIG.TRAIN.W_DECAY = 0.2, 0.8, 0.01
    model.bias.requires_grad = False
    optimizer = build_optimizer(cfg, model)
    (group,) = optimizer.param_groups
    assert type(optimizer) is optim.SGD
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.2, 0.8, 0.01)
    assert [parameter is model.weight for parameter in group["params"]] == [True]


def test_adamw():
    cfg = get_cfg_defaults()
    cfg.CONFIG.TRAIN.OPTIMIZER = "AdamW"
    optimizer = build_optimizer(cfg, nn.Linear(2, 3))
    assert type(optimizer) is optim.AdamW
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["weight_decay"]) == (0.01, 1e-4)


def test_adamw_takes_its_betas_and_epsilon():
    cfg = get_cfg_defaults()
    cfg.CONFIG.TRAIN.OPTIMIZER, cfg.CONFIG.TRAIN.BETAS, cfg.CONFIG.TRAIN.EPS = "AdamW", [0.8, 0.95], 1e-6
    (group,) = build_optimizer(cfg, nn.Linear(2, 3)).param_groups
    assert (group["betas"], group["eps"]) == ((0.8, 0.95), 1e-6)


def test_nesterov_momentum_steps_ahead():
    """Two steps with gradient 1, lr 1, momentum 0.5: 1 + 1.5 = 2.5 without, 1.5 + 1.75 = 3.25 with it."""
    for nesterov, moved in [(False, 2.5), (True, 3.25)]:
        cfg, model = get_cfg_defaults(), nn.Linear(1, 1, bias=False)
        train = cfg.CONFIG.TRAIN
        train.LR, train.MOMENTUM, train.W_DECAY, train.NESTEROV = 1.0, 0.5, 0.0, nesterov
        nn.init.zeros_(model.weight)
        optimizer = build_optimizer(cfg, model)
        model.weight.grad = torch.ones(1, 1)
        for _ in range(2):
            optimizer.step()
        assert model.weight.item() == -moved


def test_lars_takes_momentum_decay_and_trust():
    cfg = get_cfg_defaults()
    cfg.CONFIG.TRAIN.OPTIMIZER, cfg.CONFIG.TRAIN.TRUST, cfg.CONFIG.TRAIN.DECAY_NORM_BIAS = "LARS", 0.02, False
    optimizer = build_optimizer(cfg, nn.Linear(2, 3))
    assert type(optimizer) is LARS
    assert [(group["trust"], group["momentum"], group["weight_decay"], group["adapt"]) for group in optimizer.param_groups] == [
        (0.02, 0.9, 1e-4, True),
        (0.02, 0.9, 0.0, False),
    ]


def test_rates_follow_the_batch_only_when_asked():
    cfg = get_cfg_defaults()
    train = cfg.CONFIG.TRAIN
    train.LR, train.LR_END, train.LR_POLICY, train.EPOCH_NUM, train.BATCH_SIZE = 0.1, 0.02, "Linear", 4, 8
    assert [build_schedule(cfg).lr(epoch) for epoch in range(4)] == pytest.approx([0.1, 0.08, 0.06, 0.04])
    train.LR_SCALE_BATCH = 32
    assert [build_schedule(cfg).lr(epoch) for epoch in range(4)] == pytest.approx([0.025, 0.02, 0.015, 0.01])
    assert build_optimizer(cfg, nn.Linear(2, 3)).param_groups[0]["lr"] == 0.025
    train.USE_WARMUP, train.WARMUP_EPOCHS, train.WARMUP_START_LR, train.WARMUP_TO_LR = True, 2, 0.005, 0.04
    assert [build_schedule(cfg).lr(epoch) for epoch in range(4)] == pytest.approx([0.005, 0.0075, 0.025, 0.015])


def test_schedule_per_step_is_asked_for_by_its_key():
    cfg = get_cfg_defaults()
    train = cfg.CONFIG.TRAIN
    train.LR, train.LR_POLICY, train.POLY_POWER, train.EPOCH_NUM = 0.1, "Poly", 1.0, 2
    assert [build_schedule(cfg).lr(epoch, step, 2) for epoch in (0, 1) for step in (0, 1)] == pytest.approx([0.1, 0.1, 0.05, 0.05])
    train.LR_PER = "step"
    assert [build_schedule(cfg).lr(epoch, step, 2) for epoch in (0, 1) for step in (0, 1)] == pytest.approx([0.1, 0.075, 0.05, 0.025])


def test_a_frozen_network_is_refused():
    with pytest.raises(ConfigError, match="leaves no parameter to train: all are frozen"):
        build_optimizer(get_cfg_defaults(), nn.Linear(2, 3).requires_grad_(False))


def test_schedule_ignores_warm_up_epochs_unless_asked():
    cfg = get_cfg_defaults()
    cfg.CONFIG.TRAIN.LR_POLICY, cfg.CONFIG.TRAIN.EPOCH_NUM = "Cosine", 10
    assert build_schedule(cfg).lr(0) == 0.01
    cfg.CONFIG.TRAIN.USE_WARMUP, cfg.CONFIG.TRAIN.WARMUP_EPOCHS = True, 3
    assert build_schedule(cfg).lr(0) == pytest.approx(0.0025)


def test_learning_rate_follows_the_batch_of_the_long_cycle():
    cfg = get_cfg_defaults()
    train = cfg.CONFIG.TRAIN
    train.EPOCH_NUM, train.LR, train.LR_MILESTONE = 5, 0.1, [4]
    train.MULTIGRID.LONG_CYCLE_EPOCH, train.MULTIGRID.USE_SHORT_CYCLE = [1, 2, 3], True
    assert [build_schedule(cfg).lr(epoch) for epoch in range(5)] == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01])
    train.MULTIGRID.USE_LONG_CYCLE = True
    assert [build_schedule(cfg).lr(epoch) for epoch in range(5)] == pytest.approx([0.8, 0.4, 0.2, 0.1, 0.01])


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_fused_optimizer_is_asked_for(name):
    cfg = get_cfg_defaults()
    cfg.CONFIG.TRAIN.OPTIMIZER = name
    assert not build_optimizer(cfg, nn.Linear(2, 3)).param_groups[0]["fused"]
    cfg.CONFIG.TRAIN.FUSED_OPTIMIZER = True
    assert build_optimizer(cfg, nn.Linear(2, 3)).param_groups[0]["fused"] is True


def test_shipped_recipe_lowers_rates_towards_the_input_and_decays_no_norm():
    cfg = load_config(Path(__file__).resolve().parents[2] / "configs/custom/i3d_slow_resnet50_f32s2_strong.yaml")
    with torch.device("meta"):
        model = build_model(cfg, load_weights=False)
    optimizer, schedule = build_optimizer(cfg, model), build_schedule(cfg)
    groups = {group["name"]: (group["lr_scale"], group["weight_decay"]) for group in optimizer.param_groups}
    assert groups["backbone 0"] == (0.75**5, 0.05) and groups["backbone 0, norms and biases"] == (0.75**5, 0.0)
    assert groups["backbone 4"] == (0.75, 0.05) and groups["head"] == (1.0, 0.05)
    assert [schedule.lr(epoch, step, 2) for epoch, step in [(0, 0), (1, 1), (3, 0), (29, 1)]] == pytest.approx(
        [1e-6, 1.005e-4, 2e-4, 1.1684e-6], rel=1e-3
    )
