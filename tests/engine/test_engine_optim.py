"""Optimizer and schedule from the config."""

import pytest
from torch import nn, optim

from vidrec.config.defaults import get_cfg_defaults
from vidrec.engine.optim import build_optimizer, build_schedule
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
