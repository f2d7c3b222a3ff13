"""Folders of numbered images, `img_00001.jpg` and so on, as videos."""

import os
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vidrec.data.decoders.numbered import NumberedReader
from vidrec.data.decoders.reading import DEFAULTS, ReadOptions, Size
from vidrec.utils.errors import VideoError
from vidrec.utils.text import FRAME_TEMPLATE

# Images that become RGB without a guess; 16 bit gray, floats and the like do not.
PLAIN_MODES = ("1", "CMYK", "L", "LA", "P", "RGB", "RGBA", "YCbCr")


class FramesReader(NumberedReader):
    """Frame i is the image whose number is frame_offset + i; the video ends where the numbers end.

    Files of other names, and numbers below the offset, are not read. Frame rate is not known (`fps` is 0.0). What a camera notes in
    a JPEG about its rotation is applied.

    Args:
        path: absolute path of a folder.
        reading, size: as in NumberedReader.

    Raises:
        VideoError: no folder, no such frame, or a number missing between others; a frame that is no image shows when it is read.

    Example: template `img_%05d.jpg`, offset 1: frame 0 is img_00001.jpg.
    """

    def __init__(self, path: str, reading: ReadOptions = DEFAULTS, size: Size | None = None):
        super().__init__(path, reading, size)
        self._template, self._offset = reading.frame_template, reading.frame_offset
        if not os.path.isdir(path):
            raise VideoError(
                f"{path} cannot be read: it is a file; the decoder 'frames' wants a folder of numbered images. Set CONFIG.DATA.DECODER "
                "to 'auto' for videos."
            )
        self._count = self._count_frames(path)

    def _count_frames(self, path: str) -> int:
        pattern = name_pattern(self._template)
        with os.scandir(path) as entries:
            found = (pattern.fullmatch(entry.name) for entry in entries)
            numbers = {int(match[1]) for match in found if match and self._template % int(match[1]) == match[0]}
        numbers = {number for number in numbers if number >= self._offset}
        first = self._template % self._offset
        if self._offset not in numbers:
            raise VideoError(
                f"{path} cannot be read: it has no {first}, and {len(numbers)} frames of higher numbers; a folder of frames has them from "
                "CONFIG.DATA.FRAME_OFFSET on without a gap. Set it and CONFIG.DATA.FRAME_TEMPLATE as your files are named."
            )
        missing = next(number for number in range(self._offset, self._offset + len(numbers) + 1) if number not in numbers)
        if missing <= max(numbers):
            raise VideoError(
                f"{path} cannot be read: {self._template % missing} is missing before {self._template % max(numbers)}; frames must be "
                "numbered without a gap. Extract them again."
            )
        self._guard.check_frames(len(numbers))
        return len(numbers)

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        return self._stack(self._images(numbers), len(numbers))

    def _images(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        for number in numbers:
            self._guard.check_time()
            yield self._image(os.path.join(self._path, self._template % (self._offset + int(number))))

    def _image(self, path: str) -> np.ndarray:
        try:
            with Image.open(path) as image:
                self._guard.check_pixels(image.height, image.width)  # known from the header; nothing is decoded yet
                if image.mode not in PLAIN_MODES:
                    raise VideoError(f"{path} cannot be read: its pixels are {image.mode}; 8 bit gray or color is wanted. Convert it.")
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).split(path)[0].strip(" '\"") or type(error).__name__
            raise VideoError(f"{path} cannot be read: {reason}; an image is wanted. Extract the frames of this video again.") from error

    def close(self) -> None:
        """Nothing is held open between frames."""


def name_pattern(template: str) -> re.Pattern[str]:
    """The file names of a template with one number, whatever its digits: `img_%05d.jpg` -> `img_(\\d+)\\.jpg`."""
    before, after = FRAME_TEMPLATE.fullmatch(template).groups()
    return re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
