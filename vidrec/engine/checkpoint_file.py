"""One checkpoint on the disk: written whole or not at all, with a manifest beside it, and checked when read."""

import hashlib
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from vidrec.engine.files import atomic_file, free_bytes, room_text, sha256_of
from vidrec.utils.archives import swelling
from vidrec.utils.errors import CheckpointError

_PARTS = ("model", "optimizer", "extras", "epoch", "step", "best", "seed", "config", "world_size", "clips_per_step", "versions")
_MARGIN = 1.2  # of the bytes of the tensors: what must be free before a file is begun


def manifest_path(path: Path) -> Path:
    """The file beside a checkpoint that says its size and SHA-256. Example: best.pth -> best.pth.json"""
    return path.with_name(path.name + ".json")


def plain_copy(value: Any, where: str = "checkpoint") -> Any:
    """A copy in host memory that shares nothing with the original, of plain types: mappings become dict, other tuples tuple.

    Args:
        where: the place of the value, for the error.

    Raises:
        TypeError: a value that `torch.load(weights_only=True)` would refuse, such as a number of numpy.
    """
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {plain_copy(key, where): plain_copy(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain_copy(item, f"{where}[{place}]") for place, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    raise TypeError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}; a checkpoint holds tensors, numbers and text of Python, and "
        "lists, tuples and dicts of them, which can be read without running code. Turn it into one of these (`.item()`, `str()`)."
    )


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint and its manifest and reads the file once more; at every moment a whole file, or none, has that name.

    The manifest of an old file goes before the new file comes: without one, the checksums within the file decide.

    Raises:
        CheckpointError: it cannot be written; what was there before is intact.
    """
    try:
        _check_room(path, content)
        with atomic_file(path) as file:
            summed = _SummedFile(file)
            torch.save(content, summed)
            manifest_path(path).unlink(missing_ok=True)
        entry = {"file": path.name, "bytes": summed.bytes, "sha256": summed.hexdigest()}
        with atomic_file(manifest_path(path)) as file:
            file.write(json.dumps(entry | {"epoch": content["epoch"], "step": content["step"]}).encode() + b"\n")
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise CheckpointError(
            f"The checkpoint {path} cannot be written ({reason}; {room_text(path.parent)}); earlier checkpoints are intact. "
            "Make room or allow writing, then go on with CONFIG.TRAIN.RESUME auto."
        ) from error
    damage = _damage(path)
    if damage is not None:
        raise CheckpointError(f"The checkpoint {path} was written but reads back {damage}; earlier ones are intact. Check the disk.")


def remove_checkpoint(path: Path) -> None:
    """Removes a checkpoint and its manifest, where they are there."""
    path.unlink(missing_ok=True)
    manifest_path(path).unlink(missing_ok=True)


class _SummedFile:
    """Passes on what is written and keeps its SHA-256 and length."""

    def __init__(self, file: BinaryIO):
        self.file, self.bytes, self._sum = file, 0, hashlib.sha256()

    def write(self, data: Any) -> int:
        self._sum.update(data)
        self.bytes += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()

    def hexdigest(self) -> str:
        return self._sum.hexdigest()


def _check_room(path: Path, content: dict[str, Any]) -> None:
    """Raises OSError where the folder has less room than the file needs, before a byte is written."""
    needed = int(_MARGIN * _tensor_bytes(content))
    free = free_bytes(path.parent)
    if free < needed:
        raise OSError(0, f"it needs {needed:,} bytes")


def _tensor_bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.nbytes
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return sum(map(_tensor_bytes, items))


def _damage(path: Path) -> str | None:
    """How a file differs from its manifest or, without one, from the checksums within; None: it is whole. Raises OSError, BadZipFile."""
    try:
        entry = json.loads(manifest_path(path).read_bytes())
        bytes_then, sum_then = int(entry["bytes"]), str(entry["sha256"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # none, or itself cut short
        if bomb := swelling(path):
            return f"no file of torch.save ({bomb})"
        with zipfile.ZipFile(path) as archive:
            record = archive.testzip()  # torch.load itself takes a file with flipped bits without a word
        return None if record is None else f"damaged (wrong checksum of {record})"
    size = path.stat().st_size
    if size != bytes_then:
        return f"damaged ({size:,} bytes, of {bytes_then:,} in its manifest)"
    if sha256_of(path) != sum_then:
        return "damaged (its SHA-256 is not that of its manifest)"
    return f"no file of torch.save ({bomb})" if (bomb := swelling(path)) else None


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
    """What a file of torch.save holds, tensors on the CPU, after comparing it with its manifest, or every record with its checksum.

    Runs no code of the file.

    Raises:
        CheckpointError: the file is missing or damaged, a bomb, or holds more than tensors and plain values.
    """
    try:
        damage = _damage(path)
        content = torch.load(path, map_location="cpu", weights_only=True) if damage is None else None
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
    if damage is not None:
        raise CheckpointError(f"The checkpoint {path} is {damage}; take an earlier one.")
    return content
