"""Smaller copies by the ffmpeg program: sizes, names, resumption, and that no source is touched."""

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from test_prepare import failure, listed, report_of, write_video

from vidrec.commands.prepare import folder
from vidrec.commands.prepare._reencode import Encoding, reencode, target_names

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed (apt-get install ffmpeg)")


def size_of(path: Path) -> tuple[int, int, int, bool]:
    """Width, height, frames, and whether there are B-frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return frames[0].width, frames[0].height, len(frames), any(frame.pict_type == av.video.frame.PictureType.B for frame in frames)


@needs_ffmpeg
def test_sizes_names_and_sources(tmp_path):
    root = tmp_path / "v"
    sizes = {
        "wide.avi": (128, 96),
        "-tall.mp4": (90, 160),
        "odd.webm": (65, 49),
        "s p a'c:e.mp4": (160, 64),
        "tiny.avi": (32, 16),
        "%03d.mp4": (96, 96),
    }
    for name, (width, height) in sizes.items():
        if name == "odd.webm" or width % 2 == 0:
            write_video(root / "run" / name, width=width, height=height, num_frames=20)
    before = {path: path.read_bytes() for path in root.rglob("*.*")}
    out = tmp_path / "out"
    arguments = ["--videos", str(root), "--out", str(out), "--short-side", "48", "--val-share", "0", "--workers", "2"]
    assert folder.main(arguments) == 0
    assert report_of(out)["broken"] == []
    found = {path: size_of(out / "videos" / path) for path, _ in listed(out, "train")}
    assert found == {
        "run/%03d.mp4": (48, 48, 20, False),
        "run/-tall.mp4": (48, 86, 20, False),
        "run/odd.mp4": (64, 48, 20, False),
        "run/s p a'c:e.mp4": (120, 48, 20, False),
        "run/tiny.mp4": (32, 16, 20, False),  # never made larger
        "run/wide.mp4": (64, 48, 20, False),
    }
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == before
    assert report_of(out)["videos"] == str(out / "videos")


@needs_ffmpeg
def test_an_interrupted_call_goes_on_and_changed_sources_are_done_again(tmp_path):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        write_video(tmp_path / "v" / name)
    target, encoding = tmp_path / "new", Encoding(32)

    def call() -> dict[str, int]:
        results = reencode(tmp_path / "v", ["a.mp4", "b.mp4", "c.mp4"], target, encoding=encoding, workers=1)
        assert [result.problem for result in results.values()] == ["", "", ""]
        return {path.name: path.stat().st_mtime_ns for path in target.glob("*.mp4")}

    first = call()
    assert set(first) == {"a.mp4", "b.mp4", "c.mp4"}
    (target / "b.mp4").unlink()
    (target / ".b.mp4.part").write_bytes(b"half")  # what a killed call leaves
    later = first["c.mp4"] / 1e9 + 5
    os.utime(tmp_path / "v" / "c.mp4", (later, later))
    second = call()
    assert second["a.mp4"] == first["a.mp4"]
    assert second["b.mp4"] != first["b.mp4"] and second["c.mp4"] != first["c.mp4"]
    assert not (target / ".b.mp4.part").exists()


@needs_ffmpeg
def test_files_that_ffmpeg_cannot_read_are_reported_and_left_out(tmp_path):
    write_video(tmp_path / "v" / "run" / "a.mp4")
    (tmp_path / "v" / "run" / "b.mp4").write_text("<html>")
    arguments = [
        "--videos",
        str(tmp_path / "v"),
        "--out",
        str(tmp_path / "out"),
        "--short-side",
        "32",
        "--val-share",
        "0",
        "--check",
        "none",
    ]
    assert folder.main(arguments) == 0
    assert listed(tmp_path / "out", "train") == [("run/a.mp4", 0)]
    (broken,) = report_of(tmp_path / "out")["broken"]
    assert broken["path"] == "run/b.mp4"
    assert broken["reason"].startswith("ffmpeg ended with ") and "Invalid data found when processing input" in broken["reason"]


@needs_ffmpeg
def test_file_that_takes_too_long_is_given_up(tmp_path):
    write_video(tmp_path / "v" / "a.mp4", width=640, height=480, num_frames=20)
    results = reencode(tmp_path / "v", ["a.mp4"], tmp_path / "new", encoding=Encoding(256), workers=1, timeout_s=0.01)
    assert results["a.mp4"].problem == "ffmpeg did not finish it in 0.01 s"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["reencode.json"]


@needs_ffmpeg
def test_folders_that_must_not_be_written_to(tmp_path, capsys):
    write_video(tmp_path / "v" / "run" / "a.mp4")
    arguments = ["--videos", str(tmp_path / "v"), "--short-side", "32", "--val-share", "0", "--out"]
    message = f"{tmp_path}/v/videos, the folder for encoded videos, lies in the folder of sources {tmp_path}/v; they must be apart"
    assert message in failure(folder.main, [*arguments, str(tmp_path / "v")], capsys)
    assert folder.main([*arguments, str(tmp_path / "out")]) == 0
    changed = [*arguments, str(tmp_path / "out"), "--crf", "30"]
    assert "/out/videos holds videos of another encoding ({" in failure(folder.main, changed, capsys)
    assert json.loads((tmp_path / "out" / "videos" / "reencode.json").read_text()) == {"short_side": 32, "crf": 23, "preset": "veryfast"}


def test_numbers_without_a_meaning_and_missing_ffmpeg(tmp_path, monkeypatch, capsys):
    write_video(tmp_path / "v" / "run" / "a.mp4")
    arguments = ["--videos", str(tmp_path / "v"), "--out", str(tmp_path / "out"), "--short-side"]
    assert "--short-side is 1; it must be at least 2 pixels. Usual is 256 or 320." in failure(folder.main, [*arguments, "1"], capsys)
    assert "--crf is 60; it must lie in [0, 51]." in failure(folder.main, [*arguments, "256", "--crf", "60"], capsys)
    monkeypatch.setenv("PATH", str(tmp_path))
    message = failure(folder.main, [*arguments, "256"], capsys)
    assert (
        "The program ffmpeg is not found, which --short-side needs; it must be on the PATH. Install it with apt-get install ffmpeg"
        in message
    )


def test_two_files_never_become_one():
    assert target_names(["a.avi", "d/b.avi", "d/b.mkv", "d.b/c"]) == {
        "a.avi": "a.mp4",
        "d/b.avi": "d/b.avi.mp4",
        "d/b.mkv": "d/b.mkv.mp4",
        "d.b/c": "d.b/c.mp4",
    }


def uneven_video(path: Path, times: list[int]) -> None:
    """A video of 25 ticks a second whose frames are shown from the given ticks on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 30 * number, dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def times_of(path: Path) -> list[tuple[float, int]]:
    """Of each frame the seconds at which it is shown, and its gray to the next 10."""
    with av.open(str(path)) as container:
        return [(round(frame.time, 2), round(frame.to_ndarray(format="gray").mean(), -1)) for frame in container.decode(video=0)]


