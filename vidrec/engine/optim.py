"""Loss, optimizer and learning rate schedule from the config."""

from typing import Any

import torch
from torch import nn, optim

from vidrec.data.annotations import VideoTable
from vidrec.data.build import build_multigrid, build_table
from vidrec.engine.ema import WeightAverage
from vidrec.engine.gradients import GradientClip
from vidrec.engine.head_warmup import HeadWarmup
from vidrec.engine.lars import LARS
from vidrec.engine.log import logger
from vidrec.engine.losses import Loss, SigmoidLoss, SoftmaxLoss, balanced_weights, weights_text
from vidrec.engine.param_groups import make_groups
from vidrec.engine.schedule import BatchScale, Schedule
from vidrec.models.recognizer import Recognizer
from vidrec.utils.dist import world_size
from vidrec.utils.errors import ConfigError


def build_loss(cfg: Any, table: VideoTable | None, device: torch.device) -> Loss:
    """What TRAIN.LOSS says. Balanced weights follow from the counts of the training list, and are said in the log.

    Args:
        table: the training list; None: read where it is needed.
    """
    train, num_classes = cfg.CONFIG.TRAIN, cfg.CONFIG.DATA.NUM_CLASSES
    weights = train.CLASS_WEIGHTS
    if weights == "balanced":
        table = table or build_table(cfg, "train")
        counts = table.label_counts(num_classes)
        weights = balanced_weights(counts, len(table), sigmoid=train.LOSS != "softmax")
        logger.info("balanced %s", weights_text(weights, counts))
    given = torch.tensor(weights, dtype=torch.float32, device=device) if len(weights) else None
    if train.LOSS == "softmax":
        return SoftmaxLoss(train.LABEL_SMOOTHING, given)
    return SigmoidLoss(train.FOCAL_GAMMA if train.LOSS == "focal" else 0.0, train.LABEL_SMOOTHING, given)


def build_optimizer(cfg: Any, model: nn.Module) -> optim.Optimizer:
    """SGD with momentum, AdamW or LARS over the parameters that are to be trained (`requires_grad`).

    Raises:
        ConfigError: every parameter is frozen.
    """
    train = cfg.CONFIG.TRAIN
    groups = make_groups(
        model,
        weight_decay=train.W_DECAY,
        decay_norm_bias=train.DECAY_NORM_BIAS,
        layer_decay=train.LAYER_DECAY,
        head_lr_mult=train.HEAD_LR_MULT,
    )
    if not groups:
        raise ConfigError(["CONFIG.MODEL leaves no parameter to train: all are frozen; unfreeze a part of the network or only test it."])
    lr = train.LR * build_batch_scale(cfg).factor
    fused = train.FUSED_OPTIMIZER or None  # None: torch's choice
    if train.OPTIMIZER == "AdamW":
        return optim.AdamW(groups, lr=lr, betas=tuple(train.BETAS), eps=train.EPS, fused=fused)
    if train.OPTIMIZER == "LARS":
        return LARS(groups, lr=lr, momentum=train.MOMENTUM, trust=train.TRUST)
    return optim.SGD(groups, lr=lr, momentum=train.MOMENTUM, nesterov=train.NESTEROV, fused=fused)


def build_batch_scale(cfg: Any) -> BatchScale:
    """The clips of a step, and the factor on the learning rate that follows from them where that is asked for."""
    train = cfg.CONFIG.TRAIN
    return BatchScale(train.BATCH_SIZE, train.ACCUMULATE, world_size(), train.LR_SCALE_BATCH)


def build_clip(cfg: Any) -> GradientClip:
    """What bounds the gradients."""
    return GradientClip(cfg.CONFIG.TRAIN.CLIP_NORM, cfg.CONFIG.TRAIN.CLIP_VALUE)


def build_average(cfg: Any, model: nn.Module) -> WeightAverage | None:
    """The average of the weights; None where the config has none."""
    ema = cfg.CONFIG.TRAIN.EMA
    return WeightAverage(model, decay=ema.DECAY, warmup=ema.WARMUP) if ema.DECAY else None


def build_head_warmup(cfg: Any, model: Recognizer) -> HeadWarmup | None:
    """What trains in the first epochs; None where the config does not begin with the head."""
    return HeadWarmup(model, cfg.CONFIG.TRAIN.HEAD_WARMUP_EPOCHS) if cfg.CONFIG.TRAIN.HEAD_WARMUP_EPOCHS else None


def build_schedule(cfg: Any) -> Schedule:
    """The learning rate per epoch or step that the config asks for, in proportion to the batch of multigrid training's long cycle."""
    train, multigrid, factor = cfg.CONFIG.TRAIN, build_multigrid(cfg), build_batch_scale(cfg).factor
    return Schedule(
        base_lr=train.LR * factor,
        num_epochs=train.EPOCH_NUM,
        policy=train.LR_POLICY,
        milestones=tuple(train.LR_MILESTONE),
        factor=train.STEP,
        end_lr=train.LR_END * factor,
        power=train.POLY_POWER,
        per_step=train.LR_PER == "step",
        warmup_epochs=train.WARMUP_EPOCHS if train.USE_WARMUP else 0,
        warmup_start_lr=train.WARMUP_START_LR,
        warmup_to_lr=train.WARMUP_TO_LR * factor if train.WARMUP_TO_LR else None,
        scales=tuple(map(multigrid.lr_scale, range(train.EPOCH_NUM))) if multigrid else (),
    )
