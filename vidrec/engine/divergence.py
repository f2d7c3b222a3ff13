"""Numbers that go wrong: seen by all processes before the weights change, kept for a replay, and answered by one policy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from vidrec.data.datasets import ClipBatch
from vidrec.data.mixing import BatchAugment
from vidrec.engine.files import atomic_file, make_folder, room_text
from vidrec.engine.log import logger
from vidrec.utils.dist import all_gather_objects, rank, world_size
from vidrec.utils.errors import UserError

LISTED = 8  # videos of a process that a message names, and files that a process keeps


class DivergenceError(UserError):
    """A loss or a gradient is not finite, or above what the config allows."""

    everywhere = True


class Finding(NamedTuple):
    """What a process had before an update that must not happen. `wrong`: its own loss is to blame, not only the shared gradient."""

    rank: int
    loss: float
    wrong: bool
    videos: list[str]
    replay: str  # the file that replays it, '' where none was written


@dataclass(kw_only=True)
class Guard:
    """Stands between the backward pass and the update. Without a fault it costs one reduction of one number, read once per step.

    Attributes:
        policy: stop: raise; skip: leave the update out, on all processes.
        max_skips: updates that may be left out in a row; one more stops the run all the same.
        max_loss, max_grad_norm: a loss, or a norm of all gradients, above it has gone wrong; 0: whatever is finite is right.
        folder: where the files for a replay go.
        config: the resolved config as YAML text, kept in them.
        path_of: row of the training list -> path of the video.
        augment: as in the Stepper; the files hold the clips as they are after it.
    """

    policy: Literal["stop", "skip"] = "stop"
    max_skips: int = 10
    max_loss: float = 0.0
    max_grad_norm: float = 0.0
    folder: Path
    config: str
    path_of: Callable[[int], str]
    augment: BatchAugment | None = None
    _buffers: list[Tensor] = field(default_factory=list, init=False)
    _in_a_row: int = field(default=0, init=False)
    _files: int = field(default=0, init=False)

    def remember(self, model: nn.Module) -> None:
        """Keeps the buffers as they are before a step: a pass that goes wrong leaves its traces in BatchNorm's statistics."""
        now = [buffer.detach() for buffer in model.buffers()]
        if [buffer.shape for buffer in now] != [kept.shape for kept in self._buffers]:
            self._buffers = [torch.empty_like(buffer) for buffer in now]
        for kept, buffer in zip(self._buffers, now, strict=True):
            kept.copy_(buffer)

    def allows(
        self, model: nn.Module, loss: Tensor, batches: Sequence[ClipBatch], *, epoch: int, step: int, gradients: bool = True
    ) -> bool:
        """Whether the update may happen; every process must ask and gets the same answer. Where not, the buffers are set back.

        Args:
            loss: [], of this process, over all batches of the step.
            gradients: look at them too; False where a loss scaler does, whose first steps overflow by design.

        Raises:
            DivergenceError: the policy is stop, or more than max_skips in a row went wrong.
        """
        wrong_loss = _is_wrong(loss.detach(), self.max_loss)
        wrong = wrong_loss
        if gradients:
            found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
            wrong = wrong | _is_wrong(nn.utils.get_total_norm(found), self.max_grad_norm)
        flag = wrong.to(torch.float32)
        if world_size() > 1:
            distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        if not flag.item():
            self._in_a_row = 0
            return True
        for buffer, kept in zip(model.buffers(), self._buffers, strict=True):
            buffer.copy_(kept)
        self._in_a_row += 1
        self._answer(self._findings(model, loss, bool(wrong_loss), batches, epoch=epoch, step=step), epoch=epoch, step=step)
        return False

    def _findings(
        self, model: nn.Module, loss: Tensor, wrong: bool, batches: Sequence[ClipBatch], *, epoch: int, step: int
    ) -> list[Finding]:
        """Those of the processes to blame, with the files that replay them; of all where only the shared gradient is wrong."""
        videos = [self.path_of(index) for batch in batches for index in batch.indices.tolist()]
        mine = Finding(rank(), loss.item(), wrong, videos, "")
        everyone = all_gather_objects(mine)
        blamed = [each for each in everyone if each.wrong] or everyone
        replay = ""
        if mine.rank in [each.rank for each in blamed[:LISTED]]:
            replay = self._keep(model, batches, mine, device=loss.device, epoch=epoch, step=step)
        files = all_gather_objects(replay)
        return [each._replace(replay=files[each.rank]) for each in blamed]

    def _keep(
        self, model: nn.Module, batches: Sequence[ClipBatch], finding: Finding, *, device: torch.device, epoch: int, step: int
    ) -> str:
        """Writes what `tools/replay_batch.py` needs and returns the file; '' where this process has written enough of them."""
        if self._files == LISTED:
            return ""
        self._files += 1
        path = self.folder / f"epoch_{epoch + 1:04d}_step_{step + 1:05d}_rank_{finding.rank}.pth"
        content = {
            "replay": 1,
            "model": model.state_dict(),
            "batches": [self._plain(batch, device) for batch in batches],
            "videos": finding.videos,
            "loss": finding.loss,
            "config": self.config,
            "epoch": epoch,
            "step": step,
            "rank": finding.rank,
        }
        try:
            make_folder(self.folder)
            with atomic_file(path) as file:
                torch.save(content, file)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            logger.warning("The batch cannot be kept for a replay in %s (%s; %s).", path, error, room_text(self.folder.parent))
            return ""
        return str(path)

    def _plain(self, batch: ClipBatch, device: torch.device) -> dict[str, Any]:
        """A batch as tensors, with its augmentation done: labels are [B] or shares [B, K]."""
        clips, labels = batch.clips.to(device), batch.labels.to(device)
        if self.augment is not None:
            clips, labels = self.augment(clips, labels, batch.plans)
        return {"clips": clips.cpu(), "labels": labels.cpu(), "indices": batch.indices.cpu()}

    def _answer(self, findings: list[Finding], *, epoch: int, step: int) -> None:
        """Says what was found; raises where the run must stop."""
        what = "\n".join([f"Epoch {epoch + 1}, step {step + 1}: {self._what(findings)}", *map(_row, findings[:LISTED])])
        if self.policy == "skip" and self._in_a_row <= self.max_skips:
            text = "%s\nThis update is left out on all processes: %d in a row, of at most %d."
            logger.warning(text, what, self._in_a_row, self.max_skips)
            return
        skipped = f" CONFIG.TRAIN.NAN_SKIPS allows {self.max_skips} in a row, and this is one more." if self.policy == "skip" else ""
        raise DivergenceError(
            f"{what}\nThe weights are those from before this step.{skipped} See where it begins with `python tools/replay_batch.py FILE`; "
            "lower CONFIG.TRAIN.LR, warm up, or leave such updates out with CONFIG.TRAIN.NAN_POLICY skip; then go on with RESUME auto."
        )

    def _what(self, findings: list[Finding]) -> str:
        if not findings[0].wrong:
            limit = f" or above {self.max_grad_norm:g}" if self.max_grad_norm else ""
            return f"the losses are right and the norm of the gradients is not finite{limit}; the batches:"
        limit = f" and at most {self.max_loss:g}" if self.max_loss else ""
        return f"the loss must be finite{limit}, and is not:"


def _is_wrong(value: Tensor, limit: float) -> Tensor:
    """[] bool: not finite, or above a limit that is not 0."""
    return ~torch.isfinite(value) | (value > (limit or math.inf))


def _row(finding: Finding) -> str:
    more = f" and {len(finding.videos) - LISTED} more" if len(finding.videos) > LISTED else ""
    kept = f"; kept in {finding.replay}" if finding.replay else ""
    return f"  - rank {finding.rank}: loss {finding.loss:g}, videos {', '.join(finding.videos[:LISTED])}{more}{kept}"
