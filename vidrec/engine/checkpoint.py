"""Checkpoints that survive a kill at any moment, and resuming from them."""

import logging
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn, optim

import vidrec
from vidrec.engine.files import atomic_file, make_folder, remove_leftovers, room_text
from vidrec.utils.dist import run_on_main, world_size
from vidrec.utils.errors import CheckpointError

logger = logging.getLogger(__name__)

# Keys that a resumed run may change: they touch neither the weights nor which of them are the best.
FREE_KEYS = (
    "DDP_CONFIG.",
    "CONFIG.LOG.",
    "CONFIG.TRAIN.RESUME",
    "CONFIG.TRAIN.RESUME_EPOCH",
    "CONFIG.TRAIN.NAN_POLICY",
    "CONFIG.TRAIN.NAN_SKIPS",
    "CONFIG.TRAIN.NAN_LOSS",
    "CONFIG.TRAIN.NAN_GRAD_NORM",
    "CONFIG.DATA.NUM_WORKERS",
    "CONFIG.DATA.TRAIN_DATA_PATH",
    "CONFIG.DATA.VAL_DATA_PATH",
    "CONFIG.DATA.MAX_BAD_SHARE",
    "CONFIG.DATA.MAX_SECONDS",
    "CONFIG.DATA.CLASS_NAMES",
    "CONFIG.DATA.TEST_NUM_SEGMENT",
    "CONFIG.DATA.TEST_NUM_CROP",
    "CONFIG.VAL.BATCH_SIZE",
)
_EPOCH_FILE = re.compile(r"epoch_(\d{4,})\.pth")
_PARTS = ("model", "optimizer", "epoch", "step", "best", "seed", "config", "world_size", "versions")


@dataclass
class RunState:
    """Where a run stands: the epoch and the step in it that come next, both from 0, and the best top-1 so far (None: not yet)."""

    epoch: int = 0
    step: int = 0
    best: float | None = None


