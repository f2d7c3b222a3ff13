"""report: the page of a run's folder, with frames of its videos, whatever the folder lacks."""

import base64
import hashlib
import io
import json
import re
import shutil

import pytest
from PIL import Image
from run_folder import write_eval, write_metrics
from tool_runs import run_tool

from vidrec import load_config
from vidrec.commands import report as command
from vidrec.commands.report import bad_videos, report


@pytest.fixture
def run(config, demo_data, tmp_path):
    """A run's folder on the demo data; the first of its hardest videos is there, the second is gone, the third is no video."""
    folder = tmp_path / "a <run>"
    write_metrics(folder)
    write_eval(folder / "eval")
    (folder / "config.yaml").write_text(load_config(config).dump())
    (tmp_path / "text.mp4").write_text("no video")
    hardest = json.loads((folder / "eval/hardest.json").read_text())
    paths = [str(demo_data / (demo_data / "val.txt").read_text().split()[0]), "/nowhere/gone.mp4", str(tmp_path / "text.mp4")]
    entries = [{**hardest[0], "index": 1000 + place, "path": path} for place, path in enumerate(paths)]
    (folder / "eval/hardest.json").write_text(json.dumps(entries))
    return folder


def pictures(page):
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)]


def test_page_has_frames_of_videos_and_the_reason_where_there_are_none(run, capsys):
    assert command.main([str(run), "--frames", "5"]) == 0
    assert capsys.readouterr().out == f"{run}/report.html: 1 tests, 3 videos, 0 remarks\n"
    page = (run / "report.html").read_text()
    thumbnail, strip = pictures(page)
    assert (thumbnail.size, strip.size) == ((140, 140), (5 * 96 + 4 * 2, 96))  # of a video of 40 x 40 pixels
    assert "/nowhere/gone.mp4 cannot be read: No such file or directory" in page and "text.mp4 cannot be read" in page
    assert "a &lt;run&gt;" in page and "CLIP_LEN</td><td>4</td>" in page and "2 of 2 epochs" in page


def test_video_is_read_by_the_list_of_the_test_where_it_is_the_same(run, config, demo_data, tmp_path):
    row = (demo_data / "val.txt").read_text().splitlines()[0].split()
    listed = tmp_path / "spans.csv"
    listed.write_text(f"path,label,start,end\n{demo_data / row[0]},{row[-1]},0,1\n")
    cfg = load_config(config, ["CONFIG.DATA.VAL_ANNO_PATH", str(listed)])
    (run / "config.yaml").write_text(cfg.dump())
    entry = {**json.loads((run / "eval/hardest.json").read_text())[0], "index": 0}
    (run / "eval/hardest.json").write_text(json.dumps([entry]))
    result = json.loads((run / "eval/result.json").read_text())
    widths = {}
    for sha256 in (hashlib.sha256(listed.read_bytes()).hexdigest(), "another"):
        (run / "eval/result.json").write_text(json.dumps(result | {"annotation": {"sha256": sha256}}))
        report(run, out=run / "r.html")
        widths[sha256] = pictures((run / "r.html").read_text())[1].size[0]
    assert list(widths.values()) == [96, 8 * 96 + 7 * 2]  # the one frame of the span; 8 frames of the whole video


@pytest.mark.parametrize("kept", ["metrics.jsonl", "config.yaml", "eval"])
def test_page_of_a_run_that_lacks_nearly_everything_is_written(run, tmp_path, kept):
    (tmp_path / "part").mkdir()
    copy = shutil.copytree if (run / kept).is_dir() else shutil.copy
    copy(run / kept, tmp_path / "part" / kept)
    report(tmp_path / "part", out=tmp_path / "part.html", videos=1)
    assert (tmp_path / "part.html").read_text().count('class="missing"') >= 4


def test_config_and_metrics_of_another_version_are_remarks(run):
    (run / "config.yaml").write_text("CONFIG: {TRAIN: {NO_SUCH_KEY: 1}}\n")
    (run / "metrics.jsonl").write_text('{"kind": "step", "epoch": 0, "step": 1, "loss": 2.0}\n')
    report(run, out=run / "r.html", videos=0)
    page = (run / "r.html").read_text()
    assert "config.yaml is none of this version: " in page and "NO_SUCH_KEY" in page
    assert "has a line of another version (KeyError: &#x27;clips_per_s&#x27;); times and bests are left out" in page


def test_bad_videos_of_training_are_those_of_the_log_else_of_the_summary(tmp_path):
    line = "2026-11-24 14:07:58 W a b.mp4 cannot be read: damaged. Another video takes its place.\n"
    (tmp_path / "log.txt").write_text(f"2026-11-24 14:07:58 I start\n{line}{line}")
    assert bad_videos(tmp_path / "log.txt", "") == ["a b.mp4 cannot be read: damaged."]
    summary = "## Videos that could not be read\n\n1 in training. Another video took the place of each.\n\n- `c.mp4`: damaged\n"
    assert bad_videos(tmp_path / "none", summary) == ["c.mp4: damaged"]
    assert bad_videos(tmp_path / "none", "## Videos that could not be read\n\nNone in training.\n") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere"], "/nowhere is no folder; it must be the folder of a run"),
        (["{tmp}"], "has neither metrics.jsonl nor config.yaml nor the result of a test; it must be the folder of a run"),
        (["{run}", "--eval", "eval2"], "--eval is 'eval2'; the tests of {run} are in eval. Give one of them."),
        (["{run}", "--out", "r.pdf"], "--out is r.pdf; the page is an HTML file"),
        (["{run}", "--videos", "-1"], "--videos is -1; it must be at least 0"),
        (["{run}", "--frames", "0"], "--frames is 0; it must be at least 1"),
        (["{run}", "--videos", "0", "--out", "/nowhere/r.html"], "/nowhere/r.html cannot be written (No such file or directory)"),
    ],
)
def test_bad_arguments_are_one_message(run, tmp_path, capsys, arguments, words):
    with pytest.raises(SystemExit) as stop:
        command.main([argument.format(tmp=tmp_path, run=run) for argument in arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 1 and words.format(run=run) in error and "Traceback" not in error


@pytest.mark.slow
def test_page_of_a_real_run_trained_tested_and_cut_off(config, tmp_path):
    run_tool("train_ddp_pytorch.py", "--config-file", config)
    folder = tmp_path / "runs/run"
    lines = (folder / "metrics.jsonl").read_text()
    report(folder, out=tmp_path / "trained.html")
    page = (tmp_path / "trained.html").read_text()
    assert "finished, 2 of 2 epochs" in page and "This run has no test" in page and "accuracy, validation after epoch 2" in page
    run_tool("test_ddp_pytorch.py", "--config-file", config)
    (folder / "metrics.jsonl").write_text(lines[: len(lines) // 2])
    (folder / "summary.md").unlink()
    report(folder, out=tmp_path / "cut.html")
    page = (tmp_path / "cut.html").read_text()
    assert "running, or killed" in page and "9 views" in page and "There is no summary.md" in page
    assert 'id="graph-confusion"' in page and 'id="graph-views"' in page and len(pictures(page)) == 2 * 10  # all videos of the list