@needs_ffmpeg
def test_copy_of_a_variable_frame_rate_has_each_frame_once_at_its_time(tmp_path):
    uneven_video(tmp_path / "v" / "a.mp4", [0, 1, 5, 6, 20])
    results = reencode(tmp_path / "v", ["a.mp4"], tmp_path / "new", encoding=Encoding(32), workers=1)
    assert results["a.mp4"].problem == ""
    copy = times_of(tmp_path / "new" / "a.mp4")
    assert [time for time, _ in copy] == [0.0, 0.04, 0.2, 0.24, 0.8]
    assert copy == times_of(tmp_path / "v" / "a.mp4")


@needs_ffmpeg
def test_file_that_is_cut_short_is_broken_and_gets_no_copy(tmp_path, capsys):
    root = tmp_path / "v" / "run"
    write_video(root / "a.mp4", num_frames=20)
    with av.open(str(root / "a.mp4")) as source, av.open(str(root / "b.mp4"), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    os.truncate(root / "b.mp4", (root / "b.mp4").stat().st_size - 100)
    arguments = ["--videos", str(tmp_path / "v"), "--out", str(tmp_path / "out"), "--val-share", "0", "--short-side", "32"]
    assert folder.main(arguments) == 0
    assert report_of(tmp_path / "out")["broken"] == [{"path": "run/b.mp4", "reason": "the file ends 100 bytes before its last packet"}]
    assert listed(tmp_path / "out", "train") == [("run/a.mp4", 0)]
    assert not (tmp_path / "out" / "videos" / "run" / "b.mp4").exists()