class Checkpointer:
    """Writes and finds the checkpoints of one run. All processes call it together; the main process touches the files.

    There is no random state in a checkpoint: order, augmentation and dropout follow from (seed, epoch, step, rank).

    Args:
        folder: where the checkpoints are; made where missing.
        config: the resolved config as YAML text, kept in every checkpoint.
        decoder: what decodes the videos, with its version, kept in every checkpoint; another one gives slightly other frames.

    Raises:
        CheckpointError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, config: str, seed: int, decoder: str = ""):
        self.folder, self.config, self.seed, self.decoder = folder, config, seed, decoder
        run_on_main(self._prepare)

    def _prepare(self) -> None:
        try:
            make_folder(self.folder)
            leftovers = remove_leftovers(self.folder)
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint folder {self.folder} cannot be made or read ({error.strerror}); "
                "choose a folder that you may write to with CONFIG.LOG.BASE_PATH."
            ) from error
        for path in leftovers:
            logger.info("removed %s, left by a run that was killed while saving", path)

    def epoch_path(self, epoch: int) -> Path:
        """File of the checkpoint after `epoch` epochs; the run goes on from it with the epoch of that index."""
        return self.folder / f"epoch_{epoch:04d}.pth"

    def epoch_files(self) -> list[Path]:
        """The checkpoints after an epoch, newest first."""
        by_epoch = {int(match[1]): path for path in self.folder.iterdir() if (match := _EPOCH_FILE.fullmatch(path.name))}
        return [path for _, path in sorted(by_epoch.items(), reverse=True)]

    @property
    def best_path(self) -> Path:
        return self.folder / "best.pth"

    def save(self, path: Path, state: RunState, *, model: nn.Module, optimizer: optim.Optimizer) -> None:
        """Writes a checkpoint; the file of that name is the old one or the new one at every moment.

        Raises:
            CheckpointError: on every process, when the main process cannot write; what was there before is intact.
        """
        content = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": state.epoch,
            "step": state.step,
            "best": state.best,
            "seed": self.seed,
            "config": self.config,
            "world_size": world_size(),
            "versions": {"vidrec": vidrec.__version__, "torch": str(torch.__version__), "decoder": self.decoder},
        }
        run_on_main(_write, path, content)

    def restore(self, source: str, *, model: nn.Module, optimizer: optim.Optimizer) -> RunState:
        """Loads model and optimizer from a checkpoint and returns where its run stood.

        Args:
            source: '' to start anew, 'auto' for the newest whole checkpoint of this folder (or anew where there is none), or a file.

        Raises:
            CheckpointError: the file is damaged, of another network, or of a run with another config.
        """
        content = run_on_main(self._find, source)
        if content is None:
            return RunState()
        try:
            model.load_state_dict(content["model"])
            optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).split("\n\t")[0]
            raise CheckpointError(
                f"The checkpoint is of another network or optimizer than the config's ({reason}); resume with its own config."
            ) from error
        if content["world_size"] != world_size():
            logger.warning(
                "the run was made by %d processes and goes on with %d: the batch of a step changes with them, and the result too",
                content["world_size"],
                world_size(),
            )
        return RunState(content["epoch"], content["step"], content["best"])

    def _find(self, source: str) -> dict[str, Any] | None:
        if source == "":
            return None
        content = self._newest() if source == "auto" else read_checkpoint(Path(source))
        if content is None:
            logger.info("no checkpoint in %s yet: the run starts from the beginning", self.folder)
            return None
        _refuse_other_config(yaml.safe_load(content["config"]), yaml.safe_load(self.config))
        before = content["versions"].get("decoder", self.decoder)
        if before != self.decoder:
            logger.warning("the run decoded its videos with %s and goes on with %s: their frames may differ a little", before, self.decoder)
        logger.info("going on after epoch %d", content["epoch"])
        return content

    def _newest(self) -> dict[str, Any] | None:
        """The newest checkpoint that is whole; damaged ones are said and passed over."""
        files = self.epoch_files()
        for path in files:
            try:
                return read_checkpoint(path)
            except CheckpointError as error:
                logger.warning("%s The checkpoint before it is taken.", error)
        if files:
            raise CheckpointError(
                f"None of the {len(files)} checkpoints in {self.folder} can be read; "
                "remove them to start from the beginning, or name a file in CONFIG.TRAIN.RESUME."
            )
        return None


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        with atomic_file(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise CheckpointError(
            f"The checkpoint {path} cannot be written ({reason}; {room_text(path.parent)}); earlier checkpoints are intact. "
            "Make room or allow writing, then go on with CONFIG.TRAIN.RESUME auto."
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint file holds, as `read_archive` gives it.

    Raises:
        CheckpointError: the file is missing, damaged, or not a checkpoint of vidrec.
    """
    content = read_archive(path)
    missing = [part for part in _PARTS if part not in content] if isinstance(content, dict) else list(_PARTS)
    if missing:
        raise CheckpointError(
            f"The file {path} lacks {', '.join(missing)}; a run can go on only from a checkpoint of its own. "
            "To start from its weights set CONFIG.MODEL.LOAD True and PRETRAINED_PATH."
        )
    return content


def read_archive(path: Path) -> Any:
    """What a file of torch.save holds, tensors on the CPU, after comparing every record with its checksum. Runs no code of the file.

    Raises:
        CheckpointError: the file is missing or damaged, or holds more than tensors and plain values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load itself takes a file with flipped bits without a word
        content = torch.load(path, map_location="cpu", weights_only=True) if damaged is None else None
    except FileNotFoundError as error:
        raise CheckpointError(
            f"The checkpoint {path} does not exist; name a file, or set CONFIG.TRAIN.RESUME auto for the newest of the run."
        ) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"The checkpoint {path} holds more than tensors and plain values, which may be code; it was not run. "
            "Use a file that vidrec wrote."
        ) from error
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"The checkpoint {path} is damaged or cut short ({reason}); take an earlier one.") from error
    if damaged is not None:
        raise CheckpointError(f"The checkpoint {path} is damaged (wrong checksum of {damaged}); take an earlier one.")
    return content


def _refuse_other_config(saved: dict[str, Any], current: dict[str, Any]) -> None:
    """Raises CheckpointError naming every key that differs and may not."""
    old, new = dict(_flat(saved)), dict(_flat(current))
    differing = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key) and not _is_free(key)]
    if differing:
        rows = [f"  - {key} was {old.get(key, 'not set')!r} and is now {new.get(key, 'not set')!r}" for key in differing]
        remedy = "Set these back, or start a new run with another CONFIG.LOG.EXP_NAME."
        raise CheckpointError("\n".join(["The run to go on with has another config:", *rows, remedy]))


def _flat(node: dict[str, Any], prefix: str = ""):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _is_free(key: str) -> bool:
    return any(key.startswith(free) if free.endswith(".") else key == free for free in FREE_KEYS)
