"""The benchmark of the data path: its figures are measured, so only their form and what must hold anywhere is tested."""

import json

import numpy as np
import pytest
import torch

from vidrec.commands import benchmark_data, benchmark_views
from vidrec.commands.benchmark_data import Figures, check_pixels, main, report
from vidrec.commands.benchmark_lines import Ratio, decord_line, make_ratio
from vidrec.commands.benchmark_loader import clips_per_second, keys_of, move, time_moving, worker_counts
from vidrec.commands.pan_videos import HEIGHT, WIDTH, generate_videos
from vidrec.data.annotations import VideoTable
from vidrec.data.datasets import ClipDataset, collate_clips
from vidrec.data.decoders import open_video
from vidrec.data.multiview import MultiViewDataset
from vidrec.utils.errors import UserError

ONCE, PER_VIEW = "one decode of their frames", "decode once per view"
LINES = [
    ("training sample", "decode of its frames", 1.15),
    ("training sample, by decord", "decode of its frames, by decord", 1.25),
    ("30 views, uint8", ONCE, 1.15),
    ("30 views, uint8", PER_VIEW, 0.05),
    (ONCE, PER_VIEW, None),
    ("normalization of 30 views", ONCE, None),
    ("250 ten-crop views, uint8", ONCE, 1.3),
    ("normalization of 250 ten-crop views", ONCE, None),
    ("decode of 1280x720, resized to short side 256", "decode of 1280x720", None),
    ("moving 4 clips to another process", "preparing and moving them", None),
]


@pytest.fixture(scope="module")
def short_video(tmp_path_factory):
    return generate_videos(tmp_path_factory.mktemp("videos"), count=1, num_frames=24)[0]


def clips_of(path, num_videos=2):
    return ClipDataset(VideoTable.from_paths([str(path)] * num_videos), clip_len=2, frame_stride=2)


def test_generated_video_has_the_stated_size_and_moves(short_video):
    with open_video(short_video) as reader:
        frames = reader.get_frames(np.array([0, 23])).numpy()
        assert len(reader) == 24 and reader.fps == 30
    assert frames.shape == (2, HEIGHT, WIDTH, 3)
    assert np.abs(frames[0].astype(int) - frames[1]).mean() > 10


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_table_and_json_hold_every_line_with_its_bar(short_video, tmp_path, monkeypatch, capsys):
    pytest.importorskip("decord", exc_type=ImportError)
    monkeypatch.setitem(benchmark_data.LARGE, "num_frames", 4)
    (tmp_path / "small.yaml").write_text("CONFIG: {DATA: {CLIP_LEN: 2, FRAME_RATE: 2}, MODEL: {NAME: i3d_resnet50_v1_kinetics400}}\n")
    arguments = ["--videos", str(short_video), "--repeats", "1", "--workers", "0", "--json", str(tmp_path / "figures.json")]
    assert main([*arguments, "--config-file", str(tmp_path / "small.yaml")]) == 0
    text, figures = capsys.readouterr().out, json.loads((tmp_path / "figures.json").read_text())
    assert [(line["work"], line["over"], line["bar"]) for line in figures["ratios"]] == LINES
    for line in figures["ratios"]:
        assert f"| {line['work']} | {line['over']} | {line['work_ms']:.1f} | {line['over_ms']:.1f} | {line['ratio']:.3f} |" in text
        assert line["ratio"] > 0 and line["met"] == (None if line["bar"] is None else line["ratio"] <= line["bar"])
    assert figures["ratios"][3]["ratio"] < 1  # decoding once must pay
    assert 0 < figures["ratios"][-1]["ratio"] < 1  # moving is a share
    name = short_video.name
    assert figures["equal"] is True and figures["differing"] == {f"30 views of {name}": [], f"250 views of {name}": []}
    assert f"Pixels equal to those decoded view by view: yes (30 views of {name}, 250 views of {name})." in text
    assert figures["clips_per_second"]["0"] > 0 and f"| 0 | {figures['clips_per_second']['0']:.1f} |" in text
    assert (figures["videos"], figures["repeats"]) == (1, 1)
    assert figures["protocol"]["num_views"] == 30 and figures["protocol"]["decoder"].startswith("auto (")


def test_medians_are_of_the_ratios_of_single_runs_and_are_held_to_the_bar():
    line = make_ratio("a", "b", [(1.0, 1.0), (3.0, 2.0), (8.0, 4.0)], 1.5)
    assert line == Ratio("a", "b", 3000.0, 2000.0, 1.5, 1.5, "")
    assert line.met is True
    assert line._replace(bar=1.4).met is False and line._replace(bar=None).met is None


