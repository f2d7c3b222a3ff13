"""The step of training and the switches of its process, as a config asks for them."""

from functools import partial
from typing import TYPE_CHECKING, Any

from vidrec.utils.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer
    from yacs.config import CfgNode

    from vidrec.data.annotations import VideoTable
    from vidrec.data.mixing import BatchAugment
    from vidrec.data.samplers import TrainSampler
    from vidrec.engine.best import BestWatch
    from vidrec.engine.divergence import Guard
    from vidrec.engine.ema import WeightAverage
    from vidrec.engine.losses import Loss
    from vidrec.engine.parallel import ParallelOptions
    from vidrec.engine.stepper import Stepper
    from vidrec.engine.tester import Tester
    from vidrec.models.recognizer import Recognizer


def choose_kernels(cfg: "CfgNode") -> None:
    """Sets the switches of this process. Raises UserError where the environment forbids them."""
    from vidrec.data.build import build_multigrid
    from vidrec.engine.device import prepare_determinism, set_switches

    train = cfg.CONFIG.TRAIN
    if train.DETERMINISTIC:
        prepare_determinism()
    autotune = train.CUDNN_BENCHMARK and not build_multigrid(cfg)
    set_switches(deterministic=train.DETERMINISTIC, tf32=train.TF32, autotune=autotune)


def build_stepper(
    cfg: "CfgNode", model: "Recognizer", optimizer: "Optimizer", *, augment: "BatchAugment | None", guard: "Guard | None", **more: Any
) -> "Stepper":
    """What takes the steps of a run of this config; the network, on its device, is brought into the config's memory format here.

    Args:
        more: goes to the Stepper.

    Raises:
        ConfigError: a stage that is to be computed twice does not exist, or there is no BatchNorm to be shared or split.
        UserError: the network is to be compiled and there is no compiler.
    """
    from vidrec.engine.optim import build_clip, build_head_warmup
    from vidrec.engine.stepper import StepOptions, Stepper
    from vidrec.utils import dist

    train, data = cfg.CONFIG.TRAIN, cfg.CONFIG.DATA
    parallel = _parallel_options(cfg, model)
    _change_layers(cfg, model)
    return Stepper(
        model=model,
        optimizer=optimizer,
        device=dist.device(),
        seed=train.SEED,
        mean=data.MEAN,
        std=data.STD,
        batches_per_step=train.ACCUMULATE,
        augment=augment,
        guard=guard,
        clip=build_clip(cfg),
        head_warmup=build_head_warmup(cfg, model),
        options=StepOptions(precision=train.PRECISION, memory_format=train.MEMORY_FORMAT, compile=train.COMPILE, parallel=parallel),
        **more,
    )


def _change_layers(cfg: "CfgNode", model: "Recognizer") -> None:
    """Has layers compute otherwise, as the config says; names and numbers of their weights stay."""
    from vidrec.engine.fixed_pools import fix_pools
    from vidrec.engine.recompute import recompute_parts
    from vidrec.engine.sync_norm import sync_norms

    if cfg.CONFIG.MODEL.SYNC_BN:
        sync_norms(model)
    _split_norms(cfg, model)
    if cfg.CONFIG.TRAIN.DETERMINISTIC:
        fix_pools(model)
    recompute_parts(model.backbone.parts(), cfg.CONFIG.TRAIN.CHECKPOINT_STAGES)


def build_validation(
    cfg: "CfgNode", model: "Recognizer", average: "WeightAverage | None", *, table: "VideoTable | None", loss: "Loss"
) -> dict[str, Any]:
    """What validates in training, as the Trainer takes it: the network, its average beside it, or the average alone.

    Args:
        table: the validation list; None where there is none.
        loss: to be measured too.
    """
    from vidrec.engine.metrics import measure
    from vidrec.utils import dist

    train, several = cfg.CONFIG.TRAIN, table is not None and table.multi_label
    tested = [model] if average is None else [average.model] if train.EMA.VALIDATE == "ema" else [model, average.model]
    testers = zip(("tester", "average_tester"), (_build_tester(cfg, network) for network in tested), strict=False)
    targets = table.targets(cfg.CONFIG.DATA.NUM_CLASSES) if several and dist.is_main() else None
    return {
        **dict(testers),
        "num_val_videos": 0 if table is None else len(table),
        "precise_batches": train.PRECISE_BN,
        "measure": partial(measure, targets=targets, loss=loss),
        "best": _build_best(cfg, several=several),
    }


