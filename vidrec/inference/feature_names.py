"""The file of each video's features: below the output folder as the video is below its own, so that equal names never meet."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from vidrec.data.spans import Span
from vidrec.utils.errors import UserError


class ListedVideo(NamedTuple):
    """A row of a list of videos: full path or URL, and the part of the video that it means."""

    path: str
    span: Span | None = None


def file_names(rows: Sequence[ListedVideo], root: str) -> list[str]:
    """The name of each row's file, relative to the output folder; equal rows share one.

    Args:
        root: the videos' folder, which the names leave out where it holds all of them; else they leave out what all paths begin with.

    Example: /v/run/a.mp4 and /v/jump/a.mp4 with root /v -> run/a.npy, jump/a.npy; /v/a.mp4 and /v/a.avi -> a.mp4.npy, a.avi.npy; frames
        30 to 60 of /v/a.mp4 -> a_30-60f.npy
    """
    paths = _below(rows, root)
    short = [f"{os.path.splitext(path)[0]}{_part(row.span)}.npy" for path, row in zip(paths, rows, strict=True)]
    rows_of = Counter(name for name, _ in set(zip(short, rows, strict=True)))
    names = [
        name if rows_of[name] == 1 else f"{path}{_part(row.span)}.npy" for name, path, row in zip(short, paths, rows, strict=True)
    ]
    _refuse_equal(names, rows)
    return names


def flat_names(rows: Sequence[ListedVideo]) -> list[str]:
    """The names of the reference zoo, all in one folder: `STEM_feat.npy`. Raises UserError where two videos would have the same.

    Example: /v/run/a.mp4 -> a_feat.npy
    """
    names = [f"{PurePath(row.path).stem}{_part(row.span)}_feat.npy" for row in rows]
    _refuse_equal(names, rows)
    return names


def _refuse_equal(names: Sequence[str], rows: Sequence[ListedVideo]) -> None:
    owner: dict[str, ListedVideo] = {}
    for name, row in zip(names, rows, strict=True):
        other = owner.setdefault(name, row)
        if other != row:
            raise UserError(
                f"{other.path} and {row.path} would both write {name}; every video needs a file of its own."
                " Leave out --flat-names, or write one table with --format npz."
            )


def _part(span: Span | None) -> str:
    """Example: frames 30 to 60 -> `_30-60f`; seconds 1.5 to 2 -> `_1.5-2s`"""
    return "" if span is None else f"_{span.start:.10g}-{span.end:.10g}{'s' if span.seconds else 'f'}"


def _below(rows: Sequence[ListedVideo], root: str) -> list[str]:
    """Paths without what they share, and with nothing in them that leads out of the output folder."""
    if any("://" in row.path for row in rows):
        paths = [row.path.split("://", 1)[-1].replace("#", "/") for row in rows]
        shared = os.path.commonpath([os.path.dirname(path) for path in paths])
        return [os.path.relpath(os.path.normpath(path), shared or ".") for path in paths]
    paths, base = [os.path.abspath(row.path) for row in rows], os.path.abspath(root or ".")
    if not all(path.startswith(base.rstrip(os.sep) + os.sep) for path in paths):
        base = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [os.path.relpath(path, base) for path in paths]
