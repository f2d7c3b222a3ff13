"""Pictures out of videos of a run's test list, as small JPEG files."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidrec.utils.errors import UserError, VideoError

if TYPE_CHECKING:
    import numpy as np
    from yacs.config import CfgNode

    from vidrec.data.annotations import VideoTable
    from vidrec.data.decoders import VideoReader

THUMBNAIL = (200, 140)  # pixels: width and height that it fits into
STRIP = (320, 96)  # the same of a frame in a strip
QUALITY = 75
GAP = 2  # pixels between frames


class VideoOpener:
    """Opens videos of a test as the test read them: by the list of the config where that is still the same, else by their paths.

    Args:
        cfg: None where the run has none.
        sha256: of the list that was tested.
    """

    def __init__(self, cfg: "CfgNode | None", *, sha256: str):
        self._decoder: dict[str, Any] = {}
        self._table: VideoTable | None = None
        if cfg is None:
            return
        from vidrec.data.build import build_dataset

        try:
            dataset = build_dataset(cfg, "test")
        except UserError:  # the list is gone: the paths of the test remain
            return
        self._decoder = {"decoder": dataset.pipeline.decoder, "reading": dataset.pipeline.reading}
        if sha256 and dataset.table.sha256 == sha256:
            self._table = dataset.table

    def open(self, index: Any, path: str) -> "tuple[VideoReader, tuple[int, int]]":
        """The open video, its first frame and how many follow. Raises VideoError."""
        from vidrec.data.decoders import open_video
        from vidrec.data.spans import span_frames

        row = index if self._table is not None and isinstance(index, int) and 0 <= index < len(self._table) else None
        reader = open_video(path if row is None else self._table.source(row), **self._decoder, size=_small)
        try:
            span = None if row is None else self._table.span(row)
            return reader, span_frames(span, len(reader), reader.fps)
        except ValueError as error:
            reader.close()
            raise VideoError(f"{path} cannot be read: {error}") from error


def _small(height: int, width: int) -> tuple[int, int]:
    """The size in which frames are decoded: as small as both pictures allow, and never enlarged."""
    scale = min(1.0, max(_scale(width, height, box) for box in (THUMBNAIL, STRIP)))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _scale(width: int, height: int, box: tuple[int, int]) -> float:
    return min(box[0] / width, box[1] / height)


def draw_pictures(opener: VideoOpener, entry: Mapping[str, Any], *, frames: int) -> tuple[bytes, bytes]:
    """The frame in the middle, and at most so many frames beside each other, as JPEG. Raises VideoError."""
    import numpy as np

    reader, (first, count) = opener.open(entry.get("index"), str(entry.get("path", "")))
    with reader:
        places = first + np.unique(np.linspace(0, count - 1, min(frames, count)).round().astype(np.int64))
        middle = first + count // 2
        pixels = reader.get_frames(np.unique(np.append(places, middle))).numpy()
    chosen = {int(place): pixels[slot] for slot, place in enumerate(np.unique(np.append(places, middle)))}
    return jpeg(fitted(chosen[middle], THUMBNAIL)), jpeg(strip([chosen[int(place)] for place in places]))


def strip(frames: "list[np.ndarray]") -> "np.ndarray":
    """Frames [H, W, 3] uint8 beside each other, made small, with a gap between them."""
    import numpy as np

    small = [fitted(frame, STRIP) for frame in frames]
    gap = np.full((small[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([part for frame in small for part in (frame, gap)][:-1], axis=1)


def fitted(frame: "np.ndarray", box: tuple[int, int]) -> "np.ndarray":
    """A frame brought to the largest size that fits into a box (width, height)."""
    import numpy as np
    from PIL import Image

    rows, columns = frame.shape[:2]
    scale = _scale(columns, rows, box)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def jpeg(pixels: "np.ndarray") -> bytes:
    """A picture [H, W, 3] uint8 as the bytes of a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()