def _build_best(cfg: "CfgNode", *, several: bool) -> "BestWatch":
    """By what a validation is the best.

    Args:
        several: videos of the validation list have several labels.

    Raises:
        ConfigError: the list does not give the metric asked for.
    """
    from vidrec.engine.best import BestWatch

    val = cfg.CONFIG.VAL
    metric = val.BEST_METRIC or ("map" if several else "top1")
    if val.FREQ and metric.removeprefix("ema_") == ("mean_class" if several else "map"):
        kind, other = ("several labels", "map") if several else ("one label", "mean_class")
        what = f"CONFIG.VAL.BEST_METRIC is {metric}; a list of {kind} a video (CONFIG.DATA.VAL_ANNO_PATH) gives {other}, top1, top5 and"
        raise ConfigError([f"{what} loss. Choose one of these."])
    return BestWatch(metric, val.PATIENCE)


def _build_tester(cfg: "CfgNode", model: "nn.Module") -> "Tester":
    """What validates a network in training."""
    from vidrec.engine.tester import Tester
    from vidrec.utils import dist

    return Tester(
        model,
        device=dist.device(),
        mean=cfg.CONFIG.DATA.MEAN,
        std=cfg.CONFIG.DATA.STD,
        views_per_batch=cfg.CONFIG.VAL.BATCH_SIZE,
        share_batches=True,
        precision=cfg.CONFIG.VAL.PRECISION,
        memory_format=cfg.CONFIG.TRAIN.MEMORY_FORMAT,
    )


def norm_clips(cfg: "CfgNode") -> int:
    """Clips over which BatchNorm takes its statistics; 0: those of the whole batch, or, with SYNC_BN, of a whole step."""
    from vidrec.data.build import build_multigrid

    train = cfg.CONFIG.TRAIN
    return train.BN_SUB_BATCH or (train.BATCH_SIZE if build_multigrid(cfg) and not cfg.CONFIG.MODEL.SYNC_BN else 0)


def _split_norms(cfg: "CfgNode", model: "Recognizer") -> None:
    from vidrec.models.layers.split_norm import split_norms

    clips, asked = norm_clips(cfg), cfg.CONFIG.TRAIN.BN_SUB_BATCH
    if clips and not split_norms(model, clips) and asked:
        raise ConfigError([f"CONFIG.TRAIN.BN_SUB_BATCH is {asked}; this network has no BatchNorm for it to act on. Set it 0."])


def check_steps(cfg: "CfgNode", sampler: "TrainSampler") -> None:
    """Raises ConfigError where the batches of an epoch do not make a single step."""
    train = cfg.CONFIG.TRAIN
    fewest = min(map(sampler.steps_of, range(train.EPOCH_NUM)))
    if fewest < train.ACCUMULATE:
        text = f"CONFIG.TRAIN.ACCUMULATE is {train.ACCUMULATE} and an epoch of the training list has {fewest} batches per process; it must"
        raise ConfigError([f"{text} have at least one step: lower ACCUMULATE or BATCH_SIZE."])


def _parallel_options(cfg: "CfgNode", model: "Recognizer") -> "ParallelOptions":
    from vidrec.engine.log import logger
    from vidrec.engine.parallel import ParallelOptions, unused_parameters
    from vidrec.utils import dist

    ddp, data = cfg.CONFIG.TRAIN.DDP, cfg.CONFIG.DATA
    find_unused = ddp.FIND_UNUSED == "always"
    if ddp.FIND_UNUSED == "auto" and dist.world_size() > 1 and not ddp.STATIC_GRAPH:
        unused = unused_parameters(model, (2, 3, data.NUM_SEGMENT * data.CLIP_LEN, data.CROP_SIZE, data.CROP_SIZE))
        find_unused = bool(unused)
        if unused:
            logger.info("%d weights get no gradient, which every step looks for: %s", len(unused), ", ".join(unused))
    return ParallelOptions(bucket_view=ddp.BUCKET_VIEW, static_graph=ddp.STATIC_GRAPH, find_unused=find_unused, compression=ddp.COMPRESSION)
