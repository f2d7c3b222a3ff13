"""Optimizer and learning rate schedule from the config."""

from typing import Any

from torch import nn, optim

from vidrec.data.build import build_multigrid
from vidrec.engine.schedule import Schedule
from vidrec.utils.errors import ConfigError


def build_optimizer(cfg: Any, model: nn.Module) -> optim.Optimizer:
    """SGD with momentum or AdamW over the parameters that are to be trained (`requires_grad`).

    Raises:
        ConfigError: every parameter is frozen.
    """
    train = cfg.CONFIG.TRAIN
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ConfigError(["CONFIG.MODEL leaves no parameter to train: all are frozen; unfreeze a part of the network or only test it."])
    if train.OPTIMIZER == "AdamW":
        return optim.AdamW(parameters, lr=train.LR, weight_decay=train.W_DECAY)
    return optim.SGD(parameters, lr=train.LR, momentum=train.MOMENTUM, weight_decay=train.W_DECAY)


def build_schedule(cfg: Any) -> Schedule:
    """The learning rate per epoch that the config asks for, in proportion to the batch of multigrid training's long cycle."""
    train, multigrid = cfg.CONFIG.TRAIN, build_multigrid(cfg)
    return Schedule(
        base_lr=train.LR,
        num_epochs=train.EPOCH_NUM,
        policy=train.LR_POLICY,
        milestones=tuple(train.LR_MILESTONE),
        factor=train.STEP,
        warmup_epochs=train.WARMUP_EPOCHS if train.USE_WARMUP else 0,
        warmup_start_lr=train.WARMUP_START_LR,
        scales=tuple(map(multigrid.lr_scale, range(train.EPOCH_NUM))) if multigrid else (),
    )
