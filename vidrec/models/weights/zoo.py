"""Published weights of the zoo: found by name, fetched once, checked by their full SHA-1."""

import hashlib
import http.client
import logging
import os
import sys
from pathlib import Path

import torch
from torch import nn

from vidrec.model_zoo.weights import WeightsFile, published
from vidrec.models.weights.load import LoadReport, load_weights
from vidrec.utils.errors import WeightsError

_log = logging.getLogger("vidrec")


def load_published(model: nn.Module, name: str, *, hashtag: str = "", reset_head: bool = False) -> LoadReport:
    """Loads the zoo's published weights for a name.

    Args:
        name: zoo name; a `_custom` name takes the Kinetics-400 file and keeps its fresh classifier, said in the log.
        hashtag: first digits of the file's SHA-1, where a name has several files; '': the first one.

    Raises:
        WeightsError: for a name or hashtag without weights, or a file that cannot be fetched or is not the published one.
    """
    file = find_published(name, hashtag)
    if file.name != name:
        reset_head = True
        _log.info("weights: %s starts from %s and keeps a fresh classifier", name, file.name)
    return load_weights(model, fetch(file), reset_head=reset_head)


def find_published(name: str, hashtag: str = "") -> WeightsFile:
    """The published file of a name, by hashtag where one is given."""
    if not name:
        raise WeightsError(
            "CONFIG.MODEL.PRETRAINED is set; published weights go by CONFIG.MODEL.NAME, which is ''. "
            "Set CONFIG.MODEL.NAME, or CONFIG.MODEL.PRETRAINED False."
        )
    files = published(name)
    if not files:
        raise WeightsError(
            f"{name} has no published weights; CONFIG.MODEL.PRETRAINED must be False for it. Train it, or start from a file of your own "
            "with CONFIG.MODEL.LOAD True and CONFIG.MODEL.PRETRAINED_PATH."
        )
    chosen = [file for file in files if file.sha1.startswith(hashtag)]
    if not chosen:
        known = ", ".join(repr(file.hashtag) for file in files)
        raise WeightsError(f"CONFIG.MODEL.PRETRAINED is {hashtag!r}; {name} has the published weights {known}. Use one of those, or True.")
    return chosen[0]


def cache_folder() -> Path:
    """Where published weights are kept: $VIDREC_HOME/weights, or ~/.cache/vidrec/weights."""
    home = os.environ.get("VIDREC_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "vidrec") / "weights"


def fetch(file: WeightsFile) -> Path:
    """Path of a published file in the cache; downloaded when it is not there.

    Raises:
        WeightsError: when it cannot be downloaded, or its SHA-1 is not the published one.
    """
    place = cache_folder() / file.file_name
    if not place.is_file():
        _download(file, place)
    elif _sha1(place) != file.sha1:
        raise WeightsError(
            f"{place} is not the published file: its SHA-1 is not {file.sha1}. Delete it; it is fetched again from {file.url}."
        )
    return place


def _download(file: WeightsFile, place: Path) -> None:
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(file.url, str(partial), progress=sys.stderr.isatty())
        found = _sha1(partial)
        if found != file.sha1:
            raise WeightsError(
                f"{file.url} gave a file with SHA-1 {found}; the published one has {file.sha1}. Try again, or put the file at {place}."
            )
        partial.replace(place)  # other processes see the whole file or none
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(
            f"{file.url} cannot be fetched ({error}); the weights must be at {place}. Put the file there, or set "
            "CONFIG.MODEL.PRETRAINED False."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _sha1(path: Path) -> str:
    digest = hashlib.sha1()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
