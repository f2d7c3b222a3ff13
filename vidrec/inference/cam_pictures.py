"""Pictures of an explanation: a strip of frames as a PNG, and the frames as an mp4, with the evidence laid over them."""

import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vidrec.data.pipelines import name_of
from vidrec.engine.files import atomic_file
from vidrec.engine.fonts import draw_text, legible, shortened, text_width
from vidrec.inference.explain import Explanation
from vidrec.inference.video_file import writing_mp4
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS, STRENGTH = "turbo", 0.7  # colormap; how much of the largest evidence covers the picture
LONGEST_HOLD = 0.5  # seconds that a frame stays in the mp4 where the next one that the network saw is far
_GRAY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # of red, green and blue (ITU-R BT.601)
TILE, DPI = 190, 100  # pixels of a frame in the strip, of its longer side; pixels per inch


def overlay(frame: np.ndarray, evidence: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """A frame [H, W, 3] uint8 in gray, with evidence [S, S] in [0, 1] in color over its box.

    What lies outside of the box, which the network did not see, is darkened.
    """
    height, width = frame.shape[:2]
    frame = np.broadcast_to((frame @ _GRAY).astype(np.uint8)[..., None], frame.shape)
    y0, y1, x0, x1 = (round(share * side) for share, side in zip(box, (height, height, width, width), strict=True))
    shown = (frame * 0.4).astype(np.uint8)
    heat = _resize(evidence, y1 - y0, x1 - x0)
    shown[y0:y1, x0:x1] = blend(frame[y0:y1, x0:x1], heat)
    return shown


def blend(picture: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """[..., 3] uint8 with evidence [...] in [0, 1] over it, the more opaque the larger."""
    opacity = STRENGTH * evidence[..., None]
    colors = _colors()[(evidence * 255).astype(np.uint8)]
    return ((1 - opacity) * picture + opacity * colors).astype(np.uint8)


def save_pictures(
    explanation: Explanation,
    frames: Iterable[np.ndarray],
    *,
    strip: str | Path | None = None,
    video: str | Path | None = None,
    num_shown: int = 8,
) -> None:
    """Writes the strip, the mp4, or both, out of the frames of the explanation, read once.

    Args:
        frames: [H, W, 3] uint8 each, those of `shown_frames`.
        num_shown: frames in the strip, spread over the explanation.

    Raises:
        UserError: a file cannot be written.
    """
    chosen = shown_places(explanation, num_shown)
    kept: dict[int, np.ndarray] = {}
    wanted = enumerate(frames)
    if video is None:
        kept = {place: frame for place, frame in wanted if place in chosen}
    else:
        repeats = hold_lengths(explanation)
        with writing_mp4(Path(video), fps=explanation.fps) as append:
            for place, frame in wanted:
                image = _labelled(overlay(frame, explanation.evidence[place], explanation.box), explanation, place)
                for _ in range(repeats[place]):
                    append(image)
                if place in chosen:
                    kept[place] = frame
    if strip is not None:
        _save_figure(draw_strip(explanation, kept), Path(strip))


def shown_places(explanation: Explanation, num_shown: int) -> list[int]:
    """Places of the frames of the strip, evenly spread, the first and the last among them."""
    last = len(explanation.frames) - 1
    return np.unique(np.linspace(0, last, min(num_shown, last + 1)).round().astype(int)).tolist()


def hold_lengths(explanation: Explanation) -> np.ndarray:
    """[N] for how many frames of the video each one is shown in the mp4: until the next one that the network saw, or LONGEST_HOLD.

    Example: frames 0, 2, 4, 100 at 30 fps -> 2, 2, 15, 2
    """
    longest = max(1, round(LONGEST_HOLD * explanation.fps))
    steps = np.diff(explanation.frames)
    usual = int(np.median(steps)) if len(steps) else 1
    return np.minimum(np.append(steps, usual), longest)


def draw_strip(explanation: Explanation, frames: dict[int, np.ndarray]) -> "Figure":
    """A figure: frames, the same with the evidence over them, and the evidence against time.

    Args:
        frames: [H, W, 3] uint8 by their place in the explanation.
    """
    from matplotlib.figure import Figure

    height, width = next(iter(frames.values())).shape[:2]
    tile = np.array([height, width]) * (TILE / max(height, width)) / DPI  # inches
    columns = max(len(frames), 4)  # so that there is room for text
    figure = Figure(figsize=(columns * (tile[1] + 0.06) + 1.1, 2 * tile[0] + 2.5), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    ratios = [tile[0], tile[0], 0.9]
    grid = figure.add_gridspec(3, columns, height_ratios=ratios)
    axes = []
    for column, (place, frame) in enumerate(sorted(frames.items())):
        for row, image in enumerate((frame, overlay(frame, explanation.evidence[place], explanation.box))):
            axes.append(figure.add_subplot(grid[row, column]))
            axes[-1].imshow(image, interpolation="antialiased")
            axes[-1].set_axis_off()
        axes[-2].set_title(f"{explanation.seconds[place]:.2f} s\nframe {explanation.frames[place]}", fontsize=8)
    _add_colorbar(figure, axes)
    _add_curve(figure.add_subplot(grid[2, :]), explanation, sorted(frames))
    name = textwrap.shorten(explanation.name, 80, placeholder=" ...")
    title = f"{name}   {100 * explanation.probability:.1f} %\n"
    figure.suptitle(title + _remark(explanation), fontsize=10, x=0.01, ha="left", parse_math=False)
    return figure


def _remark(explanation: Explanation) -> str:
    layers = " + ".join(f"{layer.name}, {' x '.join(map(str, layer.size))}" for layer in explanation.layers)
    views = "1 clip" if explanation.num_views == 1 else f"{explanation.num_views} clips"
    lines = [f"{Path(name_of(explanation.path)).name}, {views}; evidence from {layers} points (t x h x w)"]
    if not explanation.evidence.any():
        lines.append("Nothing in these frames speaks for this class.")
    elif explanation.steady:
        lines.append("The network keeps one step in time here: the map is the same in all frames of a clip.")
    return "\n".join(lines)


def _add_colorbar(figure: "Figure", axes: list[Any]) -> None:
    """The colors as they look over gray."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap

    shades = blend(np.full((256, 3), 128, dtype=np.uint8), np.linspace(0, 1, 256, dtype=np.float32))
    bar = figure.colorbar(ScalarMappable(cmap=ListedColormap(shades / 255)), ax=axes, fraction=0.04, pad=0.01)
    bar.set_label("evidence, 1 = largest in the video", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _add_curve(axes: Any, explanation: Explanation, places: list[int]) -> None:
    """Mean evidence of each frame against time, the shown frames marked."""
    seconds, values = explanation.seconds, explanation.per_frame
    axes.plot(seconds, values, color="#b40426", linewidth=1.2, marker="." if len(seconds) < 40 else None, markersize=4)
    axes.plot(seconds[places], values[places], "v", color="#333333", markersize=5)
    axes.set_ylim(0, max(float(values.max()) * 1.25, 1e-6))
    axes.set_xlabel("seconds", fontsize=8)
    axes.set_ylabel("mean", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _save_figure(figure: "Figure", path: Path) -> None:
    try:
        with atomic_file(path) as file, legible(figure):
            figure.savefig(file, format="png")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); give a folder that you may write to, with room.") from error


def _labelled(image: np.ndarray, explanation: Explanation, place: int) -> np.ndarray:
    """The image with class, probability and time on a dark band at its top, and a color bar at its lower edge."""
    from PIL import Image, ImageDraw

    height, width = image.shape[:2]
    size = max(13, height // 22)
    band = size + size // 2
    shown = image.copy()
    shown[:band] = (shown[:band] * 0.3).astype(np.uint8)
    bar = max(6, height // 40)
    shown[-bar:] = blend(np.full((width, 3), 128, dtype=np.uint8), np.linspace(0, 1, width, dtype=np.float32))
    picture = Image.fromarray(shown)
    draw = ImageDraw.Draw(picture)
    time = f"{explanation.seconds[place]:.2f} s"
    name = shortened(explanation.name, width - text_width(time, size) - 3 * size, size=size, end=f" {100 * explanation.probability:.1f} %")
    draw_text(draw, (width - size // 2, band // 2), time, size=size, fill=(255, 255, 255), anchor="rm")
    draw_text(draw, (size // 2, band // 2), name, size=size, fill=(255, 255, 255))
    return np.asarray(picture)


@cache
def _colors() -> np.ndarray:
    """[256, 3] float32, 0 to 255."""
    import matplotlib

    return (matplotlib.colormaps[COLORS](np.linspace(0, 1, 256))[:, :3] * 255).astype(np.float32)


def _resize(evidence: np.ndarray, height: int, width: int) -> np.ndarray:
    """[S, S] float32 -> [height, width], bilinear."""
    from vidrec.data.opencv import import_cv2

    cv2 = import_cv2()
    return np.clip(cv2.resize(evidence, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
