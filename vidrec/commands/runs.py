"""The config a run starts from, and its folder."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yacs.config import CfgNode

from vidrec.commands.unfinished import unfinished_run
from vidrec.config.load import config_difference, read_config
from vidrec.engine.launch import may_restart
from vidrec.utils.errors import ConfigError, UserError

USE_TIME = "use_time"
CLASSES_FILE = "classes.txt"  # in a run's folder
TIME_FORMAT, TIME_PATTERN = "%Y%m%d-%H%M%S", r"\d{8}-\d{6}"


def load_run_config(path: str, overrides: Sequence[str], *, find_run: bool = False, find_test: bool = False) -> CfgNode:
    """The checked config, with the start time written into the run's name where it asks for it.

    Args:
        find_run: take the newest run of that name, where there is one, instead of a new one.
        find_test: or else the one in which a test of this config was begun and not ended.

    Raises:
        ConfigError: with the mistakes of the schema and those of the component sections together.
    """
    cfg, mistakes = read_config(path, overrides)
    mistakes += component_mistakes(cfg)
    if mistakes:
        raise ConfigError(mistakes)
    newest = (newest_run(cfg) if find_run else None) or (unfinished_run(cfg) if find_test else None)
    if not find_run and may_restart() and cfg.CONFIG.LOG.EXP_NAME.endswith(USE_TIME):
        raise ConfigError(
            [
                f"CONFIG.LOG.EXP_NAME is {cfg.CONFIG.LOG.EXP_NAME!r}, a new folder at every start, and torchrun runs with --max-restarts: a"
                " restarted process could not find its checkpoints. Give the run a name of its own there."
            ]
        )
    return with_key(cfg, "EXP_NAME", newest or run_name(cfg.CONFIG.LOG.EXP_NAME, time.localtime()))


def component_mistakes(cfg: CfgNode) -> list[str]:
    """What the component sections hold that the classes they name do not take. Sections that are missing are not judged here."""
    from vidrec.data.build import DATASET_GIVEN, DATASETS, DECODERS, SAMPLER_GIVEN, SAMPLERS
    from vidrec.models.build import BACKBONES, HEAD_GIVEN, HEADS, NECK_GIVEN, NECKS

    model, data = cfg.CONFIG.MODEL, cfg.CONFIG.DATA
    sections = [
        ("CONFIG.MODEL.BACKBONE", model.BACKBONE, BACKBONES, ()),
        ("CONFIG.MODEL.NECK", model.NECK, NECKS, NECK_GIVEN),
        ("CONFIG.MODEL.HEAD", model.HEAD, HEADS, HEAD_GIVEN),
        ("CONFIG.DATA.TRAIN_DATASET", data.TRAIN_DATASET, DATASETS, DATASET_GIVEN),
        ("CONFIG.DATA.VAL_DATASET", data.VAL_DATASET, DATASETS, DATASET_GIVEN),
        ("CONFIG.DATA.TRAIN_SAMPLER", data.TRAIN_SAMPLER, SAMPLERS, SAMPLER_GIVEN),
        ("CONFIG.DATA.VAL_SAMPLER", data.VAL_SAMPLER, SAMPLERS, SAMPLER_GIVEN),
    ]
    found = [mistake for where, section, registry, given in sections if section for mistake in registry.mistakes(section, where, given)]
    if data.DECODER not in DECODERS.names():
        found.append(f"CONFIG.DATA.DECODER is {data.DECODER!r}; it must be one of {', '.join(DECODERS.names())}.")
    return found


def run_name(name: str, now: time.struct_time) -> str:
    """The name with a trailing `use_time` replaced by the start time: `tsn_use_time` -> `tsn_20261122-141500`."""
    return name[: -len(USE_TIME)] + time.strftime(TIME_FORMAT, now) if name.endswith(USE_TIME) else name


def newest_run(cfg: CfgNode) -> str | None:
    """The newest run with checkpoints of a config whose name takes the start time, as `tsn_use_time` does; None where there is none.

    A name of nothing but the time says too little: other configs have it too.
    """
    log = cfg.CONFIG.LOG
    prefix = log.EXP_NAME.removesuffix(USE_TIME)
    if prefix in ("", log.EXP_NAME):
        return None
    pattern = re.compile(re.escape(prefix) + TIME_PATTERN)
    folders = [folder.parent for folder in base_folder(cfg).glob(f"*/{log.SAVE_DIR}") if any(folder.glob("*.pth"))]
    return max((folder.name for folder in folders if pattern.fullmatch(folder.name)), default=None)


def base_folder(cfg: CfgNode) -> Path:
    """The folder of all runs: BASE_PATH, `runs` when empty."""
    return Path(cfg.CONFIG.LOG.BASE_PATH or "runs")


def with_key(cfg: CfgNode, key: str, value: str) -> CfgNode:
    """A frozen copy of the config with another value of a LOG key."""
    changed = cfg.clone()
    changed.defrost()
    changed.CONFIG.LOG[key] = value
    changed.freeze()
    return changed


def with_accumulate(cfg: CfgNode, accumulate: int) -> CfgNode:
    """A frozen copy of the config with another value of TRAIN.ACCUMULATE."""
    changed = cfg.clone()
    changed.defrost()
    changed.CONFIG.TRAIN.ACCUMULATE = accumulate
    changed.freeze()
    return changed


def open_run(cfg: CfgNode) -> tuple[CfgNode, Path]:
    """Makes the run's folder and sends messages to its log file; all processes agree on the main one's name for it.

    Returns:
        The config with that name, and the folder of that name in the folder of all runs.

    Raises:
        UserError: the folder cannot be made or written.
    """
    from vidrec.engine.log import setup_logging
    from vidrec.utils import dist

    log = cfg.CONFIG.LOG
    name = dist.broadcast_object(log.EXP_NAME)  # under torchrun every process has read the clock for itself
    folder = base_folder(cfg) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"The run's folder {folder} cannot be made ({error.strerror}); it must be a place that you may write to:"
            " choose one with CONFIG.LOG.BASE_PATH."
        ) from error
    setup_logging(folder, level=log.LEVEL, filename=log.LOG_FILENAME, rank=dist.rank())
    return with_key(cfg, "EXP_NAME", name), folder


def save_config(cfg: CfgNode, folder: Path) -> None:
    """Writes the resolved config and the class names (CLASSES_FILE) into the run's folder. Raises UserError where that fails."""
    from vidrec.data.build import class_names
    from vidrec.engine.files import atomic_file, room_text

    names = class_names(cfg)
    try:
        with atomic_file(folder / "config.yaml") as file:
            file.write(cfg.dump().encode())
        if names:  # so that the folder says what its labels mean wherever it is taken
            with atomic_file(folder / CLASSES_FILE) as file:
                file.write("".join(f"{name}\n" for name in names).encode())
    except OSError as error:
        raise UserError(
            f"{folder / 'config.yaml'} cannot be written ({error.strerror}; {room_text(folder)}); the run's folder must be writable:"
            " make room, or choose another with CONFIG.LOG.BASE_PATH."
        ) from error


