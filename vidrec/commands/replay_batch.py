"""Runs the batch of a step that went wrong once more and says where it begins: `replay_batch FILE`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.tables import show, text_table
from vidrec.utils.errors import CheckpointError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.first_fault import FaultFinder, GroupNorm

_PARTS = ("replay", "model", "batches", "videos", "loss", "config", "epoch", "step", "rank")
DESCRIPTION = "Run the batch of a step that went wrong once more and say where the first value that is not finite appears."


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("replay_batch.py", description=DESCRIPTION)
    parser.add_argument("file", type=Path, metavar="FILE", help="file below replay/ in the run's folder, named by the run's last message")
    args = parser.parse_args(argv)
    return run_command(lambda: show(replay(args.file)))


def replay(path: Path) -> str:
    """The report on one file. Raises CheckpointError for a file that is not one of a replay."""
    from vidrec.engine.first_fault import FaultFinder, group_norms, wrong_weights

    content = _read(path)
    cfg = _config_of(content["config"])
    stepper = _make_stepper(cfg, content)
    before, finder = wrong_weights(stepper.model), FaultFinder()
    with finder.watching(stepper.model):
        stepper.step(_batches(content), epoch=content["epoch"], step=content["step"])
    lines = [
        f"{path}: epoch {content['epoch'] + 1}, step {content['step'] + 1} of rank {content['rank']}",
        f"videos: {', '.join(content['videos'])}",
        f"loss then: {content['loss']:g}, now: {stepper.guard.loss:g}",
        *_fault_lines(before, finder),
    ]
    return "\n".join([*lines, "", _norm_table(group_norms(stepper.model, stepper.optimizer))])


class _NoUpdate:
    """In the place of the Guard: keeps the loss and lets no update happen, so that the gradients can be looked at."""

    loss = float("nan")

    def remember(self, model: Any) -> None:
        """Nothing: the buffers are thrown away."""

    def allows(self, model: Any, loss: Any, batches: Any, **place: Any) -> bool:
        """Never."""
        self.loss = loss.item()
        return False


def _read(path: Path) -> dict[str, Any]:
    from vidrec.engine.checkpoint_file import read_archive

    content = read_archive(path)
    missing = [part for part in _PARTS if part not in content] if isinstance(content, dict) else list(_PARTS)
    if missing:
        raise CheckpointError(
            f"The file {path} lacks {', '.join(missing)}; a replay needs a file that a run wrote when its numbers went wrong,"
            " below replay/ in its folder: name one of these."
        )
    return content


def _config_of(text: str) -> "CfgNode":
    from vidrec.config.load import load_config

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return load_config(file.name)


def _make_stepper(cfg: "CfgNode", content: dict[str, Any]) -> Any:
    """The run's own way of taking a step, with the weights from before the one that went wrong."""
    from vidrec.commands.train_step import build_stepper
    from vidrec.engine.optim import build_loss, build_optimizer
    from vidrec.models.build import build_model
    from vidrec.utils import dist

    model = build_model(cfg, load_weights=False)
    try:
        model.load_state_dict(content["model"])
    except RuntimeError as error:
        reason = str(error).split("\n\t")[0]
        raise CheckpointError(f"The weights of the replay are not those of its config ({reason}); name a file that a run wrote.") from error
    model = model.to(dist.device()).train()
    loss = build_loss(cfg, None, dist.device())
    return build_stepper(cfg, model, build_optimizer(cfg, model), augment=None, guard=_NoUpdate(), loss=loss, rank=content["rank"])


def _batches(content: dict[str, Any]) -> list[Any]:
    from vidrec.data.datasets import ClipBatch

    return [ClipBatch(each["clips"], each["labels"], each["indices"], []) for each in content["batches"]]


def _fault_lines(weights: list[str], finder: "FaultFinder") -> list[str]:
    lines = [f"weights that are not finite before the step: {', '.join(weights)}"] if weights else []
    if finder.forward:
        lines.append(f"forward: the first value that is not finite comes out of {finder.forward[0]}")
    if finder.backward:
        lines.append(f"backward: the first gradient that is not finite arrives at the output of {finder.backward[0]}")
    if not lines:
        lines.append("Every value is finite, forward and backward: the loss is too large, or another process or device is to blame.")
    return lines


def _norm_table(norms: "list[GroupNorm]") -> str:
    rows = [
        [str(place), f"{norm.lr:g}", f"{norm.num_parameters:,}", f"{norm.norm:.4g}", ", ".join(norm.wrong[:4]) or "none"]
        for place, norm in enumerate(norms)
    ]
    return text_table(["group", "LR", "parameters", "gradient norm", "gradients not finite"], rows, ">>>><")
