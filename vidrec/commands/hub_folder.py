"""The folder of a model as the Hugging Face hub keeps it: what is in it, and getting it by `hf://OWNER/NAME`.

Two functions over huggingface_hub and no mixin class: a network here is a config (components, clip, views, class names) and a state dict,
which the files below hold as they are; a mixin would write constructor arguments of one class into a config.json of its own.
"""

import re
from pathlib import Path
from typing import Any

from vidrec.utils.errors import UserError

WEIGHTS, CONFIG, CLASSES, CARD = "model.safetensors", "config.yaml", "classes.txt", "README.md"
SCHEME = "hf://OWNER/NAME"
_REPO = re.compile(r"hf:/+(?P<repo>[^@/][^@]*)(@(?P<revision>.+))?")  # a Path makes hf:/ of hf://


def is_hub_folder(folder: Path) -> bool:
    """Whether a folder holds a model as `to_hub` writes it."""
    return (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file()


def hub_overrides(folder: Path) -> list[str]:
    """The `KEY VALUE` pairs by which the config of such a folder finds its class names, and takes no other weights."""
    classes = folder / CLASSES
    names = ["CONFIG.DATA.CLASS_NAMES", str(classes)] if classes.is_file() else []
    return [*names, "CONFIG.MODEL.LOAD", "False", "CONFIG.MODEL.PRETRAINED", "False", "CONFIG.MODEL.PRETRAINED_PATH", ""]


def is_hub_address(source: str) -> bool:
    """Whether a source begins with hf://. Only then is the hub asked: nothing else reaches the network."""
    return source.startswith("hf:/")


def fetch(source: str) -> Path:
    """The folder of a model of the hub, from its cache on this machine or downloaded into it: `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION`.

    Only the config, the safetensors weights, the class names and the card are taken; nothing of them is executed. HF_HUB_OFFLINE,
    HF_HOME, HF_ENDPOINT and HF_TOKEN are huggingface_hub's.

    Raises:
        UserError: the address is none, the hub cannot be reached, or what is there is no model of vidrec.
    """
    found = _REPO.fullmatch(source)
    if not found:
        raise UserError(f"{source!r} is no address of the hub; it must be {SCHEME} or {SCHEME}@REVISION. Write it so.")
    hub = import_hub()
    try:
        folder = hub.snapshot_download(found["repo"], revision=found["revision"], allow_patterns=[WEIGHTS, CONFIG, CLASSES, CARD])
    except hub_errors(hub) as error:
        raise UserError(
            f"{source} cannot be taken from the hub ({reason(error)}); it must be a model that you may read, and the hub in reach, or the"
            f" model in the cache ({hub.constants.HF_HUB_CACHE}). Check the name, HF_TOKEN for a private one, and HF_HUB_OFFLINE; or give"
            " the folder of a download."
        ) from error
    if not is_hub_folder(Path(folder)):
        raise UserError(f"{source} holds no {WEIGHTS} or no {CONFIG}; a model that `vidrec to-hub` wrote has both. Take another one.")
    return Path(folder)


def import_hub() -> Any:
    """The module huggingface_hub. Raises UserError where it is not installed."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise UserError(
            f"huggingface_hub cannot be imported ({error}); it is needed for the hub. Install it with: pip install 'vidrec[hub]'"
        ) from error
    return huggingface_hub


def hub_errors(hub: Any) -> tuple[type[Exception], ...]:
    """What huggingface_hub raises for a wrong name, a refusal, or a hub out of reach; its HTTP client has changed with its versions."""
    return OSError, ValueError, getattr(hub.errors, "HTTPError", OSError)


def reason(error: Exception) -> str:
    """The first line of an error of huggingface_hub that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
