"""The demo page: which networks it offers, and, in a real browser, an answer for a video, and words for what is wrong."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from browser import open_page, outside
from tool_runs import ROOT, make_run, write_config

from vidrec.commands import demo_app
from vidrec.commands.demo_networks import choices, find_runs
from vidrec.commands.make_demo_data import encode_video
from vidrec.model_zoo.weights import published


@pytest.fixture(scope="module")
def run(demo_data, tmp_path_factory):
    """A run with random weights."""
    place = tmp_path_factory.mktemp("demo_app")
    return make_run(write_config(place / "tiny.yaml", demo_data, place / "runs"))


def test_runs_with_a_checkpoint_are_found_the_newest_first(run, tmp_path):
    for name, age in (("old", 100), ("new", 0)):
        shutil.copytree(run, tmp_path / name)
        os.utime(tmp_path / name / "config.yaml", (time.time() - age,) * 2)
    shutil.copytree(run, tmp_path / "empty", ignore=shutil.ignore_patterns("*.pth"))
    assert find_runs([tmp_path]) == [tmp_path / "new", tmp_path / "old"]
    assert find_runs([tmp_path / "old", tmp_path, run]) == [tmp_path / "old", tmp_path / "new", run]
    assert find_runs([tmp_path / "empty"]) == []


def test_choices_are_runs_then_zoo_names_with_weights_of_their_own(run, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDREC_HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / published("slowfast_4x16_resnet50_kinetics400", "torch")[0].file_name).touch()
    found = choices([run.parent])
    assert found[0] == (f"run: {run}", str(run))
    assert found[1] == ("zoo: torch/slowfast_4x16_resnet50_kinetics400", "torch/slowfast_4x16_resnet50_kinetics400")
    assert all(choice.label == f"zoo: {choice.source} (is downloaded first)" for choice in found[2:])
    sources = [choice.source for choice in found]
    assert "mxnet/vgg16_ucf101" in sources and len(sources) == len(set(sources))
    assert not [source for source in sources if source.endswith(("_custom", "_int8"))]


def test_files_are_deleted_when_nobody_has_touched_them_for_a_while(tmp_path):
    (tmp_path / "a").mkdir()
    for name, age in (("a/old", 100), ("a/new", 10)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    demo_app.delete_old(tmp_path, 60)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runs", "/nowhere"], "--runs is /nowhere, which is no folder; it must be that of a run, or one that holds runs"),
        (["--max-upload-mb", "0"], "--max-upload-mb is 0; it must be above 0"),
        (["--keep-minutes", "-1"], "--keep-minutes is -1; it must be above 0"),
        (["--port", "70000"], "--port is 70000; it must be 0 (any that is free) to 65535"),
        (["--host", "203.0.113.1"], "203.0.113.1:7860 cannot be listened on (Cannot assign requested address); --host must be"),
    ],
)
def test_wrong_flag_is_one_clear_message(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        demo_app.main(arguments)
    assert stop.value.code == 1 and words in capsys.readouterr().err


def test_port_that_is_taken_is_said_so_before_anything_is_loaded(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit):
            demo_app.main(["--port", str(port)])
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use)" in capsys.readouterr().err


# In a browser.


class Served:
    """The page of a process, which is stopped at the end.

    Attributes:
        url: of the page.
        folder: where it keeps what is uploaded.
    """

    def __init__(self, runs, folder):
        self.folder = folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder), "VIDREC_MIRROR": f"file://{folder}/no_mirror"}
        environment |= {"VIDREC_HOME": f"{folder}_home", "HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
        command = [sys.executable, str(ROOT / "tools" / "demo_app.py"), "--port", "0", "--runs", str(runs)]
        command += ["--max-upload-mb", "2", "--keep-minutes", "0.25"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"The page is at (http://127\.0\.0\.1:\d+/) \(Ctrl-C stops it\)\n", line)
        assert found, line + self.process.stdout.read()
        self.url = found[1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


@pytest.fixture(scope="module")
def bright_run(demo_data, tmp_path_factory):
    """A run that has learned to tell bright from dark videos; it has six more classes."""
    import torch

    import vidrec
    from vidrec.engine.checkpoint_file import read_archive, write_checkpoint

    place = tmp_path_factory.mktemp("bright")
    (place / "classes.txt").write_text("bright\ndark\nleft\nright\nup\ndown\nin\nout\n")
    config = write_config(place / "tiny.yaml", demo_data, place / "runs")
    run = make_run(config, "CONFIG.DATA.CLASS_NAMES", place / "classes.txt")
    model, generator = vidrec.load(run).model.train(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(40):
        labels = torch.arange(16) % 2
        clips = torch.randn((16, 3, 4, 32, 32), generator=generator) * 0.3 + (1.0 - 2.0 * labels).view(-1, 1, 1, 1, 1)
        loss = torch.nn.functional.cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = run / "checkpoints" / "best.pth"
    write_checkpoint(best, {**read_archive(best), "model": model.state_dict()})
    return run


@pytest.fixture(scope="module")
def served(bright_run, tmp_path_factory):
    page = Served(bright_run.parent, tmp_path_factory.mktemp("temporary"))
    yield page
    page.process.kill()
    page.process.communicate()


def write_gray(path, value, num_frames=40, size=64):
    rng = np.random.default_rng(value)
    frames = np.clip(value + rng.normal(scale=8, size=(num_frames, size, size, 3)), 0, 255).astype(np.uint8)
    encode_video(path, frames, height=size, width=size)
    return path


def ask(page, url, video, *, network="", **fields):
    """Opens the page, uploads, chooses and presses; returns the message when the answer is complete."""
    page.goto(url)
    page.wait_for_selector("#go", timeout=60_000)
    page.wait_for_load_state("networkidle")
    if video is not None:
        page.set_input_files("#video input[type=file]", str(video))
        page.wait_for_selector("#video video", timeout=60_000)
    if network:
        page.click("#network input")
        page.click(f"[role=option][aria-label*='{network}']")
    for name, text in fields.items():
        page.fill(f"#{name} input, #{name} textarea", text)
    page.click("#go")
    page.wait_for_selector("#message [role=alert], #message [role=status]:has-text('; evidence for ')", timeout=180_000)
    return page.inner_text("#message")


@pytest.mark.browser
@pytest.mark.parametrize(("value", "name"), [(225, "bright"), (15, "dark")])
def test_page_answers_with_the_right_class_its_timeline_and_its_evidence(served, bright_run, tmp_path, value, name):
    with open_page() as page:
        said = ask(page, served.url, write_gray(tmp_path / "gray.mp4", value), network=str(bright_run))
        assert said == f"{bright_run}, 2 views; evidence for {name}."
        top = page.inner_text("#top").split("\n")
        assert top[:2] == [name, name] and int(top[2].rstrip("%")) > 80 and len(top) == 11
        for place in ("strip", "timeline"):
            page.wait_for_function(f"document.querySelector('#{place} img')?.naturalWidth > 600")
        page.wait_for_function("document.querySelector('#moving video')?.duration > 0.2")
        assert outside(page.requests) == [] and page.problems == []
        assert {address.split(":")[0] for address in page.requests} <= {"http", "blob", "data"} and len(page.requests) > 20


@pytest.mark.browser
def test_real_video_is_answered(served, shared):
    video = shared / "data" / "singles" / "wave" / "RATRACE_wave_f_nm_np1_fr_goo_37.avi"
    with open_page() as page:
        assert "; evidence for dark." in ask(page, served.url, video, layer="backbone.stages.0", **{"class": "DARK"})
        page.wait_for_function("document.querySelector('#strip img')?.naturalWidth > 600")
        assert outside(page.requests) == [] and page.problems == []


@pytest.mark.browser
def test_mistakes_are_said_on_the_page(served, tmp_path):
    gray, bad = write_gray(tmp_path / "gray.mp4", 128), tmp_path / "bad.mp4"
    bad.write_bytes(b"<html>404</html>")
    cases = [
        (None, {}, r"There is no video yet; drop one into the box"),
        (bad, {}, r"^bad\.mp4 cannot be read: .*; a video file that FFmpeg can decode is wanted"),
        (gray, {"class": "brihgt"}, r"The class is 'brihgt'; .* Did you mean 'bright'"),
        (gray, {"layer": "backbone.stage.0"}, r"The layer is 'backbone.stage.0'; .* Did you mean 'backbone.stages.0'"),
        (gray, {"network": "torch/resnet18_v1b_kinetics400"}, r"resnet18_v1b_kinetics400-854b23e4\.pth"),
    ]
    with open_page() as page:
        for video, fields, words in cases:
            said = ask(page, served.url, video, **fields)
            assert re.search(words, said) and "Traceback" not in said and "vidrec-demo" not in said
            assert page.inner_text("#top").strip() == "" and outside(page.requests) == []


@pytest.mark.browser
def test_video_over_the_limit_is_refused(served, tmp_path):
    (tmp_path / "large.mp4").write_bytes(bytes(3_000_000))
    with open_page() as page:
        page.goto(served.url)
        page.wait_for_selector("#go", timeout=60_000)
        page.set_input_files("#video input[type=file]", str(tmp_path / "large.mp4"))
        page.wait_for_selector('text=File(s) exceed the maximum allowed size of 2.0 Mb: "large.mp4"', timeout=30_000)
    assert not [path for path in served.folder.rglob("*") if path.is_file() and path.stat().st_size > 2**20]


@pytest.mark.browser
def test_uploaded_videos_are_deleted_after_their_time_and_at_the_end(served):
    """Runs last: it stops the page."""
    kept = list(served.folder.rglob("*.mp4"))
    end = time.monotonic() + 60
    while list(served.folder.rglob("*.mp4")) and time.monotonic() < end:
        time.sleep(1)
    assert kept and not list(served.folder.rglob("*.mp4"))
    code, output = served.stop()
    assert code == 0 and output.endswith("stopped; uploaded videos are deleted\n") and "Traceback" not in output
    assert [path.name for path in served.folder.iterdir()] == []
