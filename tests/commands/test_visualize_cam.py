"""visualize_cam: what it writes and says for good and bad videos, classes and layers."""

import os
import re
import shutil

import av
import pytest
from PIL import Image
from tool_runs import make_run, write_config

from vidrec.commands import visualize_cam


@pytest.fixture(scope="module")
def run(demo_data, tmp_path_factory):
    place = tmp_path_factory.mktemp("cam")
    return make_run(write_config(place / "tiny.yaml", demo_data, place / "runs"))


def test_every_readable_video_gets_a_strip_and_an_mp4_and_the_others_are_listed(run, demo_data, tmp_path, capsys):
    good, bad = demo_data / "val" / "00001_right.mp4", tmp_path / "00001_right.mp4"
    bad.write_text("<html>404</html>")
    out, listed = tmp_path / "out", tmp_path / "list.txt"
    listed.write_text(f"{bad}\n{good}\n")
    arguments = ["--run", str(run), str(good), "--class", "up", "--frames", "3", "--out", str(out), str(listed)]
    assert visualize_cam.main([*arguments, "--views", "2", "CONFIG.DATA.FRAME_RATE", "1"]) == 3
    lines = capsys.readouterr().out.splitlines()
    drawn = rf"{good}: up [\d.]+ %, (most evidence at [\d.]+ s|no evidence) -> {out}/00001_right_cam"
    assert re.fullmatch(rf"{drawn}\.png, 00001_right_cam\.mp4", lines[0])
    assert lines[1].startswith(f"{bad}: CANNOT BE READ: {bad} cannot be read: ")
    assert re.fullmatch(rf"{drawn}_3\.png, 00001_right_cam_3\.mp4", lines[2])
    assert lines[3:] == ["1 of 3 videos could not be read:", f"  {bad}"]
    names = ["00001_right_cam.mp4", "00001_right_cam.png", "00001_right_cam_3.mp4", "00001_right_cam_3.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    with av.open(str(out / names[0])) as container:
        assert container.streams.video[0].frames == 12  # all frames of the video: 2 clips of 4 frames leave holes, which are filled
    assert Image.open(out / names[1]).format == "PNG"


def test_a_video_of_the_longest_name_that_is_no_text_is_drawn(run, demo_data, tmp_path):
    name = b"caf\xe9" + b"x" * 247
    shutil.copy(demo_data / "val" / "00001_right.mp4", os.fsencode(tmp_path) + b"/" + name + b".mp4")
    assert (
        visualize_cam.main(["--run", str(run), os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b".mp4"), "--out", str(tmp_path / "out")])
        == 0
    )
    written = sorted(os.listdir(os.fsencode(tmp_path / "out")))
    assert written == [name[:200] + b"_cam.mp4", name[:200] + b"_cam.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--class", "rihgt"],
            "The class is 'rihgt'; it must be a name .* or a number from 0 to 7. Did you mean 'right'",
        ),
        (["--layer", "backbone.stage.1"], "The layer is 'backbone.stage.1'; .* Did you mean 'backbone.stages.1'"),
        (["--layer", "head.fc"], r"The layer head.fc gives \[1, 8\]; it must give maps .* Take backbone, or a layer before it"),
        (["--views", "0"], "--views is 0; it must be at least 1"),
        (["--frames", "0"], "--frames is 0; it must be at least 1"),
        (["--out", "/proc/nowhere"], r"The folder /proc/nowhere cannot be made \(.*\); give --out a place"),
        (["--device", "cuda:9"], "The device is 'cuda:9'"),
        (["CONFIG.DATA.FRAME_RAET", "1"], "FRAME_RAET"),
        (["rtsp://127.0.0.1:9/live"], "is a stream or a camera; visualize_cam takes files"),
    ],
)
def test_mistake_is_said_in_one_message_and_nothing_is_written(run, demo_data, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    video = str(demo_data / "val" / "00001_right.mp4")
    with pytest.raises(SystemExit) as stop:
        visualize_cam.main(["--run", str(run), video, *arguments])
    assert stop.value.code == 1
    assert re.search(words, capsys.readouterr().err)
    assert not list(tmp_path.rglob("*.*"))