def test_table_is_markdown_and_says_what_is_missed_and_why():
    ratios = [Ratio("sample", "decode", 12.34, 6.17, 2.0004, 1.15, "it is slow"), Ratio("normalization", "decode", 1.0, 2.0, 0.5)]
    text = report(Figures(ratios, {"30 views of a.mp4": [4, 5]}, {0: 3.21, 2: 6.0}, ["no line for decord: gone"], {}), "1 videos x 1 runs")
    assert text.splitlines() == [
        "CPU time, one thread, medians: 1 videos x 1 runs",
        "",
        "| work | over | ms | ms | ratio | at most | met |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| sample | decode | 12.3 | 6.2 | 2.000 | 1.15 | NO |",
        "| normalization | decode | 1.0 | 2.0 | 0.500 |  |  |",
        "",
        "Pixels equal to those decoded view by view: NO (30 views of a.mp4).",
        "Missed, sample over decode: it is slow.",
        "no line for decord: gone",
        "",
        "Training clips a second of wall time, batches of 4:",
        "",
        "| loader processes | clips/s |",
        "| ---: | ---: |",
        "| 0 | 3.2 |",
        "| 2 | 6.0 |",
    ]


def test_views_with_other_pixels_are_named(short_video, monkeypatch):
    dataset = MultiViewDataset(
        VideoTable.from_paths([str(short_video)]), clip_len=4, frame_stride=2, num_clips=2, num_crops=10, crop_size=224, crops="corners"
    )
    assert benchmark_views.differing_views(dataset, 0, short_video) == []
    video = dataset[0]
    video.frames[0, 10, 1, 2] ^= 1  # one bit near the top left corner of the first frame, which is of the first clip
    monkeypatch.setattr(MultiViewDataset, "__getitem__", lambda self, index: video)
    assert benchmark_views.differing_views(dataset, 0, short_video) == [0, 5]  # the crop of that corner, and the same mirrored


def test_different_pixels_end_the_command_with_an_error():
    check_pixels({"30 views of a.mp4": []})
    with pytest.raises(UserError, match=r"differ from those decoded view by view: \{'30 views of b.mp4': \[7\]\}; none may. Report it"):
        check_pixels({"30 views of a.mp4": [], "30 views of b.mp4": [7]})


@pytest.mark.parametrize(("cores", "counts"), [(1, [0, 1]), (2, [0, 1, 2]), (4, [0, 1, 2, 4]), (12, [0, 1, 2, 4, 8, 12])])
def test_loader_processes_double_up_to_the_cores(cores, counts):
    assert worker_counts(cores) == counts


def test_batches_go_round_the_list_at_positions_of_their_own():
    keys = keys_of(1, 3)
    assert [(key.epoch, key.position, key.index) for key in keys] == [(0, 4, 1), (0, 5, 2), (0, 6, 0), (0, 7, 1)]


def test_a_moved_batch_is_the_same_in_shared_memory(short_video):
    dataset = clips_of(short_video)
    batches = [collate_clips(dataset.__getitems__(keys_of(0, 2)))]
    clips, labels = batches[0].clips.clone(), batches[0].labels.clone()
    moved = move(batches)
    assert batches == [] and moved.clips.is_shared()
    assert tuple(moved.clips.shape) == (4, 2, 224, 224, 3)
    assert torch.equal(moved.clips, clips) and torch.equal(moved.labels, labels)
    seconds, whole = time_moving(dataset, 1)
    assert 0 < seconds < whole


def test_a_loader_process_gives_clips(short_video):
    assert clips_per_second(clips_of(short_video), 1) > 0


def test_a_line_that_decord_cannot_give_is_left_out_with_the_reason(tmp_path):
    (tmp_path / "page.mp4").write_text("<html>not found</html>")
    left_out = decord_line(clips_of(tmp_path / "page.mp4"), [tmp_path / "page.mp4"], 1)
    assert left_out.startswith("no line for decord: 10 videos in a row cannot be read") and "page.mp4" in left_out


def test_video_that_cannot_be_read_is_named(tmp_path, capsys):
    (tmp_path / "page.mp4").write_text("<html>not found</html>")
    with pytest.raises(SystemExit) as caught:
        main(["--videos", str(tmp_path / "page.mp4"), "--repeats", "1"])
    assert caught.value.code == 1
    message = capsys.readouterr().err
    assert "page.mp4" in message and "Leave it out of --videos." in message


@pytest.mark.parametrize("arguments", [["--repeats", "0"], ["--workers", "-1"]])
def test_repeats_and_workers_must_make_sense(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "give at least 1 run, and no negative number of processes." in capsys.readouterr().err
