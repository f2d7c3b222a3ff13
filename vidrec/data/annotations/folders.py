"""A folder that holds a folder for each class: the list is what lies in them."""

import os
from collections.abc import Iterator
from pathlib import Path

from vidrec.data.annotations.classes import ClassMap
from vidrec.data.annotations.rows import Row, Rows, in_parts
from vidrec.data.annotations.table import VideoTable, text_sha256
from vidrec.utils.errors import DataError
from vidrec.utils.text import did_you_mean
from vidrec.utils.videos import IMAGE_SUFFIXES, VIDEO_SUFFIXES


def class_folders(path: Path) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones are left out."""
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def read_folders(path: Path, classes: ClassMap) -> VideoTable:
    """The videos in the class folders of a folder, at any depth, sorted; a folder with images in it is one video of as many frames.

    The label of a class is the number of its name among the class names, or, where none are given, among the folders sorted by name;
    then there must be exactly num_classes folders, so that training and validation cannot count differently.

    Raises:
        DataError: the folders do not fit the classes, or hold no video.
    """
    rows = Rows()
    listed: list[bytes] = []
    for name, label in _labels(path, classes).items():
        found = sorted(_videos(path, name))
        listed += [b"%s\0%d\n" % (video, label) for video, _ in found]
        in_parts((Row(video, (label,), frames) for video, frames in found), rows)
    if not rows.count:
        raise DataError(
            f"The class folders in {path} hold no video; files ending in {', '.join(sorted(VIDEO_SUFFIXES))} or folders of images are "
            "wanted. Check CONFIG.DATA.TRAIN_ANNO_PATH and CONFIG.DATA.VAL_ANNO_PATH."
        )
    return rows.table(folder=path, sha256=text_sha256(listed), num_classes=classes.num_classes)


def _labels(path: Path, classes: ClassMap) -> dict[str, int]:
    """Class folder -> label."""
    folders = class_folders(path)
    if classes.names:
        labels = {name: classes.number(name) for name in folders}
        unknown = [name for name in folders if labels[name] is None]
        if unknown:
            hint = did_you_mean(unknown[0], classes.names)
            raise DataError(
                f"{path} has {len(unknown)} folders that are none of the {len(classes.names)} class names, the first {unknown[0]!r}; each "
                f"must be one of CONFIG.DATA.CLASS_NAMES.{hint} Rename it, or take it out of there."
            )
        return labels
    if len(folders) != classes.num_classes:
        raise DataError(
            f"{path} has {len(folders)} class folders, but CONFIG.DATA.NUM_CLASSES is {classes.num_classes}; without "
            "CONFIG.DATA.CLASS_NAMES labels are the places of the sorted folders, so there must be one for each class. Change the one or "
            "the other, or name the classes."
        )
    return {name: label for label, name in enumerate(folders)}


def _videos(root: Path, name: str) -> Iterator[tuple[bytes, int]]:
    """(path below the root, number of images) of each video in a folder, at any depth."""
    images, folders = 0, []
    with os.scandir(root / name) as entries:
        for entry in entries:
            suffix = os.path.splitext(entry.name)[1].lower()
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(f"{name}/{entry.name}")
            elif suffix in VIDEO_SUFFIXES:
                yield os.fsencode(f"{name}/{entry.name}"), 0
            else:
                images += suffix in IMAGE_SUFFIXES
    if images and "/" in name:  # images loose in a class folder are no video
        yield os.fsencode(name), images
    for folder in folders:
        yield from _videos(root, folder)
