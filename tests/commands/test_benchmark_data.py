"""The benchmark of the data path: its figures are measured, so only their form and what must hold anywhere is tested."""

import json

import numpy as np
import pytest

from vidrec.commands.benchmark_data import HEIGHT, WIDTH, Ratio, generate_videos, main, table
from vidrec.data.decoders.base import open_video


@pytest.fixture(scope="module")
def short_video(tmp_path_factory):
    return generate_videos(tmp_path_factory.mktemp("videos"), count=1, num_frames=24)[0]


def test_generated_video_has_the_stated_size_and_moves(short_video):
    with open_video(short_video) as reader:
        frames = reader.get_frames(np.array([0, 23])).numpy()
        assert len(reader) == 24 and reader.fps == 30
    assert frames.shape == (2, HEIGHT, WIDTH, 3)
    assert np.abs(frames[0].astype(int) - frames[1]).mean() > 10


def test_table_and_json_hold_the_three_ratios(short_video, tmp_path, capsys):
    assert main(["--videos", str(short_video), "--repeats", "1", "--json", str(tmp_path / "figures.json")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| t")]
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(lines) == len(figures["ratios"]) == 3
    assert [(ratio["work"], ratio["over"]) for ratio in figures["ratios"]] == [
        ("training sample", "decode of its frames"),
        ("test video, 30 views", "one decode of its frames"),
        ("test video, 30 views", "decode once per view"),
    ]
    sample, once, per_view = (ratio["ratio"] for ratio in figures["ratios"])
    assert sample > 1 and once > 1  # the decode is part of both
    assert per_view < 1  # decoding once must pay
    assert figures["videos"] == 1 and figures["repeats"] == 1
    assert figures["protocol"]["num_views"] == 30 and figures["protocol"]["decoder"].startswith("auto (")


def test_table_is_markdown():
    text = table([Ratio("training sample", "decode", 12.34, 6.17, 2.004)], "1 videos x 1 runs")
    assert text.splitlines() == [
        "CPU time, one thread, medians: 1 videos x 1 runs",
        "",
        "| work | over | ms | ms | ratio |",
        "|---|---|---|---|---|",
        "| training sample | decode | 12.3 | 6.2 | 2.00 |",
    ]


def test_video_that_cannot_be_read_is_named(tmp_path, capsys):
    (tmp_path / "page.mp4").write_text("<html>not found</html>")
    with pytest.raises(SystemExit) as caught:
        main(["--videos", str(tmp_path / "page.mp4"), "--repeats", "1"])
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert "page.mp4" in message and "Leave it out of --videos." in message


def test_repeats_must_be_positive(capsys):
    with pytest.raises(SystemExit):
        main(["--repeats", "0"])
    assert "--repeats is 0; it must be at least 1." in capsys.readouterr().err
