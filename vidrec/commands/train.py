"""Trains a network from one YAML file: `train --config-file F [KEY VALUE ...]`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import config_parser, run_command
from vidrec.utils.errors import ConfigError, UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.commands.train_weights import Weights
    from vidrec.data.mixing import BatchAugment
    from vidrec.engine.checkpoint import RunState
    from vidrec.engine.divergence import Guard
    from vidrec.engine.record import RunRecord
    from vidrec.engine.stopping import Stop
    from vidrec.engine.trainer import Trainer

GOING_ON = "With CONFIG.TRAIN.RESUME auto the same command goes on from the run's last checkpoint, where it has one."


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    args = config_parser("train_ddp_pytorch.py", "Train a network from one YAML file, on every device of this machine.").parse_args(argv)
    return run_command(lambda: _start(args.config_file, args.overrides), going_on=GOING_ON)


def _start(config_file: str, overrides: Sequence[str]) -> None:
    from vidrec.commands.runs import load_run_config
    from vidrec.engine.launch import launch
    from vidrec.models.build import check_network

    cfg = load_run_config(config_file, overrides)
    _check_for_training(cfg)
    check_network(cfg)
    launch(train, cfg)


def _check_for_training(cfg: "CfgNode") -> None:
    """Raises ConfigError for a config that can be tested but not trained."""
    model, mistakes = cfg.CONFIG.MODEL, []
    if cfg.CONFIG.INFERENCE.FEAT:
        mistakes.append("CONFIG.INFERENCE.FEAT is True; a network that returns features has no loss. Set it False to train.")
    if model.PRETRAINED_PATH and not model.LOAD:
        mistakes.append(
            f"CONFIG.MODEL.PRETRAINED_PATH is {model.PRETRAINED_PATH!r} and CONFIG.MODEL.LOAD is False;"
            " set LOAD True to start from that file, or empty the path."
        )
    mistakes += _logger_mistakes(cfg.CONFIG.LOG.LOGGERS)
    if mistakes:
        raise ConfigError(mistakes)


def _logger_mistakes(names: Sequence[str]) -> list[str]:
    from vidrec.engine.loggers import find_logger

    mistakes = []
    for name in names:
        try:
            find_logger(name)
        except UserError as error:
            mistakes.append(str(error))
    return mistakes


def train(cfg: "CfgNode") -> None:
    """One process of a training run.

    Raises:
        SystemExit: with status `stopping.EXIT_STOPPED` where the run was asked to stop, and has been saved.
    """
    from vidrec.engine.log import logger
    from vidrec.engine.stopping import Stop, Stopped, exit_status, requeue
    from vidrec.utils import dist

    stop = Stop(max_hours=cfg.CONFIG.TRAIN.MAX_HOURS)
    with stop.listening():
        try:
            _train(cfg, stop)
        except Stopped as stopped:
            logger.info("stopped %s; the run goes on from there with CONFIG.TRAIN.RESUME auto", stopped)
            if cfg.CONFIG.TRAIN.REQUEUE and dist.is_main():
                requeue()
            raise SystemExit(exit_status()) from None


def _train(cfg: "CfgNode", stop: "Stop") -> None:
    """From the run's folder to the last checkpoint. What can be wrong is opened first."""
    from vidrec.commands.multigrid_shapes import check_shapes, multigrid_text
    from vidrec.commands.run_facts import list_facts, run_facts
    from vidrec.commands.runs import log_difference, open_run, with_accumulate
    from vidrec.commands.train_step import check_steps, choose_kernels, norm_clips
    from vidrec.commands.train_weights import open_weights
    from vidrec.data.build import build_multigrid
    from vidrec.engine.log import logger
    from vidrec.engine.optim import build_batch_scale
    from vidrec.engine.param_groups import group_table
    from vidrec.engine.summary import summarized
    from vidrec.utils import dist

    cfg, folder = open_run(cfg)
    log_difference(cfg)
    choose_kernels(cfg)
    data = _open_data(cfg)
    weights = open_weights(cfg, folder)
    cfg = with_accumulate(cfg, weights.accumulated)
    check_steps(cfg, data.sampler)
    trainer = _build_trainer(cfg, folder, data=data, weights=weights, stop=stop)
    multigrid = build_multigrid(cfg)
    if multigrid:
        shapes = {"num_epochs": trainer.num_epochs, "num_frames": cfg.CONFIG.DATA.CLIP_LEN * cfg.CONFIG.DATA.NUM_SEGMENT}
        check_shapes(weights.model, multigrid, batch_size=data.sampler.batch_size, **shapes)
        logger.info(multigrid_text(multigrid, data.sampler, norm_clips=norm_clips(cfg), **shapes))
    most = "up to " if multigrid else ""
    steps, device = data.sampler.max_batches // cfg.CONFIG.TRAIN.ACCUMULATE, trainer.stepper.device
    logger.info("%d epochs of %s%d steps on %d x %s", trainer.num_epochs, most, steps, dist.world_size(), device)
    logger.info(build_batch_scale(cfg).text(cfg.CONFIG.TRAIN.LR))
    logger.info("parameters in training:\n%s", group_table(weights.optimizer, trainer.schedule.base_lr))
    facts = run_facts(cfg, folder, lists=list_facts(cfg, train=data.table, val=data.val_table), best_path=trainer.checkpointer.best_path)
    with summarized(trainer.record, facts, trainer.bad_videos):
        state = trainer.run(weights.start)
    logger.info("finished %d epochs; the run is in %s", state.epoch, folder)
    if state.best is not None:
        logger.info("best validation %s %.4f (views per video: %s): %s", trainer.best.text, state.best, facts.views, facts.best_path)


