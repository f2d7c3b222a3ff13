"""What the summary and the loggers of a run are told of it."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidrec.config.load import changed_keys

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.data.annotations import VideoTable
    from vidrec.engine.loggers import RunInfo
    from vidrec.engine.summary import ListFacts, RunFacts

NOT_HYPER = ("CONFIG.LOG.", "CONFIG.TRAIN.RESUME")  # where and how a run is kept tells nothing of its outcome


def run_facts(cfg: "CfgNode", folder: Path, *, lists: Sequence["ListFacts"], best_path: Path) -> "RunFacts":
    """The facts of `summary.md`."""
    import torch

    import vidrec
    from vidrec.data.decoders import decoder_version
    from vidrec.engine.summary import RunFacts
    from vidrec.utils import dist

    count, device = dist.world_size(), dist.device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    decoder = decoder_version(cfg.CONFIG.DATA.DECODER)
    return RunFacts(
        folder=folder,
        command=command_line(sys.argv),
        changed=changed_keys(cfg),
        lists=lists,
        versions={"vidrec": vidrec.__version__, "torch": str(torch.__version__), "decoder": decoder},
        hardware=f"{count} process{'es' if count > 1 else ''} on {name}",
        num_epochs=cfg.CONFIG.TRAIN.EPOCH_NUM,
        views=views_text(cfg.CONFIG.VAL.NUM_SEGMENT, cfg.CONFIG.VAL.NUM_CROP),
        best_path=best_path,
    )


def views_text(num_clips: int, num_crops: int) -> str:
    """Example: `1 (center)`; `6 (2 x 3)`"""
    views = num_clips * num_crops
    return f"{views} (center)" if views == 1 else f"{views} ({num_clips} x {num_crops})"


def run_info(cfg: "CfgNode", folder: Path) -> "RunInfo":
    """What the loggers are told."""
    from vidrec.engine.loggers import RunInfo

    changed = {key.removeprefix("CONFIG."): value for key, value in changed_keys(cfg).items() if not key.startswith(NOT_HYPER)}
    return RunInfo(name=folder.name, folder=folder, log_dir=folder / cfg.CONFIG.LOG.LOG_DIR, config=cfg.dump(), changed=changed)


def command_line(argv: Sequence[str]) -> str:
    """The command as it is typed again. Example: [".../vidrec/__main__.py", "train", "a b"] -> python -m vidrec train 'a b'"""
    script = Path(argv[0])
    if script.parts[-2:] == ("vidrec", "__main__.py"):
        return shlex.join(["python", "-m", "vidrec", *argv[1:]])
    if script.name == "vidrec":  # the console script
        return shlex.join(["vidrec", *argv[1:]])
    return shlex.join(["python", *argv])


def list_facts(cfg: "CfgNode", *, train: "VideoTable", val: "VideoTable | None") -> list["ListFacts"]:
    """The lists of a run, and the manifest where there is one."""
    import hashlib

    from vidrec.engine.summary import ListFacts

    data = cfg.CONFIG.DATA
    facts = [ListFacts("train", data.TRAIN_ANNO_PATH, len(train), train.sha256)]
    if val is not None:
        facts.append(ListFacts("val", data.VAL_ANNO_PATH, len(val), val.sha256))
    if data.MANIFEST:
        content = Path(data.MANIFEST).read_bytes()
        facts.append(ListFacts("manifest", data.MANIFEST, content.count(b"\n") - 1, hashlib.sha256(content).hexdigest()))
    return facts
