"""One checkpoint on the disk: written whole or not at all, and checked when read."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from vidrec.engine.files import atomic_file, room_text
from vidrec.utils.errors import CheckpointError

_PARTS = ("model", "optimizer", "extras", "epoch", "step", "best", "seed", "config", "world_size", "versions")


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint; the file of that name is the old one or the new one at every moment.

    Raises:
        CheckpointError: it cannot be written; what was there before is intact.
    """
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
