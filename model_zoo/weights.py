"""Published weights files (weights.csv, a line for each row of the reference zoo's tables): where they are, and their SHA-1."""

import csv
from pathlib import Path
from typing import NamedTuple

from .specs import float_name

HOST = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com"
_PLACES = {"torch": "torch/models/{}.pth", "mxnet": "gluon/models/{}.zip"}


class WeightsFile(NamedTuple):
    """One published file, identified by (section, name, hashtag).

    Args:
        section: torch or mxnet.
        sha1: of the file, 40 hexadecimal digits; of five MXNet files only the first 8 are published.
        pretrained: what its training started from, as published; '' where that is not published.
        segments: of a training sample.
        clip_length: frames of a clip, as the tables write it: `32 (64/2)` is every second of 64 frames.
        top1: accuracy in percent, AS PUBLISHED and not measured by us; None where the tables have no row.
    """

    section: str
    name: str
    sha1: str
    pretrained: str
    segments: int
    clip_length: str
    top1: float | None

    @property
    def hashtag(self) -> str:
        return self.sha1[:8]

    def has_hashtag(self, digits: str) -> bool:
        """Whether some first digits of a SHA-1 are this file's; '' fits every file."""
        shared = min(len(digits), len(self.sha1))
        return self.sha1[:shared] == digits[:shared].lower()

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.hashtag}"

    @property
    def file_name(self) -> str:
        """Of the weights themselves, which sha1 belongs to; those of the MXNet section are published inside a zip."""
        return f"{self.stem}.{'pth' if self.section == 'torch' else 'params'}"

    @property
    def place(self) -> str:
        """Path of the download below HOST, or below a mirror."""
        return _PLACES[self.section].format(self.stem)


def _read(row: dict[str, str]) -> WeightsFile:
    typed = {"segments": int(row["segments"]), "top1": float(row["top1"]) if row["top1"] else None}
    return WeightsFile(**{**row, **typed})


# Of several files of one name the first is the one that the name alone means.
with (Path(__file__).parent / "weights.csv").open(encoding="utf-8", newline="") as _table:
    FILES = tuple(_read(row) for row in csv.DictReader(_table))


def published(name: str, section: str) -> list[WeightsFile]:
    """The published files of a zoo name, its default first.

    A `_custom` name has those of its Kinetics-400 network, without a fitting classifier; an int8 name those of its float network.
    """
    name = float_name(name)
    source = name.removesuffix("_custom") + "_kinetics400" if name.endswith("_custom") else name
    return [file for file in FILES if (file.section, file.name) == (section, source)]
