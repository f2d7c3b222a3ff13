"""Weights files to state dicts. Nothing in a file is ever executed."""

import mmap
import pickle
import pickletools
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch

from vidrec.models.weights.archive import ParamsMember
from vidrec.models.weights.params import read_params, read_params_stream
from vidrec.utils.archives import swelling
from vidrec.utils.errors import WeightsError

_KINDS = ".pth, .pt, .safetensors, .params or .zip"
# What torch says of a pickle that would call something; of any other damage it says something else.
_WOULD_RUN_CODE = (
    "Unsupported global",
    "Trying to load unsupported GLOBAL",
    "Unsupported class",
    "Trying to call",
    "not an allowed global",
    "Trying to instantiate",
    "disallowed",
)


class WeightsContent(NamedTuple):
    """A state dict, and the reference's layout that it was converted from, '' where the file does not say."""

    state: dict[str, torch.Tensor]
    layout: str


def read_state(path: str | Path) -> dict[str, torch.Tensor]:
    """The state dict in a weights file.

    Args:
        path: what torch.save wrote: a bare state dict, or a checkpoint that holds one under `model` (vidrec) or
            `state_dict`; or `.safetensors`; or MXNet's `.params`, or a `.zip` that holds one of those. A leading `module.` of
            every name is taken off.

    Raises:
        WeightsError: for a file that is missing, damaged, would run code, or holds something else.
    """
    return read_weights(path).state


def read_weights(path: str | Path) -> WeightsContent:
    """The same with what the file says of its origin, as convert_weights writes it. Raises as read_state does."""
    if not Path(path).is_file():
        what = f"{str(path)!r} is a folder" if Path(path).is_dir() and str(path) else f"there is no weights file {str(path)!r}"
        raise WeightsError(f"{what}; it must be a {_KINDS} file. Check the path (in a config, CONFIG.MODEL.PRETRAINED_PATH).")
    path = Path(path)
    readers = {".safetensors": _read_safetensors, ".params": read_params, ".zip": _read_zip}
    content = readers.get(path.suffix, _read_torch)(path)
    layout = _safetensors_layout(path) if path.suffix == ".safetensors" else content.get("layout") if isinstance(content, dict) else ""
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise WeightsError(
            f"{path} holds {_describe(content)}; it must hold a state dict (name -> tensor), bare or under the key 'model' "
            "or 'state_dict'. Save model.state_dict(), or give a checkpoint of vidrec."
        )
    if all(name.startswith("module.") for name in content):
        content = {name.removeprefix("module."): tensor for name, tensor in content.items()}
    return WeightsContent(dict(content), layout if isinstance(layout, str) else "")


def read_average(path: str | Path) -> dict[str, torch.Tensor]:
    """The average of the weights in a checkpoint of vidrec, as a state dict. Raises WeightsError where the file has none."""
    read_weights(path)  # says what is wrong with the file as such
    content = _read_torch(Path(path)) if Path(path).suffix in (".pth", ".pt") else {}
    average = content.get("extras", {}).get("ema") if isinstance(content.get("extras", {}), dict) else None
    if average is None:
        raise WeightsError(
            f"{path} holds no average of the weights; it must be a checkpoint of a run with CONFIG.TRAIN.EMA.DECAY above 0. "
            "Set CONFIG.INFERENCE.EMA False to test the weights themselves."
        )
    return dict(average["model"])


def _read_torch(path: Path) -> Any:
    if bomb := swelling(path):
        raise WeightsError(f"{path} was not opened: {bomb}, which no file of torch.save does. Get it again from where it was published.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # its file is read or refused below, in our words
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _would_run_code(path, error):
            raise WeightsError(
                f"{path} holds objects that would run code when loaded; only tensors and plain values are read. It was not loaded. "
                "If you trust its author, load it elsewhere and save its state dict alone."
            ) from error
        raise WeightsError(_damaged(path, error)) from error
    except Exception as error:  # a damaged file can break the unpickler in any way; it is always the file's fault
        raise WeightsError(_damaged(path, error)) from error


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(_damaged(path, error)) from error


def _read_zip(path: Path) -> dict[str, torch.Tensor]:
    with ParamsMember(path) as member:
        return read_params_stream(member, size=member.size, source=str(path))


def _safetensors_layout(path: Path) -> str:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get("layout", "")


def _would_run_code(path: Path, error: pickle.UnpicklingError) -> bool:
    """Whether a file was refused for objects in it: by torch's words, or, for the pickles that torch cannot follow, by their opcodes.

    Any text whose first letter is a `c` looks to torch like the name of an object, so its words count for zip files and pickles only.
    """
    with path.open("rb") as file:
        form = file.read(1)
    if form in (b"P", b"\x80") and any(words in str(error) for words in _WOULD_RUN_CODE):
        return True
    try:  # no opcode is followed
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return bool({"GLOBAL", "STACK_GLOBAL", "INST"} & {opcode.name for opcode, _, _ in pickletools.genops(content)})
    except (ValueError, OverflowError):  # no pickle, or one that is cut short
        return False


def _damaged(path: Path, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if reason.startswith("Weights only load failed"):  # what follows is advice to load the file unchecked
        with path.open("rb") as file:
            reason = f"it begins with {file.read(8)!r} and holds no state dict"
    return (
        f"{path} cannot be read ({path.stat().st_size:,} bytes: {reason[:120]}); it must be a whole {_KINDS} file. "
        "It is cut short or no weights file: get it again."
    )


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        return f"a dict with the keys {', '.join(map(repr, list(content)[:5]))}" if content else "an empty dict"
    return f"a {type(content).__name__}"
