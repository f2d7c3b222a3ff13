"""What is drawn over the frames of a video: the leading classes as bars, and where in a timeline it stands."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vidrec.engine.fonts import draw_text, shortened, text_width

if TYPE_CHECKING:
    from vidrec.inference.predictor import Prediction, Predictor
    from vidrec.inference.timeline import Timeline

PANEL_SHARE = 0.5  # of the frame's width
MIN_PANEL, MAX_LINE, MIN_LINE = 150, 40, 12  # pixels
LETTERS = 0.66  # size of the letters, of a line
BACK, BAR, INK, MARK = (16, 16, 16), (68, 119, 170), (255, 255, 255), (255, 221, 85)
BACK_ALPHA, BAR_ALPHA = 150, 235  # of 255
# Of the leading classes, told apart by color-blind people too (Paul Tol's bright scheme).
STRIP_COLORS = ((68, 119, 170), (238, 102, 119), (34, 136, 51), (204, 187, 68), (102, 204, 238), (170, 51, 119))
OTHER = (120, 120, 120)


class Caption(NamedTuple):
    """What stands on a frame.

    Attributes:
        bars: (name, probability), best first.
        colors: places of the bars' colors, -1 for the other; none: all bars have one color.
        strip: (start, stop, place of a color, -1 for the other) of each stretch of a timeline, as shares of the video; none: no strip.
        position: of the frame in the video, share.
    """

    bars: tuple[tuple[str, float], ...]
    colors: tuple[int, ...] = ()
    strip: tuple[tuple[float, float, int], ...] = ()
    position: float = 0.0


def caption_of(model: "Predictor", found: "Prediction", timeline: "Timeline | None") -> Callable[[float, float], Caption]:
    """From a second, and the share of the video, to what stands on the frame: the video's prediction, or that of the nearest window."""
    if timeline is None:
        bars = tuple((top.name, top.probability) for top in found.top)
        return lambda second, share: Caption(bars)
    start, length = float(timeline.starts[0]), float(timeline.stops[-1] - timeline.starts[0])
    places = {timeline.class_names[label]: place for place, label in enumerate(timeline.top_labels(len(STRIP_COLORS)))}
    strip = tuple(((begin - start) / length, (end - start) / length, places.get(name, -1)) for name, begin, end in timeline.segments())

    def at(second: float, share: float) -> Caption:
        top = model.top(timeline.at(second), len(found.top))
        bars, colors = tuple((one.name, one.probability) for one in top), tuple(places.get(one.name, -1) for one in top)
        return Caption(bars, colors, strip, share)

    return at


def draw_caption(frame: np.ndarray, caption: Caption) -> np.ndarray:
    """A copy of a frame [H, W, 3] uint8 with the caption on it."""
    height, width = frame.shape[:2]
    drawn = frame.copy()
    _blend(drawn, _panel(caption.bars, caption.colors, height, width), 0, 0)
    if caption.strip:
        strip = _strip(caption.strip, max(height // 40, 4), width)
        _blend(drawn, strip, height - len(strip), 0)
        middle = min(int(caption.position * width), width - 1)
        reach = max(width // 300, 1)
        drawn[height - 2 * len(strip) :, max(middle - reach, 0) : middle + reach + 1] = MARK
    return drawn


def _blend(frame: np.ndarray, overlay: np.ndarray, top: int, left: int) -> None:
    """Lays [h, w, 4] RGBA over a place of a frame, in place; what lies outside is cut off."""
    region = frame[top : top + overlay.shape[0], left : left + overlay.shape[1]]
    part = overlay[: region.shape[0], : region.shape[1]].astype(np.uint16)
    alpha = part[..., 3:]
    region[:] = (part[..., :3] * alpha + region * (255 - alpha) + 127) // 255


@lru_cache(maxsize=8)
def _panel(bars: Sequence[tuple[str, float]], colors: Sequence[int], height: int, width: int) -> np.ndarray:
    """[h, w, 4] RGBA: a line for each class, its bar as long as it is probable; as many lines as fit into half of the height."""
    from PIL import Image, ImageDraw

    line = int(np.clip(height / 16, MIN_LINE, MAX_LINE))
    shown = bars[: max(height // 2 // line, 1)]
    wide = min(width, max(int(width * PANEL_SHARE), MIN_PANEL))
    panel = Image.new("RGBA", (wide, line * len(shown)), (*BACK, BACK_ALPHA))
    draw, size = ImageDraw.Draw(panel), line * LETTERS
    for place, (name, probability) in enumerate(shown):
        top, percent = place * line, f"{100 * probability:.0f}%"
        color = STRIP_COLORS[colors[place]] if place < len(colors) and colors[place] >= 0 else OTHER if colors else BAR
        draw.rectangle((0, top + 1, max(int(wide * probability) - 1, 0), top + line - 2), fill=(*color, BAR_ALPHA))
        room = wide - text_width(percent, size) - line
        draw_text(draw, (line * 0.25, top + line / 2), shortened(name, room, size=size), size=size, fill=(*INK, 255))
        draw_text(draw, (wide - line * 0.25, top + line / 2), percent, size=size, fill=(*INK, 255), anchor="rm")
    return np.asarray(panel)


@lru_cache(maxsize=2)
def _strip(strip: Sequence[tuple[float, float, int]], height: int, width: int) -> np.ndarray:
    """[height, width, 4] RGBA: the stretches of a timeline from left to right."""
    drawn = np.zeros((height, width, 4), dtype=np.uint8)
    for start, stop, place in strip:
        color = STRIP_COLORS[place] if 0 <= place < len(STRIP_COLORS) else OTHER
        drawn[:, int(start * width) : max(round(stop * width), int(start * width) + 1)] = (*color, 220)
    return drawn
