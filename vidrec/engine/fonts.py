"""Fonts for names in any script, in pictures of Pillow and matplotlib: DejaVu Sans, else what this machine has with the glyphs."""

import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.utils.say import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL = "DejaVu Sans"  # which comes with matplotlib
_WITHOUT_GLYPH = ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")  # categories of Unicode: control characters, halves of characters, blanks
_REMEDY = "fonts-noto-cjk has Chinese, Japanese and Korean, fonts-noto-core most other scripts, fonts-symbola emoji"
_NO_LETTERS = ("Last Resort", "Adobe Blank", "cm")  # families that say to have letters and draw boxes, nothing, or others (TeX)


class Face(NamedTuple):
    """A font of this machine: its family, file, and place in the file."""

    family: str
    file: str
    index: int


def text_width(text: str, size: float) -> float:
    """Pixels of what `draw_text` draws."""
    return sum(_pillow_font(face, size).getlength(part) for face, part in _runs(text))


def shortened(text: str, room: float, *, size: float, end: str = "") -> str:
    """The text and an end that is never cut, dots for letters that are too many for so many pixels."""
    short, dots = " ".join(text.split()), ""
    while short and text_width(short + dots + end, size) > room:
        short, dots = short[:-1], "..."
    return short + dots + end


def draw_text(draw: Any, place: tuple[float, float], text: str, *, size: float, fill: Any, anchor: str = "lm") -> None:
    """Draws one line on an ImageDraw of Pillow, each part of it in a font that has its letters.

    Args:
        place: x, and y in the middle of the line.
        size: of the letters, pixels.
        anchor: `lm`: x is the left end, `rm`: the right one.
    """
    x, y = place
    ascent, descent = _pillow_font(_faces()[0], size).getmetrics()
    x -= text_width(text, size) if anchor == "rm" else 0
    for face, part in _runs(text):
        font = _pillow_font(face, size)
        draw.text((x, y + (ascent - descent) / 2), part, font=font, fill=fill, anchor="ls")
        x += font.getlength(part)


@contextmanager
def legible(figure: "Figure") -> Iterator[None]:
    """Gives the texts of a matplotlib figure fonts that have their letters; the figure is drawn or saved in the block.

    Halves of characters, with which matplotlib fails, come as `\\udce9`.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_text(_whole(text.get_text()))
        if families := [face.family for face in faces_of(text.get_text()) if face.family != USUAL]:
            text.set_fontfamily([USUAL, *families])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # `faces_of` has said it
        yield


@lru_cache(maxsize=4096)
def faces_of(text: str) -> tuple[Face, ...]:
    """The fonts that a text needs: one that has all of it, else as few as can be, the usual one first.

    Letters that no font of this machine has are reported once, with what to install.
    """
    wanted = {ord(letter) for letter in text if _has_glyph(letter)}
    faces = _faces()
    whole = next((face for face in faces if wanted <= _letters(face)), None)
    if whole is not None:
        return (whole,)
    chosen, missing = [faces[0]], wanted - _letters(faces[0])
    while missing:
        best = max(faces, key=lambda face: len(missing & _letters(face)))  # the first of equal ones
        if not missing & _letters(best):
            _report("".join(map(chr, sorted(missing))), text)
            break
        chosen.append(best)
        missing -= _letters(best)
    return tuple(chosen)


def _has_glyph(letter: str) -> bool:
    return unicodedata.category(letter) not in _WITHOUT_GLYPH and not 0xFE00 <= ord(letter) <= 0xFE0F  # variation selectors


@lru_cache(maxsize=4096)
def _runs(text: str) -> tuple[tuple[Face, str], ...]:
    """The text in parts of one font each; what has no glyph of its own goes with what is before it."""
    one_line = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    drawable = _whole(one_line)
    faces = faces_of(drawable)
    fonts, last = [], faces[0]
    for letter in drawable:
        if _has_glyph(letter) and not (unicodedata.combining(letter) and ord(letter) in _letters(last)):
            last = next((face for face in faces if ord(letter) in _letters(face)), faces[0])
        fonts.append(last)
    pairs = groupby(zip(fonts, drawable, strict=True), key=lambda pair: pair[0])
    return tuple((face, "".join(letter for _, letter in part)) for face, part in pairs)


def _whole(text: str) -> str:
    """A text without halves of characters, which are what Python has for a file name that is no text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@lru_cache(maxsize=64)
def _pillow_font(face: Face, size: float) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(face.file, size, index=face.index)


@cache
def _faces() -> tuple[Face, ...]:
    """The upright fonts of this machine, one of each family: the usual one, then those without serifs, of Noto, and the rest."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    for file in sorted(set(font_manager.findSystemFonts()) - known):  # matplotlib keeps a list, of before a font was installed
        try:
            manager.addfont(file)
        except (OSError, RuntimeError):  # a file that is no font, or one of bitmaps alone
            continue
    upright = [entry for entry in manager.ttflist if entry.style == "normal" and not entry.name.startswith(_NO_LETTERS)]
    upright.sort(key=lambda entry: (abs(_weight(entry.weight) - 400), entry.stretch != "normal", entry.fname))
    first: dict[str, Any] = {}
    for entry in upright:
        first.setdefault(entry.name, entry)
    ranked = sorted(first, key=lambda name: (name != USUAL, "Sans" not in name, "Noto" not in name, not name.endswith("CJK SC"), name))
    return tuple(Face(name, first[name].fname, getattr(first[name], "index", 0)) for name in ranked)


def _weight(weight: Any) -> int:
    return weight if isinstance(weight, int) else 400


@cache
def _letters(face: Face) -> frozenset[int]:
    """The characters that a font draws as outlines; none of a file that cannot be read, or has colored bitmaps."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(face.file, fontNumber=face.index, lazy=True) as font:
            outlines = {"glyf", "CFF ", "CFF2"} & set(font.keys())
            return frozenset(font.getBestCmap() or ()) if outlines else frozenset()
    except (OSError, TTLibError):
        return frozenset()


@cache
def _report_once() -> None:
    """Is called by whoever says that letters are missing, the first of them alone."""


def _report(letters: str, text: str) -> None:
    if _report_once.cache_info().currsize:
        return
    _report_once()
    say(
        f"No font of this machine has {letters[:20]!r}, of {text!r:.80}; pictures show boxes in their place. Install a font that has them,"
        f" such as one of these packages of Debian and Ubuntu: {_REMEDY}."
    )
