"""What the data sets have in common: the files that are there, the lists that are wanted, class maps."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vidrec.utils.errors import DataError
from vidrec.utils.videos import VIDEO_SUFFIXES


class Item(NamedTuple):
    """One video of a split."""

    path: str  # below the folder of videos, with slashes
    label: int


@dataclass
class Listing:
    """What a data set says that there is, as far as it was found.

    Args:
        name: of the data set.
        videos: the folder of videos.
        classes: class names in the order of their labels.
        splits: split name (train, val, test) -> its videos.
        missing: what the data set lists and the folder does not hold.
        notes: what else is worth saying, a sentence each.
    """

    name: str
    videos: Path
    classes: list[str]
    splits: dict[str, list[Item]]
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class VideoIndex:
    """The video files below a folder, found by their names without ending, whatever folders they lie in.

    Raises:
        DataError: the folder does not exist or holds no video.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise DataError(f"--videos is {folder}, which is no folder; it must hold the videos of the data set. Check the path.")
        self.folder = folder
        self.paths = sorted(_walk(folder, ""))
        if not self.paths:
            raise DataError(
                f"--videos is {folder}, which holds no video; files ending in {', '.join(sorted(VIDEO_SUFFIXES))} are wanted. "
                "Check the path, and unpack archives first."
            )
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_stem.setdefault(_stem(path), []).append(path)

    def find(self, name: str, *folders: str) -> str | None:
        """The path of a file by its name without ending; None where there is none. Upper and lower case are one.

        Args:
            folders: where several files have the name, those below the first of these folders that has one are preferred.
        """
        found = self._by_stem.get(name.lower(), [])
        for folder in folders if len(found) > 1 else ():
            inside = [path for path in found if folder.lower() in path.lower().split("/")[:-1]]
            found = inside or found
        return found[0] if found else None

    def unused(self, listing: Listing) -> int:
        """How many of the files no split names."""
        return len(set(self.paths) - {item.path for items in listing.splits.values() for item in items})


def class_order(names: set[str], *candidates: str) -> tuple[list[str], str]:
    """Class names in the order of the zoo's label map where they are the zoo's, else alphabetically; and a sentence about it.

    Args:
        names: as the data set spells them.
        candidates: data sets of the zoo. Spellings are compared without case, blanks and punctuation.
    """
    from vidrec.model_zoo import labels

    by_loose = {_loose(name): name for name in names}
    for candidate in candidates:
        zoo = labels.label_file(candidate).read_text(encoding="utf-8").splitlines()
        if {_loose(name) for name in zoo} == set(by_loose):
            return [by_loose[_loose(name)] for name in zoo], f"The {len(zoo)} classes have the order of the zoo's {candidate} labels."
    known = f", which are not those of the zoo's {' or '.join(candidates)} labels," if candidates else ""
    return sorted(names), f"The {len(names)} classes{known} have alphabetical order."


def read_text(path: Path, what: str) -> str:
    """The text of a file of the data set. Raises DataError where it is missing or no text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise DataError(f"{path} cannot be read ({reason}); it must be {what}. Check the path.") from error


def wrong_line(path: Path, number: int, line: str, wanted: str) -> DataError:
    """The error about a line of a split file that does not read as it should."""
    return DataError(f"{path}:{number}: {line!r:.100} is not {wanted}. Take the file as it was published.")


def _walk(root: Path, below: str) -> Iterator[str]:
    """Paths of the video files below a folder, relative to the root, with slashes; hidden ones are left out."""
    with os.scandir(root / below) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if not (entry.is_symlink() and (root / below).resolve().is_relative_to(Path(entry.path).resolve())):  # a link to above
                    yield from _walk(root, path)
            elif os.path.splitext(entry.name)[1].lower() in VIDEO_SUFFIXES:
                yield path


def _stem(path: str) -> str:
    return os.path.splitext(path.rpartition("/")[2])[0].lower()


def _loose(name: str) -> str:
    """A class name without case, blanks and punctuation."""
    return "".join(character for character in name.lower() if character.isalnum())
