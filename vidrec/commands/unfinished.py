"""Tests that were stopped or killed, and go on."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.data.annotations import VideoTable
    from vidrec.engine.evaluation.partial import PartialScores
    from vidrec.engine.tester import Tester

DECIDING = ("DATA", "INFERENCE", "MODEL", "TEST", "TRAIN", "VAL")  # sections of a config by which an unfinished test is found


def results_folder(cfg: "CfgNode", run: Path) -> Path:
    """Where a test writes: LOG.EVAL_DIR in the run's folder, `eval` when empty."""
    return run / (cfg.CONFIG.LOG.EVAL_DIR or "eval")


def unfinished_run(cfg: "CfgNode") -> str | None:
    """The run of a config whose name takes the start time in which its test was begun last and not ended; None where there is none."""
    from vidrec.commands.runs import TIME_PATTERN, USE_TIME, base_folder
    from vidrec.engine.evaluation.partial import find_unfinished

    name = cfg.CONFIG.LOG.EXP_NAME
    if not name.endswith(USE_TIME):
        return None
    pattern, base = re.compile(re.escape(name.removesuffix(USE_TIME)) + TIME_PATTERN), base_folder(cfg)
    runs = [base / folder.name for folder in (base.iterdir() if base.is_dir() else ()) if pattern.fullmatch(folder.name)]
    places = {_partial_folder(results_folder(cfg, run)): run.name for run in runs}
    found = find_unfinished(places, _config_digest(cfg))
    return places[found] if found else None


def open_scores(cfg: "CfgNode", out: Path, dataset: Any, tester: "Tester") -> "PartialScores":
    """The scores that an earlier part of this test has left beside its results' folder `out`, and where those of this one go.

    Raises:
        UserError: the results or the scores cannot be written there.
    """
    from vidrec.engine.evaluation.partial import PartialScores
    from vidrec.engine.log import logger
    from vidrec.utils import dist

    if out.exists() and not out.is_dir():
        raise UserError(
            f"The results are to be written into {out}, which is a file; it must be a folder: name another in CONFIG.LOG.EVAL_DIR."
        )
    facts = dist.run_on_main(_facts, cfg, dataset, tester)
    scores = PartialScores(_partial_folder(out), facts, config=_config_digest(cfg), stamp=dataset.table.stamp)
    if scores.done and dist.is_main():
        logger.info("going on with an unfinished test: %d of %d videos are scored", len(scores.done), len(dataset))
    say_replaced(dataset.table, scores.replaced)
    return scores


def say_replaced(table: "VideoTable", rows: Sequence[int]) -> None:
    """Warns, on the main process, of videos that were done and are not the same any more."""
    from vidrec.engine.log import logger
    from vidrec.utils import dist

    if rows and dist.is_main():
        logger.warning(
            "%d of the videos that were done have another size or time of change than then, and are done again; the first: %s",
            len(rows),
            table.path(rows[0]),
        )


def remaining(dataset: Any, scores: "PartialScores") -> list[int]:
    """This process's share of the videos that have no score yet: rank r of W takes number r, r + W, r + 2 W ... of them."""
    from vidrec.utils import dist

    return [index for index in range(len(dataset)) if index not in scores.done][dist.rank() :: dist.world_size()]


def _partial_folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def _config_digest(cfg: "CfgNode") -> str:
    """The same for two configs that test the same, but for the loader processes."""
    config = cfg.CONFIG.clone()
    config.defrost()
    config.DATA.NUM_WORKERS = 0
    return hashlib.sha256("".join(config[section].dump() for section in DECIDING).encode()).hexdigest()


def _facts(cfg: "CfgNode", dataset: Any, tester: "Tester") -> dict[str, Any]:
    """Everything that decides a score. The number of processes is not part of it."""
    import numpy
    import torch

    import vidrec
    from vidrec.commands.tested_results import protocol_fields
    from vidrec.engine.evaluation.partial import digest

    device = tester.device
    return {
        "weights": digest(tester.model),
        "annotation": dataset.annotation_sha256,
        "videos": str(Path(dataset.table.folder).resolve()),
        "classes": cfg.CONFIG.DATA.NUM_CLASSES,
        "protocol": protocol_fields(cfg, dataset) | {"scores": tester.average.scores_are},
        "memory_format": cfg.CONFIG.VAL.MEMORY_FORMAT,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "versions": {"vidrec": vidrec.__version__, "torch": str(torch.__version__), "numpy": numpy.__version__},
    }
