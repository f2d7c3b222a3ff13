"""Scores of a test on disk while it goes on, so that a test that is killed loses seconds."""

import hashlib
import json
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vidrec.data.stamps import NO_STAMP, Stamp, is_other
from vidrec.engine.evaluation.parts import Part
from vidrec.engine.files import atomic_file, make_folder, room_text
from vidrec.engine.log import logger
from vidrec.utils.dist import all_gather_objects, is_main, local_rank, rank
from vidrec.utils.errors import UserError

SAVE_EVERY_S = 10.0
FACTS_FILE = "test.json"
SAID_FACTS = 3
_PART = re.compile(r"part_(\d+)_(\d+)\.npz")


class PartialScores:
    """The videos that an earlier, unfinished part of the same test has scored, and the place for those of this one.

    The files of a test are in a folder of their own, named by what decides its scores: every process writes `part_<rank>_<number>.npz`
    now and then. Videos that could not be read are not kept: they are tried again. Every process must make one.

    Args:
        folder: of all unfinished tests that would write to one place.
        facts: everything that decides the scores, fit for JSON, the same on every process.
        config: what `find_unfinished` looks for.
        stamp: of VideoTable, from index to what tells a video from another of its path. A video that has another stamp than when it was
            scored is scored again (`replaced`); one whose stamp is not known keeps its score. None: they are not compared.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, config: str = "", stamp: Callable[[int], Stamp] | None = None):
        self.folder = folder / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        self._new, self._stamps, self._saved = Part(), [], time.monotonic()
        try:
            make_folder(self.folder)
            if local_rank() == 0:
                with atomic_file(self.folder / FACTS_FILE) as file:
                    file.write(json.dumps({"config": config, "facts": facts}, indent=2).encode())
            on_disk, replaced = self._read(stamp) if local_rank() == 0 else (Part(), set())
            self._number = 1 + max((number for of_rank, number in map(_place, self._files()) if of_rank == rank()), default=-1)
        except OSError as error:
            raise UserError(
                f"The scores of an unfinished test cannot be kept in {self.folder} ({error.strerror}; {room_text(folder.parent)}); "
                "choose a folder that you may write to with CONFIG.LOG.BASE_PATH."
            ) from error
        if is_main():
            _say_others(self.folder, facts)
        seen = all_gather_objects(on_disk.indices)  # on several nodes each may have files of its own, or all the same
        self.done = set().union(*seen)
        self.replaced = sorted(replaced - self.done)
        self.known = on_disk.keep(set(on_disk.indices).difference(*seen[: rank()]))

    def add(
        self, index: int, label: int, score: np.ndarray, by_views: np.ndarray | None = None, *, stamp: Stamp = NO_STAMP
    ) -> None:
        """Keeps a video's score, if it is finite; it is on disk when the next one comes SAVE_EVERY_S later, or when `save` is called."""
        if np.isfinite(score).all():
            self._new.add(index, label, score, by_views)
            self._stamps.append(stamp)
        if time.monotonic() - self._saved >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Writes what has come since the last time. Where that fails it is said, and tried again with what comes next."""
        self._saved = time.monotonic()
        if not self._new.indices:
            return
        arrays = {name: np.array(getattr(self._new, name)) for name in ("indices", "labels", "scores")} | {"stamps": np.array(self._stamps)}
        if self._new.by_views[0] is not None:
            arrays["by_views"] = np.array(self._new.by_views)
        try:
            with atomic_file(self.folder / f"part_{rank()}_{self._number}.npz") as file:
                np.savez(file, **arrays)
        except OSError as error:
            logger.warning("scores cannot be kept in %s (%s); the test goes on, and tries again", self.folder, error.strerror)
            return
        self._number += 1
        self._new, self._stamps = Part(), []

    def remove(self) -> None:
        """Removes the test's files, once its results are written; those of other tests stay."""
        if local_rank() == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # others are there, or a process of another node was quicker
                self.folder.parent.rmdir()

    def _files(self) -> list[Path]:
        return sorted((path for path in self.folder.iterdir() if _PART.fullmatch(path.name)), key=_place)

    def _read(self, stamp: Callable[[int], Stamp] | None) -> tuple[Part, set[int]]:
        """What is on disk of videos that are still the same, and the others."""
        part, replaced = Part(), set()
        for path in self._files():
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    names = ("stamps", "indices", "labels", "scores", "by_views")
                    columns = [list(arrays[name]) if name in arrays else [None] * len(arrays["indices"]) for name in names]
                for then, index, *found in zip(*columns, strict=True):
                    if stamp and then is not None and is_other(tuple(then.tolist()), stamp(int(index))):
                        replaced.add(int(index))
                    else:
                        part.add(int(index), int(found[0]), *found[1:])
            except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                logger.warning("%s is damaged (%s); its videos are scored again", path, str(error).split("\n")[0])
        return part, replaced


def _place(path: Path) -> tuple[int, int]:
    """Rank and number of a file of scores."""
    found = _PART.fullmatch(path.name)
    return int(found[1]), int(found[2])


def digest(models: nn.Module) -> str:
    """SHA-256 of all weights and statistics of a network, by name, whatever device and memory layout they have."""
    found = hashlib.sha256()
    for name, tensor in sorted(models.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def find_unfinished(folders: Iterable[Path], config: str) -> Path | None:
    """The one of the folders of unfinished tests in which this config's test was begun last; None where it was in none."""
    found = [
        (path.stat().st_mtime, folder)
        for folder in folders
        for path in folder.glob(f"*/{FACTS_FILE}")
        if (_facts(path) or {}).get("config") == config
    ]
    return max(found, default=(0.0, None), key=lambda entry: entry[0])[1]


def _say_others(own: Path, facts: Mapping[str, Any]) -> None:
    """Says which other unfinished tests are beside the own one, and how they differ."""
    now = dict(_flat(facts))
    for path in sorted(own.parent.glob(f"*/{FACTS_FILE}")):
        if path.parent == own or not any(map(_PART.fullmatch, (file.name for file in path.parent.iterdir()))):
            continue
        then = dict(_flat((_facts(path) or {}).get("facts", {})))
        changed = [key for key in (*now, *then.keys() - now.keys()) if then.get(key) != now.get(key)]
        shown = [f"{key} was {then.get(key)!r} and is now {now.get(key)!r}" for key in changed[:SAID_FACTS]]
        more = f", and {len(changed) - SAID_FACTS} more differ" if len(changed) > SAID_FACTS else ""
        logger.warning(
            "the unfinished test in %s is another one (%s%s); its scores are not used and stay there: end it, or remove the folder",
            path.parent,
            "; ".join(shown),
            more,
        )


def _facts(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _flat(facts: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items() if isinstance(facts, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
