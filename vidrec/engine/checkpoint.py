"""Checkpoints that survive a kill at any moment, and resuming from them."""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from torch import nn, optim

import vidrec
from vidrec.engine.background import Background
from vidrec.engine.checkpoint_file import manifest_path, plain_copy, read_checkpoint, remove_checkpoint, write_checkpoint
from vidrec.engine.files import make_folder, remove_leftovers
from vidrec.engine.same_run import BATCH_KEYS, refuse_other_config
from vidrec.utils.dist import is_main, run_on_main, world_size
from vidrec.utils.errors import CheckpointError

logger = logging.getLogger(__name__)

_FILE = re.compile(r"epoch_(\d{4,})(?:_step_(\d{6,}))?\.pth")
STEP_FILES = 2  # checkpoints within an epoch that are kept: the newest, and the one before in case it is damaged


@dataclass
class RunState:
    """Where a run stands: the epoch and the step in it that come next, both from 0, and the best validation so far (None: not yet), by
    the metric that the extra state `best` names.

    After the last step of an epoch, what belongs to its end, such as validation, comes next: step is then the number of steps.
    `extras` holds, by name, the states of what else the checkpoint had; empty for a new run and once they are handed out.
    """

    epoch: int = 0
    step: int = 0
    best: float | None = None
    extras: dict[str, Any] = field(default_factory=dict)


