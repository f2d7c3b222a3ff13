"""What somebody wants looked at, as words of a command line: files, folders, lists, addresses -> lists of videos."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vidrec.data.annotations import VideoTable, read_table
from vidrec.data.annotations.classes import unquoted
from vidrec.data.decoders.frames_reader import name_pattern
from vidrec.data.remote import is_remote, table_of
from vidrec.utils.errors import DataError
from vidrec.utils.text import did_you_mean
from vidrec.utils.videos import VIDEO_SUFFIXES

LIST_SUFFIXES = (".txt", ".lst", ".csv", ".tsv", ".json")
STDIN = "-"
_STREAM = re.compile(r"(rtsps?|rtmps?|rtp|udp|tcp|srt|mms|hls)://", re.IGNORECASE)
_CAMERA = re.compile(r"\d{1,3}|/dev/video\d+")
_ANY_LABEL = 2**31 - 1  # labels of a list are not looked at
_HEADER = re.compile(rb"(path|video|file|filename|video_path)", re.IGNORECASE)


class Inputs(NamedTuple):
    """What was found.

    Attributes:
        tables: lists of videos, in the order of the words.
        streams: addresses and cameras whose frames come as time goes by.
    """

    tables: list[VideoTable]
    streams: list[str]

    @property
    def num_videos(self) -> int:
        return sum(map(len, self.tables))


def find_inputs(words: Sequence[str], *, class_names: Sequence[str] = (), template: str = "img_%05d.jpg", data_folder: str = "") -> Inputs:
    """The videos that words mean.

    Args:
        words: video files; folders, searched below for video files and for folders of numbered frames; lists in any form that training
            takes (docs/annotations.md), or of paths alone, one a line; `-`: such a list from standard input; http(s) and other URLs that
            fsspec fetches; addresses of streams (rtsp://...) and cameras (0, /dev/video0).
        class_names: lists may name classes of these; what they say is not used.
        template: name of a frame in a folder of frames.
        data_folder: put before the relative paths of lists; '': the list's own folder, the working folder for `-`.

    Raises:
        DataError: there is no video in all of that, a list cannot be read, or a word is nothing of that.
    """
    tables: list[VideoTable] = []
    files: list[str] = []
    streams = [word for word in words if is_stream(word)]
    for word in words:
        if word in streams:
            continue
        if word == STDIN or (Path(word).suffix.lower() in LIST_SUFFIXES and not os.path.isdir(word)):
            tables += [table_of(files), *_read_list(word, class_names, data_folder)]
            files = []
        else:
            files += _found(word, template)
    tables = [table for table in (*tables, table_of(files)) if len(table)]
    if not tables and not streams:
        suffixes = ", ".join(sorted(VIDEO_SUFFIXES))
        raise DataError(
            f"No videos were found in {', '.join(words) or 'nothing'}; video files ({suffixes}), folders of numbered frames ({template}),"
            " or lists of them are wanted. Check the paths, and CONFIG.DATA.FRAME_TEMPLATE for frames."
        )
    return Inputs(tables, streams)


def is_stream(word: str) -> bool:
    """Whether a word is a camera or an address whose frames come as time goes by, and no file."""
    if _CAMERA.fullmatch(word):
        return not os.path.isfile(word) and not os.path.isdir(word)
    return bool(_STREAM.match(word)) or (is_remote(word) and word.split("?")[0].lower().endswith((".m3u8", ".mpd")))


def has_paths_alone(path: Path, folder: str) -> bool:
    """Whether the first line of a list is a path and nothing else."""
    line = next(_lines(path), b"")
    name = os.fsdecode(line)
    return is_remote(name) or Path(name).suffix.lower() in VIDEO_SUFFIXES or os.path.exists(os.path.join(folder, name))


def _found(word: str, template: str) -> Iterator[str]:
    """The videos of one word that is no list; what does not exist is reported by who tries to read it."""
    if is_remote(word) or not os.path.isdir(word):
        yield word
        return
    pattern, seen = name_pattern(template), set()
    for folder, below, names in os.walk(word, followlinks=True):
        below.sort()
        place = os.path.realpath(folder)
        if place in seen:  # by a link that leads back
            below.clear()
            continue
        seen.add(place)
        if any(pattern.fullmatch(name) for name in names):
            yield folder
            below.clear()  # what lies below a folder of frames belongs to it
            continue
        yield from (os.path.join(folder, name) for name in sorted(names) if Path(name).suffix.lower() in VIDEO_SUFFIXES)


def _read_list(word: str, class_names: Sequence[str], data_folder: str) -> list[VideoTable]:
    """The videos of a list, `-` for standard input."""
    if word != STDIN:
        return [_read_list_file(Path(word), class_names, data_folder)]
    with tempfile.TemporaryDirectory(prefix="vidrec-") as place:
        path = Path(place) / "standard_input.txt"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return [_read_list_file(path, class_names, data_folder or os.getcwd())] if path.stat().st_size else []


def _read_list_file(path: Path, class_names: Sequence[str], data_folder: str) -> VideoTable:
    if not path.is_file():
        names = sorted(os.listdir(path.parent)) if path.parent.is_dir() else []
        raise DataError(f"The list {path} does not exist; a list of videos is wanted. Check the path.{did_you_mean(path.name, names)}")
    folder = data_folder or str(path.parent)
    if path.suffix.lower() != ".json" and has_paths_alone(path, folder):
        return _paths_alone(path, folder)
    try:
        return read_table(path, data_folder=folder, num_classes=_ANY_LABEL, class_names=list(class_names))
    except DataError as error:
        raise DataError(f"{error}\nA list of paths alone, one a line and each ending as a video file does, is read too.") from error


def _paths_alone(path: Path, folder: str) -> VideoTable:
    names = [os.fsdecode(line) for line in _lines(path)]
    zero = next((name for name in names if "\0" in name), None)
    if zero is not None:
        raise DataError(f"{path}: {zero!r:.80} holds a zero byte, which no path can; the list may be damaged. Correct it.")
    if any(map(is_remote, names)):
        return table_of([name if is_remote(name) else os.path.join(folder, name) for name in names])
    return VideoTable.from_paths(names, folder=folder)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a list without blanks, comments, quotes and a header."""
    with path.open("rb") as file:
        for number, line in enumerate(file):
            content = unquoted(line.removeprefix(b"\xef\xbb\xbf").strip() if number == 0 else line.strip())
            if content and not content.startswith(b"#") and not (number == 0 and _HEADER.fullmatch(content)):
                yield content