class _Data(NamedTuple):
    """The lists of training and validation with their loaders; None for validation where there is none."""

    table: Any
    sampler: Any
    loader: Any
    val_table: Any
    val_loader: Any


def _open_data(cfg: "CfgNode") -> _Data:
    from vidrec.commands.runs import open_split
    from vidrec.data.build import class_names

    class_names(cfg)  # a wrong file shows now, and not in the test after the last epoch
    dataset, sampler, loader = open_split(cfg, "train")
    if not cfg.CONFIG.VAL.FREQ:
        return _Data(dataset.table, sampler, loader, None, None)
    val = open_split(cfg, "val")
    return _Data(dataset.table, sampler, loader, val.dataset.table, val.loader)


def _build_trainer(cfg: "CfgNode", folder: Path, *, data: _Data, weights: "Weights", stop: "Stop") -> "Trainer":
    from vidrec.commands.runs import save_config
    from vidrec.commands.train_step import build_stepper, build_validation
    from vidrec.data.build import build_batch_augment
    from vidrec.engine.bad_videos import BadVideos
    from vidrec.engine.optim import build_average, build_loss, build_schedule
    from vidrec.engine.prefetch import prefetched
    from vidrec.engine.trainer import Trainer
    from vidrec.utils import dist

    train_cfg, val, log, model = cfg.CONFIG.TRAIN, cfg.CONFIG.VAL, cfg.CONFIG.LOG, weights.model
    augment = build_batch_augment(cfg, "device")
    guard = _build_guard(cfg, folder, data=data, augment=augment)
    loss, average = build_loss(cfg, data.table, dist.device()), build_average(cfg, model)
    dist.run_on_main(save_config, cfg, folder)
    return Trainer(
        stepper=build_stepper(cfg, model, weights.optimizer, augment=augment, guard=guard, loss=loss, average=average),
        schedule=build_schedule(cfg),
        train_loader=prefetched(data.loader, dist.device()) if train_cfg.PREFETCH else data.loader,
        train_sampler=data.sampler,
        val_loader=data.val_loader,
        **build_validation(cfg, model, average, table=data.val_table, loss=loss),
        extras={"ema": average} if average else {},
        num_epochs=train_cfg.EPOCH_NUM,
        val_freq=val.FREQ,
        save_freq=log.SAVE_FREQ,
        save_steps=log.SAVE_STEPS,
        stop=stop,
        display_freq=log.DISPLAY_FREQ,
        bad_videos=BadVideos(num_videos=len(data.table), max_share=cfg.CONFIG.DATA.MAX_BAD_SHARE),
        checkpointer=weights.checkpointer,
        record=_build_record(cfg, folder, start=weights.start, num_steps=data.sampler.max_batches // train_cfg.ACCUMULATE),
        clip_freq=log.CLIP_FREQ,
    )


def _build_guard(cfg: "CfgNode", folder: Path, *, data: _Data, augment: "BatchAugment | None") -> "Guard":
    from vidrec.engine.divergence import Guard

    train = cfg.CONFIG.TRAIN
    return Guard(
        policy=train.NAN_POLICY,
        max_skips=train.NAN_SKIPS,
        max_loss=train.NAN_LOSS,
        max_grad_norm=train.NAN_GRAD_NORM,
        folder=folder / "replay",
        config=cfg.dump(),
        path_of=data.table.path,
        augment=augment,
    )


def _build_record(cfg: "CfgNode", folder: Path, *, start: "RunState", num_steps: int) -> "RunRecord":
    from vidrec.commands.run_facts import run_info
    from vidrec.data.build import class_names
    from vidrec.engine.loggers import make_loggers
    from vidrec.engine.record import RunRecord
    from vidrec.utils import dist

    loggers = make_loggers(cfg.CONFIG.LOG.LOGGERS) if dist.is_main() else None
    return RunRecord(folder, start=start, num_steps=num_steps, loggers=loggers, run=run_info(cfg, folder), class_names=class_names(cfg))