class Stateful(Protocol):
    """Something whose state goes into checkpoints: tensors, plain numbers, text, and lists, tuples and dicts of them.

    Every process calls `state_dict`, so that it may gather; the main one's is written. Every process gets it back.
    """

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class Checkpointer:
    """Writes and finds the checkpoints of one run. All processes call it together; the main process touches the files, in a thread.

    There is no random state in a checkpoint: order, augmentation and dropout follow from (seed, epoch, step, rank). Nor is there
    a state of the loader: the place in the order is the step.

    Args:
        folder: where the checkpoints are; made where missing.
        config: the resolved config as YAML text, kept in every checkpoint.
        clips_per_step: over all processes; a run that goes on keeps that of its checkpoint, in the attribute of this name.
        defaults: the default config as YAML text, for what the config of an older checkpoint does not know yet.
        decoder: what decodes the videos, with its version, kept in every checkpoint; another one gives slightly other frames.
        save_minutes: minutes after which another checkpoint is due; 0: never.
        keep_last: the newest that are kept, older ones are removed once a new one is there; 0: all of epochs. The best is always kept.

    Raises:
        CheckpointError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: str,
        seed: int,
        clips_per_step: int,
        defaults: str = "",
        decoder: str = "",
        save_minutes: float = 0.0,
        keep_last: int = 0,
    ):
        self.folder, self.config, self.seed, self.decoder, self.keep_last = folder, config, seed, decoder, keep_last
        self.clips_per_step, self.defaults = clips_per_step, defaults
        self._writer, self._every_s, self._since = Background(), save_minutes * 60, time.monotonic()
        run_on_main(self._prepare)

    def _prepare(self) -> None:
        try:
            make_folder(self.folder)
            leftovers = remove_leftovers(self.folder)
            for manifest in self.folder.glob(manifest_path(Path("*.pth")).name):
                if not manifest.with_suffix("").exists():
                    manifest.unlink()
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

    def path(self, state: RunState) -> Path:
        """File of the checkpoint of a moment. Example: epoch 2, step 0 -> epoch_0002.pth; step 30 -> epoch_0002_step_000030.pth"""
        path = self.epoch_path(state.epoch)
        return path.with_stem(f"{path.stem}_step_{state.step:06d}") if state.step else path

    def files(self) -> list[Path]:
        """The checkpoints but for the best, newest first: by epoch and step."""
        matches = [match for path in self.folder.iterdir() if (match := _FILE.fullmatch(path.name))]
        matches.sort(key=lambda match: (int(match[1]), int(match[2] or 0)), reverse=True)
        return [self.folder / match[0] for match in matches]

    @property
    def best_path(self) -> Path:
        return self.folder / "best.pth"

    def save(
        self,
        paths: Sequence[Path],
        state: RunState,
        *,
        model: nn.Module,
        optimizer: optim.Optimizer,
        extras: Mapping[str, Stateful] | None = None,
    ) -> None:
        """Copies everything to host memory and returns; the files are written in the background, after the end of the save before.

        Args:
            paths: the files, of equal content; each is the old one or the new one at every moment.
            extras: what else has a state, by name: loss scaler, averaged weights, sums of an epoch.

        Raises:
            CheckpointError: on every process, when the main process could not write the save before; what was there is intact.
        """
        content = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "extras": {name: part.state_dict() for name, part in (extras or {}).items()},
            "epoch": state.epoch,
            "step": state.step,
            "best": state.best,
            "seed": self.seed,
            "config": self.config,
            "world_size": world_size(),
            "clips_per_step": self.clips_per_step,
            "versions": {"vidrec": vidrec.__version__, "torch": str(torch.__version__), "decoder": self.decoder},
        }
        run_on_main(self._start, paths, content)
        self._since = time.monotonic()

    def finish(self) -> None:
        """Waits for what is being written. Raises CheckpointError, on every process, when it could not be."""
        run_on_main(self._writer.finish)

    def due(self) -> bool:
        """Whether save_minutes are over since the last save, or since this was last answered with yes; never but on the main process."""
        now = time.monotonic()
        if not (self._every_s and is_main()) or now - self._since < self._every_s:
            return False
        self._since = now
        return True

    @property
    def failed(self) -> bool:
        """Whether a save has failed on this process; the next one, or `finish`, raises its error."""
        return self._writer.failed

    def _start(self, paths: Sequence[Path], content: dict[str, Any]) -> None:
        self._writer.finish()  # before the copy, so that host memory holds one of them at a time
        self._writer.start(self._write, paths, plain_copy(content))

    def _write(self, paths: Sequence[Path], content: dict[str, Any]) -> None:
        for path in paths:
            write_checkpoint(path, content)
        for old in self._superseded():
            remove_checkpoint(old)

    def _superseded(self) -> list[Path]:
        """The checkpoints that need not be kept."""
        files = self.files()
        within = [path for path in files if _FILE.fullmatch(path.name)[2]]
        return files[self.keep_last :] if self.keep_last else within[STEP_FILES:]

    def restore(self, source: str, *, model: nn.Module, optimizer: optim.Optimizer) -> RunState:
        """Loads model and optimizer from a checkpoint and returns where its run stood, with the states for `hand_out`.

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
            text = "the run was made by %d processes and goes on with %d: the clips of each step stay the same, and the last digits do not"
            logger.warning(text, content["world_size"], world_size())
        self.clips_per_step = content["clips_per_step"]
        return RunState(content["epoch"], content["step"], content["best"], content["extras"])

    def _find(self, source: str) -> dict[str, Any] | None:
        if source == "":
            return None
        content = self._newest() if source == "auto" else read_checkpoint(Path(source))
        if content is None:
            logger.info("no checkpoint in %s yet: the run starts from the beginning", self.folder)
            return None
        free = BATCH_KEYS if content["world_size"] != world_size() else ()
        saved, current, defaults = map(yaml.safe_load, (content["config"], self.config, self.defaults))
        refuse_other_config(saved, current, defaults=defaults, free=free)
        before = content["versions"].get("decoder", self.decoder)
        if before != self.decoder:
            logger.warning("the run decoded its videos with %s and goes on with %s: their frames may differ a little", before, self.decoder)
        logger.info("going on after epoch %d%s", content["epoch"], f" and {content['step']} steps" if content["step"] else "")
        return content

    def _newest(self) -> dict[str, Any] | None:
        """The newest checkpoint that is whole; damaged ones are said and passed over."""
        files = self.files()
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


def hand_out(state: RunState, parts: Mapping[str, Stateful]) -> None:
    """Gives every part the state that the checkpoint had for it; nothing in a new run.

    Raises:
        CheckpointError: the checkpoint has no state for a part.
    """
    if not state.extras:
        return
    missing = sorted(parts.keys() - state.extras.keys())
    if missing:
        raise CheckpointError(
            f"The checkpoint holds the states of {', '.join(sorted(state.extras))}; the run needs those of {', '.join(missing)} too. "
            "Resume with the version of vidrec that wrote it, or start a new run with another CONFIG.LOG.EXP_NAME."
        )
    for name, part in parts.items():
        part.load_state_dict(state.extras[name])
    state.extras = {}