def log_difference(cfg: CfgNode) -> None:
    """Logs every key that differs from its default."""
    from vidrec.engine.log import logger

    logger.info("\n".join(["config, where it differs from the defaults:", *(f"  {line}" for line in config_difference(cfg))]))


class Split(NamedTuple):
    """One list of videos, this process's share of it, and the loader over that."""

    dataset: Any
    sampler: Any
    loader: Any


def open_split(cfg: CfgNode, split: str) -> Split:
    """The dataset, sampler and loader of `train`, `val` or `test` for this process. Raises DataError for what is wrong with the list."""
    from vidrec.data.build import build_dataset, build_sampler
    from vidrec.utils import dist

    dataset = build_dataset(cfg, split)
    sampler = build_sampler(cfg, dataset, split, rank=dist.rank(), world_size=dist.world_size())
    return Split(dataset, sampler, open_loader(cfg, dataset, sampler, split))


def open_loader(cfg: CfgNode, dataset: Any, sampler: Any, split: str) -> Any:
    """The loader of this process over the samples of a sampler."""
    from vidrec.data.build import build_loader
    from vidrec.utils import dist

    on_gpu = dist.device().type == "cuda"
    return build_loader(cfg, dataset, sampler, split, local_world_size=dist.local_world_size(), pin_memory=on_gpu)
