"""Names in any script: a font is made here that has a few letters, as one that is installed on a machine would."""

import logging
import warnings

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from vidrec.engine import fonts

DANCE, OPERA = "\u821e", "\u620f"  # two Chinese letters; DejaVu Sans has neither


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is remembered, and no font of this machine is found but those that come with matplotlib."""
    manager = font_manager.fontManager
    own = [entry for entry in manager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(manager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    forget()
    yield
    forget()


def forget():
    for remembered in (fonts.faces_of, fonts._runs, fonts._faces, fonts._letters, fonts._report_once, fonts._pillow_font):
        remembered.cache_clear()


def install(monkeypatch, folder, family, letters):
    """A font whose letters are full squares of half of their size."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 500), (500, 500), (500, 0)):
        pen.lineTo(point)
    pen.closePath()
    names = [".notdef", *(f"letter{number}" for number in range(len(letters)))]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    file = folder / f"{family.replace(' ', '')}.ttf"
    font.save(file)
    found = font_manager.findSystemFonts()
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [*found, str(file)])
    forget()


def families(text):
    return [face.family for face in fonts.faces_of(text)]


def drawn(text, size=20):
    picture = Image.new("L", (200, 40))
    fonts.draw_text(ImageDraw.Draw(picture), (0, 20), text, size=size, fill=255)
    return np.asarray(picture)


def test_latin_greek_and_cyrillic_letters_have_the_usual_font():
    assert families("\u041f\u0440\u0438\u0432\u0435\u0442 caf\u00e9") == ["DejaVu Sans"]


def test_a_font_that_has_all_of_a_text_is_taken_for_all_of_it(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "Noto Sans Half", DANCE)
    install(monkeypatch, tmp_path, "Whole", f"{DANCE}{OPERA}ab")
    assert families(f"{DANCE}{OPERA} ab\ufe0f") == ["Whole"]


def test_a_text_that_no_font_has_alone_is_drawn_in_parts(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "One", DANCE)
    install(monkeypatch, tmp_path, "Other", OPERA)
    assert families(f"I{DANCE}{OPERA}") == ["DejaVu Sans", "One", "Other"]
    latin = fonts.text_width("I", 20)
    assert fonts.text_width(f"I{DANCE}{OPERA}", 20) == pytest.approx(latin + 20)
    squares = drawn(f"I{DANCE}{OPERA}")[:, round(latin) + 1 :] > 128
    rows, columns = np.nonzero(squares)
    assert np.ptp(columns) + 1 == pytest.approx(20, abs=1) and np.ptp(rows) + 1 == pytest.approx(10, abs=1)
    assert squares[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()].all()  # no box, which would be hollow


def test_letters_that_no_font_has_are_reported_once_with_what_to_install(caplog):
    with caplog.at_level(logging.INFO, logger="vidrec"):
        assert families(f"{DANCE}a") == ["DejaVu Sans"]
        assert families(OPERA) == ["DejaVu Sans"]
    (message,) = caplog.messages
    assert message == (
        f"No font of this machine has '{DANCE}', of '{DANCE}a'; pictures show boxes in their place. Install a font that has them, such as"
        " one of these packages of Debian and Ubuntu: fonts-noto-cjk has Chinese, Japanese and Korean, fonts-noto-core most other scripts,"
        " fonts-symbola emoji."
    )


def test_a_file_that_is_no_font_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf")])
    assert families("abc") == ["DejaVu Sans"]


def test_a_name_of_several_lines_and_halves_of_characters_is_one_line():
    assert fonts.text_width("a\nb\udce9", 20) == fonts.text_width("a b\\udce9", 20)
    assert np.array_equal(drawn("a\nb"), drawn("a b"))


@pytest.mark.parametrize(("room", "expected"), [(1000, "long jump 3 %"), (90, "lo... 3 %"), (5, "... 3 %")])
def test_a_text_that_is_too_wide_is_cut_and_keeps_its_end(room, expected):
    assert fonts.shortened("long\n jump", room, size=20, end=" 3 %") == expected


def test_a_matplotlib_figure_gets_the_font_of_every_text(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "Squares", DANCE)
    figure = Figure(dpi=50)
    axes = figure.subplots()
    axes.set_title(DANCE)
    axes.set_xlabel("caf\udce9 $x")
    axes.set_xticks([0, 1], [f"{DANCE}a", "b"])
    axes.plot([0, 1], label=OPERA)
    axes.legend()
    with warnings.catch_warnings(), fonts.legible(figure):
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(tmp_path / "out.png")
    assert axes.get_xlabel() == "caf\\udce9 $x"
    assert axes.title.get_fontfamily() == ["DejaVu Sans", "Squares"]
    labels = axes.get_xticklabels()
    assert labels[0].get_fontfamily() == ["DejaVu Sans", "Squares"] and labels[1].get_fontfamily() == ["sans-serif"]
