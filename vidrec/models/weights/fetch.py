"""Published weights in the cache: fetched once, by one process, and checked by their SHA-1."""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vidrec.model_zoo.weights import HOST, WeightsFile
from vidrec.models.weights.archive import ParamsMember
from vidrec.models.weights.download import DownloadError, download
from vidrec.utils.errors import WeightsError
from vidrec.utils.say import say

_log = logging.getLogger("vidrec")

MIRROR = "VIDREC_MIRROR"
_BLOCK = 1 << 20  # bytes


def cache_folder() -> Path:
    """Where published weights are kept: $VIDREC_HOME/weights, or ~/.cache/vidrec/weights."""
    home = os.environ.get("VIDREC_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "vidrec") / "weights"


def file_url(file: WeightsFile) -> str:
    """Where a file is fetched from: below $VIDREC_MIRROR, or below the reference zoo's host. Raises WeightsError for another scheme."""
    mirror = os.environ.get(MIRROR) or HOST
    if not mirror.startswith(("https://", "http://", "file://")):
        raise WeightsError(
            f"{MIRROR} is {mirror!r}; it must begin with https://, http:// or file://. Set it to the folder that holds "
            f"{file.place}, or unset it to fetch from {HOST}."
        )
    return f"{mirror.rstrip('/')}/{file.place}"


def fetch(file: WeightsFile) -> Path:
    """Path of a published file in the cache; fetched when it is not there.

    Of several processes one fetches and the others wait. What is in the cache with another SHA-1, and what is fetched with
    another one, is fetched again once. Files of the MXNet section come as a zip, which may also be put in the cache by hand;
    its one member is unpacked, and it is the member that the SHA-1 belongs to.

    Raises:
        WeightsError: when it cannot be fetched, or its SHA-1 is not the published one.
    """
    place = cache_folder() / file.file_name
    try:
        if place.is_file() and _fits(_sha1(place), file):
            return place
        with _only_process(place):
            return _Cached(file, place).get()
    except OSError as error:
        raise WeightsError(
            f"{place} cannot be written or read ({error}); the weights are kept there. Make room or mend the folder, or set VIDREC_HOME "
            "to another one."
        ) from error


@contextmanager
def _only_process(place: Path) -> Iterator[None]:
    """Holds the lock of a file; another process that holds it is waited for. It goes with its process, however that ends."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.with_name(f"{place.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        _log.info("weights: another process fetches %s; waiting for it", place.name)
        lock.acquire(poll_interval=0.1)
    except NotImplementedError as error:
        raise OSError(f"no file can be locked there: {error}") from error
    try:
        yield
    finally:
        lock.release()


class _Cached:
    """One file of the cache while its lock is held.

    Args:
        place: where the weights themselves belong.
    """

    def __init__(self, file: WeightsFile, place: Path):
        self._file, self._place = file, place
        self._archive = place.with_name(f"{file.stem}.zip") if file.section == "mxnet" else None
        self._wrong = ""  # what was found in the cache and is not the file

    def get(self) -> Path:
        if self._find():
            return self._place
        if self._wrong:
            _log.warning("weights: %s; it is fetched again", self._wrong)
        url = file_url(self._file)
        say(f"weights: fetching {url} to {self._place.parent}")
        for _ in range(2):
            found = self._download(url)
            if _fits(found, self._file):
                return self._place
            _log.warning("weights: %s gave a file with SHA-1 %s, and %s is published; it is thrown away", url, found, self._file.sha1)
        raise WeightsError(
            f"{url} gave twice a file with SHA-1 {found}; the published one has {self._file.sha1}. Set {MIRROR} to another place, "
            f"or put the file at {self._by_hand()}."
        )

    def _find(self) -> bool:
        """Whether the file is in the cache, as itself or in a zip that someone put there."""
        for source in (self._place, self._archive):
            if source is None or not source.is_file():
                continue
            found = self._sha1_of_member(source) if source == self._archive else _sha1(source)
            if _fits(found, self._file):
                return True
            self._wrong = f"{source} has the SHA-1 {found}, and {self._file.sha1} is published"
        return False

    def _download(self, url: str) -> str:
        """SHA-1 of what a URL gives; it is in its place where that is the published one, and gone where not."""
        partial = (self._archive or self._place).with_name(f"{url.rsplit('/', 1)[1]}.part")
        try:
            download(url, partial)
        except DownloadError as error:
            wrong = f" {self._wrong}." if self._wrong else ""
            raise WeightsError(
                f"{url} cannot be fetched ({error}); the weights must be at {self._by_hand()}.{wrong} Put the file there, or set "
                "CONFIG.MODEL.PRETRAINED False."
            ) from error
        if self._archive:
            found = self._sha1_of_member(partial)
        elif _fits(found := _sha1(partial), self._file):
            partial.replace(self._place)  # other processes see the whole file or none
        partial.unlink(missing_ok=True)
        return found

    def _sha1_of_member(self, archive: Path) -> str:
        """SHA-1 of the weights in a zip, which are in their place where that is the published one; or why they cannot be read."""
        partial = self._place.with_name(f"{self._place.name}.part")
        digest = hashlib.sha1()
        try:
            with ParamsMember(archive) as member, partial.open("wb") as file:
                while block := member.read(_BLOCK):
                    digest.update(block)
                    file.write(block)
            if _fits(digest.hexdigest(), self._file):
                partial.replace(self._place)
        except WeightsError as error:
            return f"none ({error})"
        finally:
            partial.unlink(missing_ok=True)
        return digest.hexdigest()

    def _by_hand(self) -> str:
        return f"{self._place} (or, as published, {self._archive})" if self._archive else str(self._place)


def _fits(sha1: str, file: WeightsFile) -> bool:
    """Whether a SHA-1 is the published one, of which some files have only the first 8 digits."""
    return sha1.startswith(file.sha1)


def _sha1(path: Path) -> str:
    digest = hashlib.sha1()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
