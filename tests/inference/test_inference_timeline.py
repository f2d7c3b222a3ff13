"""Timelines as numbers and as a picture."""

import warnings

import numpy as np
import pytest

from vidrec.inference.timeline import Moment, Timeline
from vidrec.inference.timeline_plot import draw_timeline, plot_timeline
from vidrec.utils.errors import UserError

ROWS = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.2, 0.1, 0.7], [0.8, 0.1, 0.1]]
TIMELINE = Timeline.of(
    "videos/a.mp4", [Moment(place, place + 2.0, np.array(row)) for place, row in enumerate(ROWS)], ["_rest", "$x", "jump \xe4"]
)


def test_stretches_meet_between_windows():
    assert TIMELINE.segments() == [("_rest", 0.0, 2.5), ("jump \xe4", 2.5, 4.5), ("_rest", 4.5, 6.0)]
    assert TIMELINE.top_labels(3) == [0, 2, 1]
    assert TIMELINE.at(0.0).tolist() == ROWS[0] and TIMELINE.at(3.2).tolist() == ROWS[2] and TIMELINE.at(99).tolist() == ROWS[4]
    assert repr(TIMELINE) == (
        "Timeline(videos/a.mp4: 5 windows over 0:00:06; _rest 0.0 to 2.5 s, jump \xe4 2.5 to 4.5 s, _rest 4.5 to 6.0 s)"
    )


def test_class_that_leads_for_long_goes_before_one_that_peaks_once():
    rows = [[0.0, 0.6, 0.4], [0.0, 0.6, 0.4], [0.9, 0.1, 0.0]]
    timeline = Timeline.of("a.mp4", [Moment(place, place + 1.0, np.array(row)) for place, row in enumerate(rows)], list("abc"))
    assert timeline.top_labels(3) == [1, 0, 2]


def test_picture_has_a_line_for_each_leading_class_and_a_band():
    lines, band = draw_timeline(TIMELINE, classes=2).axes
    assert [line.get_xdata().tolist() for line in lines.get_lines()] == [[1.0, 2.0, 3.0, 4.0, 5.0]] * 2
    assert lines.get_lines()[1].get_ydata().tolist() == [row[2] for row in ROWS]
    assert [text.get_text() for text in lines.get_legend().get_texts()] == [" _rest", "jump \xe4"]
    assert lines.get_title() == "a.mp4" and len(band.patches) == 3 and band.get_xlim() == (0.0, 6.0)


def test_names_that_matplotlib_would_misread_are_drawn(tmp_path):
    odd = Timeline("videos/caf\udce9 $a$.mp4", TIMELINE.starts, TIMELINE.stops, TIMELINE.probabilities, TIMELINE.class_names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_timeline(odd, tmp_path / "a.png", classes=3)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_picture_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        plot_timeline(TIMELINE, tmp_path / "none" / "a.png")
