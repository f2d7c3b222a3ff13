"""Whether all files of a list lie in its folder, for lists that come from others (CONFIG.DATA.CONFINE)."""

import os
from collections.abc import Iterator
from functools import lru_cache

from vidrec.data.annotations.rows import MAX_REPORTED
from vidrec.data.annotations.table import VideoTable
from vidrec.utils.errors import DataError


def check_confined(table: VideoTable, source: str) -> None:
    """Raises DataError naming the rows (at most 20 are shown) whose file does not lie below the table's folder.

    Absolute paths are refused wherever they lead; of the others the real path counts, after every `..` and every symbolic link, also of
    the images in a folder of frames. What does not exist is judged by as much of its path as does.

    Args:
        source: of the list, for the message.
    """
    shown, count = [], 0
    for index, reason in _strays(table):
        count += 1
        if len(shown) < MAX_REPORTED:
            shown.append(f"  - row {index} (counted from 0), {table.listed_path(index)!r}: {reason}")
    if count:
        head = (
            f"{count} rows of {source} leave the data folder {table.folder}; with CONFIG.DATA.CONFINE True every file must lie in it. "
            f"Correct the list, or set CONFIG.DATA.CONFINE False if you trust it{'; the first 20 are' if count > MAX_REPORTED else ''}:"
        )
        raise DataError("\n".join([head, *shown]))


def _strays(table: VideoTable) -> Iterator[tuple[int, str]]:
    """(row, reason) of each row that leaves the folder."""
    root = os.path.realpath(table.folder)
    real_folder = lru_cache(65_536)(os.path.realpath)  # most files share their folder with others
    for index in range(len(table)):
        listed = table.listed_path(index)
        if os.path.isabs(listed):
            yield index, "an absolute path"
            continue
        path = os.path.join(table.folder, listed)
        parent, name = os.path.split(path)
        real = os.path.realpath(path) if name in ("", ".", "..") or os.path.islink(path) else os.path.join(real_folder(parent), name)
        if not _is_below(real, root):
            yield index, f"leads to {real}"
        elif os.path.isdir(real) and (outside := _outside_image(real, root)):
            yield index, f"its {os.path.basename(outside)} leads to {os.path.realpath(outside)}"


def _outside_image(folder: str, root: str) -> str:
    """A link in a folder of frames that leaves the root; '' where there is none."""
    with os.scandir(folder) as entries:
        links = [entry.path for entry in entries if entry.is_symlink()]
    return next((link for link in links if not _is_below(os.path.realpath(link), root)), "")


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
