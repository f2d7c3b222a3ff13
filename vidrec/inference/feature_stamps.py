"""Of which files the features of an unfinished extraction are."""

from collections.abc import Mapping
from pathlib import Path

from vidrec.data.stamps import Stamp
from vidrec.engine.files import atomic_file
from vidrec.utils.dist import rank


class FeatureStamps:
    """Stamps of videos in a folder, as lines `row size time`: every process appends to a file of its own, `stamps_<rank>.txt`."""

    def __init__(self, folder: Path):
        self._folder = folder

    def add(self, row: int, stamp: Stamp) -> None:
        """Keeps the stamp of a video. Raises OSError."""
        with open(self._own, "ab") as file:
            file.write(_line(row, stamp))

    def read(self) -> dict[int, Stamp]:
        """Row -> stamp, of all processes; a last line that was cut by a kill is left out. Raises OSError."""
        whole = [content[: content.rfind(b"\n") + 1] for content in (file.read_bytes() for file in self._files())]
        fields = [line.split() for content in whole for line in content.splitlines()]
        return {int(row): (int(size), int(time)) for row, size, time in fields}

    def rewrite(self, stamps: Mapping[int, Stamp]) -> None:
        """Puts these in the place of those of all processes; the main process does that before others begin. Raises OSError."""
        with atomic_file(self._own) as file:
            file.writelines(_line(row, stamp) for row, stamp in stamps.items())
        for other in set(self._files()) - {self._own}:
            other.unlink()

    def remove(self) -> None:
        """Removes all. Raises OSError."""
        for file in self._files():
            file.unlink()

    @property
    def _own(self) -> Path:
        return self._folder / f"stamps_{rank()}.txt"

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("stamps_*.txt"))


def _line(row: int, stamp: Stamp) -> bytes:
    return f"{row} {stamp[0]} {stamp[1]}\n".encode()
