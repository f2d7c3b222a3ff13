"""tools/inference.py: what it prints, writes and returns, as a user calls it."""

import csv
import io
import json
import mimetypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import torch
from browser import open_page
from local_server import LocalServer, QuietHandler
from tool_runs import ROOT, make_run, write_config

import vidrec
from vidrec.commands import inference
from vidrec.data.inputs import find_inputs
from vidrec.utils.errors import UserError


@pytest.fixture(scope="module")
def run(demo_data, tmp_path_factory):
    """The folder of a run with random weights."""
    place = tmp_path_factory.mktemp("inference")
    return make_run(write_config(place / "tiny.yaml", demo_data, place / "runs"))


@pytest.fixture
def videos(demo_data, tmp_path):
    """A folder with two videos, one below it that is broken, and a folder of frames."""
    import av

    folder = tmp_path / "videos"
    (folder / "deep" / "frames").mkdir(parents=True)
    listed = [line.split()[0] for line in (demo_data / "val.txt").read_text().splitlines()]
    shutil.copy(demo_data / listed[0], folder / "a.mp4")
    shutil.copy(demo_data / listed[1], folder / "b c.mp4")
    (folder / "deep" / "broken.mp4").write_text("<html>404</html>")
    (folder / "deep" / "notes.txt").write_text("no video")
    with av.open(str(folder / "a.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0), start=1):
            frame.to_image().save(folder / "deep" / "frames" / f"img_{number:05d}.jpg")
    return folder


def call(*words):
    return inference.main([str(word) for word in words])


def rows_of(out):
    with (out / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_folder_is_predicted_with_one_unreadable_video_listed_and_code_3(run, videos, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("--run", run, videos, "--out", out, "--top-k", 2, "--save-logits") == 3
    printed = capsys.readouterr().out
    assert f"1 of 4 videos could not be read:\n  {videos}/deep/broken.mp4" in printed
    rows, model = rows_of(out), vidrec.load(run)
    found = [os.path.relpath(row["path"], videos) for row in rows]
    assert found == ["a.mp4", "b c.mp4", "deep/broken.mp4", "deep/frames"]
    expected = model.predict(videos / "a.mp4", top_k=2)
    names = [expected.top[0].name, expected.top[1].name]
    assert [rows[0]["class_1"], rows[0]["class_2"]] == names and rows[0]["label"] == str(expected.top[0].label)
    assert float(rows[0]["probability_1"]) == pytest.approx(expected.top[0].probability, abs=1e-6)
    assert f"{videos}/a.mp4: {names[0]} {100 * expected.top[0].probability:.1f} %, {names[1]} " in printed
    assert "cannot be read" in rows[2]["failure"] and rows[2]["class_1"] == ""
    content = json.loads((out / "predictions.json").read_text())
    assert (content["views"], content["scores"], len(content["videos"])) == (9, "logits", 4)
    assert content["videos"][0]["top"][0]["name"] == names[0] and "failure" in content["videos"][2]
    saved = np.load(out / content["videos"][0]["logits"])
    assert str(saved["path"]) == f"{videos}/a.mp4" and np.array_equal(saved["view_logits"], expected.view_logits)
    assert saved["class_names"].tolist() == model.class_names and saved["view_boxes"].shape == (9, 4)


def test_lists_of_every_kind_and_standard_input(run, videos, tmp_path, capsys, monkeypatch):
    forms = {
        "labels.txt": "a.mp4 3\nb c.mp4 700\n",
        "frames.txt": "a.mp4 12 0\nb c.mp4 12 1\n",
        "table.csv": "path,label\na.mp4,0\nb c.mp4,1\n",
        "paths.txt": "# mine\na.mp4\nb c.mp4\n",
        "header.csv": "path\na.mp4\n'b c.mp4'\n",
        "one.json": json.dumps([{"path": "a.mp4", "label": 0}, {"path": "b c.mp4", "label": 1}]),
    }
    for name, text in forms.items():
        (videos / name).write_text(text)
        assert call("--run", run, videos / name, "--out", tmp_path / "out", "--views", "one") == 0
        assert [row["path"] for row in rows_of(tmp_path / "out")] == [f"{videos}/a.mp4", f"{videos}/b c.mp4"]
    monkeypatch.chdir(videos)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a.mp4\nb c.mp4\n")))
    assert call("--run", run, "-", "--out", tmp_path / "out", "CONFIG.DATA.TEST_NUM_CROP", 1) == 0
    assert [row["path"] for row in rows_of(tmp_path / "out")] == [f"{videos}/a.mp4", f"{videos}/b c.mp4"]
    assert "3 views (3 x 1)" in capsys.readouterr().out


class Files(LocalServer):
    def __init__(self, folder):
        self.folder, self.asked = folder, []
        super().__init__(FilesHandler)


class FilesHandler(QuietHandler):
    def do_GET(self):
        self.rules.asked.append(self.path)
        path = self.rules.folder / self.path.split("?")[0].lstrip("/")
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", mimetypes.guess_type(path)[0] or "application/octet-stream")
        self.end_headers()
        self.wfile.write(content)


def test_urls_are_fetched_and_missing_ones_listed(run, videos, tmp_path):
    with Files(videos) as server:
        words = [f"{server.url}/a.mp4?key=1", f"{server.url}/none.mp4", videos / "a.mp4", "gibberish://host/a.mp4", videos / "b c.mp4"]
        assert call("--run", run, *words, "--out", tmp_path / "out") == 3
        rows = rows_of(tmp_path / "out")
        assert [row["path"] for row in rows] == [str(word) for word in words]
        assert rows[0]["probability_1"] == rows[2]["probability_1"]
        assert "cannot be fetched: there is no such file" in rows[1]["failure"]
        assert "gibberish" in rows[3]["failure"] and "a URL of a protocol that fsspec knows is wanted" in rows[3]["failure"]
        assert rows[4]["failure"] == ""
        model = vidrec.load(run)
        assert model.predict(words[0]).top[0].name == rows[0]["class_1"] and len(model.timeline(words[0], stride=0.1)) == 3


def test_a_url_is_fetched_once_for_prediction_timeline_and_copy_and_does_not_stay(run, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with Files(videos) as server:
        words = [f"{server.url}/a.mp4", f"{server.url}/none.mp4", f"{server.url}/a.mp4?again"]
        assert call("--run", run, *words, "--timeline", "--annotate", "--out", tmp_path / "out") == 3
    assert server.asked == ["/a.mp4", "/none.mp4", "/a.mp4?again"]
    assert (tmp_path / "out/00000_a.mp4").is_file() and (tmp_path / "out/00002_a.timeline.png").is_file()
    assert list((tmp_path / "temporary").glob("vidrec-*")) == []


def error_of(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        call(*words)
    assert caught.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No input is given"),
        (["{}"], "No videos were found in {}; video files (.3gp, "),
        (["{}/lst.txt"], "The list {}/lst.txt does not exist; a list of videos is wanted. Check the path. Did you mean 'list.txt'?"),
        (["a.mp4", "--top-k", "0"], "--top-k is 0; it must be at least 1"),
        (["a.mp4", "--stride", "0"], "--stride is 0; it must be above 0 seconds"),
        (["a.mp4", "--window", "inf"], "--window is inf; it must be at least 0 seconds"),
        (["a.mp4", "CONFIG.DATA.CLIP_LEN"], "ends with 'CONFIG.DATA.CLIP_LEN', which has no value"),
        (["a.mp4", "CONFIG.DATA.CLIP_LAN", "3"], "CONFIG.DATA.CLIP_LAN"),
        (["0", "--annotate"], "0 is a stream or a camera; --annotate takes files"),
    ],
)
def test_mistakes_end_with_one_message_and_code_1(run, tmp_path, capsys, words, message):
    (tmp_path / "list.txt").write_text("")
    given = [word.replace("{}", str(tmp_path)) for word in words]
    assert message.replace("{}", str(tmp_path)) in error_of(capsys, "--run", run, *given, "--out", tmp_path / "out")


def test_out_that_cannot_be_written_is_named(run, videos, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    error = error_of(capsys, "--run", run, videos / "a.mp4", "--out", tmp_path / "file")
    assert f"The predictions cannot be written to {tmp_path / 'file'}" in error and "--out" in error


@pytest.mark.parametrize("flag", ["--stride", "--window"])
def test_flag_of_a_timeline_without_one_is_refused(run, videos, tmp_path, capsys, flag):
    error = error_of(capsys, "--run", run, videos / "a.mp4", flag, "1", "--out", tmp_path / "out")
    assert f"{flag} is given without --timeline, and no input is a stream. Add --timeline, or leave it out." in error
    assert not (tmp_path / "out").exists()


def test_one_source_is_needed(capsys):
    wanted, both = "one of the arguments --config-file --run is required", "--config-file: not allowed with argument --run"
    for words, said in ((["a.mp4"], wanted), (["a.mp4", "--run", "x", "--config-file", "y"], both)):
        with pytest.raises(SystemExit) as caught:
            call(*words)
        assert caught.value.code == 2 and said in capsys.readouterr().err


def test_folder_that_links_back_to_itself_is_searched_once(videos):
    (videos / "deep" / "back").symlink_to(videos)
    (table,) = find_inputs([str(videos)]).tables
    found = [os.path.relpath(table.path(place), videos) for place in range(len(table))]
    assert found == ["a.mp4", "b c.mp4", "deep/broken.mp4", "deep/frames"]


def test_flags_may_stand_between_inputs(run, videos, tmp_path):
    key = ["CONFIG.DATA.TEST_NUM_CROP", "1"]
    assert call(videos / "a.mp4", "--out", tmp_path / "out", videos / "b c.mp4", *key, "--top-k", "99", "--run", run) == 0
    assert len(rows_of(tmp_path / "out")) == 2 and "class_8" in rows_of(tmp_path / "out")[0]


def test_timeline_and_annotated_video_of_a_file_and_of_a_part_in_a_list(run, videos, tmp_path):
    (videos / "part.csv").write_text("path,start,end,label\nb c.mp4,2,10,0\n")
    out = tmp_path / "out"
    words = ["--timeline", "--annotate", "--stride", "0.08", "--out", out]
    assert call("--run", run, videos / "a.mp4", videos / "part.csv", videos / "deep" / "frames", *words) == 0
    first, second, frames = json.loads((out / "predictions.json").read_text())["videos"]
    whole, part = ((out / record["timeline"]["csv"]).read_text().splitlines() for record in (first, second))
    assert whole[0].startswith("start_s,stop_s,class,") and part[1].startswith("0.067,")
    assert [len(whole), len(part)] == [1 + 4, 1 + 2]  # 12 and 8 frames at 30 a second, windows of 7, one every second frame
    assert (out / first["timeline"]["png"]).read_bytes()[:4] == b"\x89PNG"
    assert [frames_of(out / record["annotated"]) for record in (first, second, frames)] == [12, 8, 12]


def frames_of(path):
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_file_whose_name_is_not_text_is_predicted(run, videos, tmp_path, capsys):
    name = os.fsdecode(b"caf\xe9.mp4")
    (videos / "a.mp4").rename(videos / name)
    assert call("--run", run, videos / name, "--timeline", "--save-logits", "--views", "one", "--out", tmp_path / "out") == 0
    assert "/videos/caf\\udce9.mp4: " in capsys.readouterr().out
    assert (tmp_path / "out" / "00000_caf_.timeline.png").exists() and (tmp_path / "out" / "logits" / "00000_caf_.npz").exists()


def test_camera_that_is_not_there_is_one_clear_message(run, tmp_path, capsys):
    assert call("--run", run, "97", "--out", tmp_path / "out") == 3
    assert "camera 97 cannot be opened: there is no /dev/video97 on this machine" in capsys.readouterr().out
    assert rows_of(tmp_path / "out")[0]["failure"].startswith("camera 97 cannot be opened")


def test_stream_is_watched_in_windows(run, videos, tmp_path, capsys):
    import av

    (tmp_path / "hls").mkdir()
    with av.open(str(videos / "a.mp4")) as source, av.open(str(tmp_path / "hls" / "a.m3u8"), "w", format="hls") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with Files(tmp_path / "hls") as server:
        url = f"{server.url}/a.m3u8"
        assert call("--run", run, url, "--out", tmp_path / "out", "--stride", "0.08") == 0
        assert call("--run", run, f"{server.url}/no.m3u8", "--out", tmp_path / "none") == 3
    record = json.loads((tmp_path / "out" / "predictions.json").read_text())["videos"][0]
    assert record["path"] == url and record["windows"] + record["windows_left_out"] == 3 and record["windows"] >= 1
    assert len((tmp_path / "out" / record["timeline"]["csv"]).read_text().splitlines()) == 1 + record["windows"]
    assert f"{server.url}/no.m3u8: CANNOT BE READ: " in capsys.readouterr().out


def test_timeline_in_python_has_the_probabilities_of_each_part(run, videos):
    model = vidrec.load(run, overrides=["CONFIG.DATA.TEST_NUM_SEGMENT", "1", "CONFIG.DATA.TEST_NUM_CROP", "1"])
    timeline = model.timeline(videos / "a.mp4", stride=0.1)
    assert timeline.starts == pytest.approx([0.0, 0.1, 5 / 30]) and timeline.stops == pytest.approx([7 / 30, 10 / 30, 12 / 30])
    (videos / "parts.csv").write_text("path,start,end,label\na.mp4,0,7,0\na.mp4,3,10,0\na.mp4,5,12,0\n")
    parts = find_inputs([str(videos / "parts.csv")]).tables[0]
    expected = [found.probabilities for found in model.predict_many(parts)]
    assert np.abs(timeline.probabilities - np.stack(expected)).max() < 1e-6
    assert np.array_equal(timeline.at(0.2), timeline.probabilities[1]) and timeline.class_names == model.class_names
    assert repr(timeline).startswith(f"Timeline({videos}/a.mp4: 3 windows over 0:00:00; {timeline.segments()[0][0]} 0.0 to ")
    assert timeline.segments()[-1][2] == pytest.approx(0.4)
    with pytest.raises(UserError, match="The stride is 0 s and the window 0 s; the stride must be above 0"):
        model.timeline(videos / "a.mp4", stride=0)


def test_zoo_name_predicts_with_the_class_names_of_its_data_set(videos, monkeypatch, tmp_path):
    torch.manual_seed(0)
    torch.save(vidrec.get_model("resnet18_v1b_kinetics400").state_dict(), tmp_path / "published.pth")
    monkeypatch.setattr("vidrec.models.weights.zoo.fetch", lambda file: tmp_path / "published.pth")
    model = vidrec.load("torch/resnet18_v1b_kinetics400", overrides=["CONFIG.DATA.TEST_NUM_SEGMENT", "2", "CONFIG.DATA.TEST_NUM_CROP", "1"])
    assert repr(model) == "Predictor(resnet18_v1b_kinetics400: 400 classes; 2 views (2 x 1) of 1 frames, 256 x 256; cpu)"
    assert model.class_names[0] == "abseiling" and len(model.class_names) == 400
    assert model.predict(videos / "a.mp4").probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.browser
def test_annotated_video_plays_in_a_browser(run, videos, tmp_path):
    out = tmp_path / "out"
    assert call("--run", run, videos / "a.mp4", "--annotate", "--timeline", "--out", out) == 0
    (out / "page.html").write_text("<video src='00000_a.mp4' muted controls></video>")
    with Files(out) as server, open_page() as page:
        page.goto(f"{server.url}/page.html")
        video = page.locator("video")
        video.evaluate("v => v.play()")
        page.wait_for_function("document.querySelector('video').ended", timeout=20_000)
        size = video.evaluate("v => [v.videoWidth, v.videoHeight, Math.round(100 * v.duration), v.error]")
    assert size == [40, 40, 40, None]


@pytest.mark.slow
def test_two_hours_take_no_more_memory_than_a_minute(run, tmp_path):
    """The minute is encoded once; the two hours are its packets, 120 times."""
    minute = write_minute(tmp_path / "minute.mp4")
    hours = repeat_packets(minute, tmp_path / "hours.mp4", 120)
    peaks = [peak_memory(run, video, tmp_path / video.stem) for video in (minute, hours)]
    rows = (tmp_path / "hours" / "00000_hours.timeline.csv").read_text().splitlines()
    assert len(rows) == 1 + 1801 and rows[-1].startswith("7199.")
    assert peaks[1] < peaks[0] + 100, f"MiB of a minute and of two hours: {peaks}"


def write_minute(path):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "50", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(1500):
            image = np.full((240, 320, 3), number % 200, dtype=np.uint8)
            image[:, number % 300 : number % 300 + 20] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def repeat_packets(path, out, times):
    import av

    with av.open(str(out), "w") as target:
        stream, shift = None, 0
        for _ in range(times):
            with av.open(str(path)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                for packet in source.demux(video):
                    if packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        target.mux(packet)
                shift += video.duration
    return out


PEAK = """
import re, sys
from vidrec.commands.inference import main
status = main(sys.argv[1:])
print("peak", re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])  # ru_maxrss would start from the parent's
sys.exit(status)
"""


def peak_memory(run, video, out):
    """MiB that the command's process, which decodes the windows, held at the most."""
    words = ["--run", run, video, "--timeline", "--stride", "4", "--views", "one", "--workers", "1", "--out", out]
    done = subprocess.run([sys.executable, "-c", PEAK, *map(str, words)], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rsplit("peak", 1)[1]) // 1024


@pytest.mark.slow
def test_what_a_killed_run_has_predicted_is_whole(run, videos, tmp_path):
    out, listed = tmp_path / "out", tmp_path / "list.txt"
    listed.write_text(f"{videos}/a.mp4\n" * 2000)
    command = [sys.executable, str(ROOT / "tools" / "inference.py"), "--run", str(run), str(listed), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not ((out / "predictions.csv").exists() and len(rows_of(out)) > 20):
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    content = json.loads((out / "predictions.json").read_text())
    rows = rows_of(out)
    assert 20 < len(rows) < 2000 and len(rows) - len(content["videos"]) in (0, 1)
    assert all(row["probability_5"] for row in rows)
