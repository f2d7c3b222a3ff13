"""Network and optimizer of a training run, fresh or out of the checkpoint that it goes on from."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidrec.utils.errors import CheckpointError

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from yacs.config import CfgNode

    from vidrec.engine.checkpoint import Checkpointer, RunState
    from vidrec.models.recognizer import Recognizer


class Weights(NamedTuple):
    """Network and optimizer as the run starts or goes on, where that is, and the batches that each process accumulates for a step."""

    model: "Recognizer"
    optimizer: "Optimizer"
    checkpointer: "Checkpointer"
    start: "RunState"
    accumulated: int


def open_weights(cfg: "CfgNode", folder: Path) -> Weights:
    from vidrec.config import get_cfg_defaults
    from vidrec.data.decoders import decoder_version
    from vidrec.engine.checkpoint import Checkpointer
    from vidrec.engine.optim import build_batch_scale, build_optimizer
    from vidrec.models.build import build_model
    from vidrec.utils import dist
    from vidrec.utils.seed import seed_everything

    checkpointer = Checkpointer(
        folder / cfg.CONFIG.LOG.SAVE_DIR,
        config=cfg.dump(),
        defaults=get_cfg_defaults().dump(),
        seed=cfg.CONFIG.TRAIN.SEED,
        clips_per_step=build_batch_scale(cfg).clips,
        decoder=decoder_version(cfg.CONFIG.DATA.DECODER),
        save_minutes=cfg.CONFIG.LOG.SAVE_MINUTES,
        keep_last=cfg.CONFIG.LOG.KEEP_LAST,
    )
    source = dist.run_on_main(_resume_source, cfg, checkpointer)
    seed_everything(cfg.CONFIG.TRAIN.SEED)
    model = build_model(cfg, load_weights=not source).to(dist.device())
    optimizer = build_optimizer(cfg, model)
    start = checkpointer.restore(source, model=model, optimizer=optimizer)
    if source not in ("", "auto") and not _is_inside(source, checkpointer):
        start.best = None  # the best checkpoint of the other run is not in this folder
    return Weights(model, optimizer, checkpointer, start, _accumulated(cfg, checkpointer.clips_per_step))


def _accumulated(cfg: "CfgNode", clips_per_step: int) -> int:
    """ACCUMULATE, or what takes its place where the run goes on with another number of processes."""
    from vidrec.engine.log import logger
    from vidrec.engine.same_run import accumulated_for
    from vidrec.utils import dist

    train = cfg.CONFIG.TRAIN
    accumulated = accumulated_for(clips_per_step, batch_size=train.BATCH_SIZE, processes=dist.world_size())
    if accumulated == train.ACCUMULATE:
        return accumulated
    if train.MULTIGRID.USE_SHORT_CYCLE:
        raise CheckpointError(
            f"A step of the run had {clips_per_step} clips, for which {dist.world_size()} processes would accumulate {accumulated} batches "
            "each; with CONFIG.TRAIN.MULTIGRID.USE_SHORT_CYCLE that must be 1. Go on with the number of processes of before."
        )
    text = "%d batches are accumulated, for steps of %d clips as before (ACCUMULATE: %d)"
    logger.info(text, accumulated, clips_per_step, train.ACCUMULATE)
    return accumulated


def _resume_source(cfg: "CfgNode", checkpointer: "Checkpointer") -> str:
    """What `Checkpointer.restore` is to take: '' for a new run, 'auto', or a file.

    Where failed processes are started again, the run's own newest checkpoint wins: a restarted process has the config of the first.

    Raises:
        CheckpointError: the run would overwrite the checkpoints of another one.
    """
    from vidrec.engine.launch import may_restart

    train_cfg = cfg.CONFIG.TRAIN
    if train_cfg.RESUME_EPOCH >= 0:
        return str(checkpointer.epoch_path(train_cfg.RESUME_EPOCH))
    if train_cfg.RESUME == "auto" or (may_restart() and checkpointer.files()):
        return "auto" if checkpointer.files() else ""  # '': a run killed before its first checkpoint starts as it did then
    if any(checkpointer.folder.glob("*.pth")) and not _is_inside(train_cfg.RESUME, checkpointer):
        raise CheckpointError(
            f"{checkpointer.folder} holds the checkpoints of an earlier run, which a new one would overwrite."
            " Set CONFIG.TRAIN.RESUME auto to go on with it, or give the new run another CONFIG.LOG.EXP_NAME."
        )
    return train_cfg.RESUME


def _is_inside(source: str, checkpointer: "Checkpointer") -> bool:
    """Whether a checkpoint file is one of this run's own."""
    return Path(source).resolve().parent == checkpointer.folder.resolve()
