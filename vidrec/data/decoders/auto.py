"""The default decoder: exact for every file, and the same on every machine.

The rule: a folder is read as numbered frames, every file by PyAV; no header need be read to choose. PyAV numbers the frames of a
file as a sequential decode does, whatever its edit lists, rotation, codec or header count. decord was chosen here for files that it
decodes rightly as long as it was thought to be faster there; measured, it is not (docs/decoders.md).
"""

import os

from vidrec.data.decoders.base import VideoReader
from vidrec.data.decoders.frames_reader import FramesReader
from vidrec.data.decoders.pyav_reader import PyAVReader
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions, Size


def open_auto(path: str, reading: ReadOptions = DEFAULTS, size: Size | None = None) -> VideoReader:
    """A FramesReader for a folder, a PyAVReader for a file. Raises VideoError."""
    return FramesReader(path, reading, size) if os.path.isdir(path) else PyAVReader(path, reading, size)
