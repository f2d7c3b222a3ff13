"""The page of a run: what it says of whole runs and of runs that lack a part, and what it does in a browser."""

import io
import json
import re

import pytest
from PIL import Image
from run_folder import write_eval, write_metrics

from vidrec.engine.totals import run_totals
from vidrec.pages.eval_files import EvalFiles, find_tests, read_test
from vidrec.pages.frame import write_page
from vidrec.pages.report import Report, report_page
from vidrec.pages.report_parts import summary_facts
from vidrec.pages.report_videos import Pictures, VideoCard
from vidrec.pages.run_curves import read_curves


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def body_of(page):
    return page.partition("<main>")[2].partition("</main>")[0]


def jpeg():
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, format="JPEG")
    return file.getvalue()


def full_report(folder):
    write_metrics(folder)
    write_eval(folder / "eval")
    tests = [read_test(each) for each in find_tests(folder)]
    curves, totals = read_curves(folder / "metrics.jsonl"), run_totals(folder / "metrics.jsonl")
    cards = [VideoCard(tests[0].hardest[0], Pictures(jpeg(), jpeg())), VideoCard(tests[0].hardest[1], None, "it is <gone>")]
    return Report(
        folder, "2026-11-24", curves, totals, tests, cards, ["a<b>", "b"], "CONFIG: {}\n", {"CONFIG.TRAIN.LR": 0.5}, 4, "1 (center)",
        bad_videos=["x<y.mp4 cannot be read: damaged."],
    )  # fmt: skip


def test_curves_have_every_number_of_the_metrics_and_where_the_run_went_on(tmp_path):
    write_metrics(tmp_path)
    curves = read_curves(tmp_path / "metrics.jsonl").data()
    named = {graph: {curve["name"]: (curve["x"], curve["y"]) for curve in own} for graph, own in curves["graphs"].items()}
    assert curves["starts"] == [1.5]
    assert named["loss"] == {
        "training, since the last display": ([0.5, 1.0, 1.5, 2.0], [4.0, 3.0, 2.0, 1.0]),
        "training, epoch": ([1, 2], [3.5, 1.5]),
        "validation": ([1, 2], [2.5, 1.25]),
    }
    assert named["accuracy"]["validation top-1"] == ([1, 2], [0.25, 0.5])
    assert named["accuracy"]["validation top-1, average of the weights"] == ([1, 2], [0.375, 0.625])
    assert named["rate"] == {"stem": ([0.5, 1.0, 1.5, 2.0], [0.1] * 4), "head": ([0.5, 1.0, 1.5, 2.0], [1.0] * 4)}
    assert named["gradient"]["norm of all gradients, before clipping"] == ([0.5, 1.0, 2.0], [8.0, 7.0, 5.0])
    assert set(named) == {"loss", "accuracy", "rate", "speed", "data", "gradient", "memory"}


def test_page_tells_everything_of_a_whole_run_and_escapes_it(tmp_path):
    page = report_page(full_report(tmp_path))
    body, data = body_of(page), data_of(page)
    for words in (
        "running, or killed, 2 of 4 epochs", "0.5000 after epoch 2", "0.2500 to 0.7500", "<td>reference</td>", "1 (center)",
        "0 a&lt;b&gt;</td><td>1 b</td><td class=\"number\">1</td><td class=\"number\">0.5000",
        "it is &lt;gone&gt;", "x&lt;y.mp4 cannot be read: damaged.", "/v/\\xff.mp4: no &lt;frames&gt;", "TRAIN.LR</td><td>0.5</td>",
        "label <b>0 a&lt;b&gt;</b>, predicted <b>1 b</b>", "accuracy, test; 2 classes", "Vertical lines, 1 of them",
    ):  # fmt: skip
        assert words in body, words
    assert "<b>a<b>" not in body and body.count("data:image/jpeg;base64,") == 2
    assert data["classes"] == [["0 a<b>", 0.5, 2], ["1 b", 1.0, 1]]
    assert data["confusion"] == {"names": ["0 a<b>", "1 b"], "counts": [[1, 1], [0, 1]]}
    assert data["by_views"] == [{"views": 1, "top1": 0.25, "top5": 1.0, "crops": 1}, {"views": 3, "top1": 0.5, "top5": 1.0, "crops": 3}]


def test_page_of_an_empty_run_says_what_is_missing(tmp_path):
    body = body_of(report_page(Report(tmp_path, "now")))
    for words in (
        "no training here", "This run has no test", "No validation has been made", "There are no numbers of training",
        "No test and no validation has numbers of the classes", "Confusions are those of a test", "The hardest videos are those of a test",
        "There was no training.", "The run has no config.yaml", "There is no summary.md",
    ):  # fmt: skip
        assert words in body, words


def test_classes_of_a_validation_stand_for_those_of_a_missing_test(tmp_path):
    report = full_report(tmp_path)
    report.tests = ()
    data = data_of(report_page(report))
    assert data["classes"] == [["0 a<b>", 0.5, None], ["1 b", None, None]] and data["of_what"] == "accuracy, validation after epoch 2"
    report.class_names = None
    assert data_of(report_page(report))["classes"] == [["0", 0.5, None], ["1", None, None]]


def test_several_labels_a_video_have_average_precisions_and_no_matrix(tmp_path):
    write_eval(tmp_path / "eval", several=True)
    test = read_test(tmp_path / "eval")
    page = report_page(Report(tmp_path, "now", tests=[test]))
    assert test.remarks == [] and data_of(page)["confusion"] is None
    assert data_of(page)["classes"] == [["0 a<b>", 0.75, 2], ["1 b", None, 1]]
    assert "Videos have several labels: none is taken for another." in page and "average precision, test" in page


def test_damaged_and_missing_files_of_a_test_are_remarks(tmp_path):
    write_eval(tmp_path)
    (tmp_path / "per_class.csv").write_text("label,name\n0,a\n")
    (tmp_path / "confusion.csv").write_text("label,name,0,1,failed\n0,a,1,1,0\n")
    (tmp_path / "hardest.json").unlink()
    test = read_test(tmp_path)
    assert [line.removeprefix(f"{tmp_path}/") for line in test.remarks] == [
        "per_class.csv is damaged, or of another version (KeyError: 'recall').",
        "hardest.json is not there: this test did not write it.",
        "confusion.csv is damaged, or of another version (ValueError: 1 rows of 2 predictions are no square matrix).",
    ]
    (tmp_path / "result.json").write_text("[1")
    assert "result.json is damaged, or of another version (JSONDecodeError" in read_test(tmp_path).remarks[0]


def test_failure_names_its_path_once(tmp_path):
    test = EvalFiles(tmp_path, {"failed": [{"path": "d/a.mp4", "reason": "/x/d/a.mp4 is empty."}, {"path": "d/b.mp4", "reason": "empty"}]})
    body = body_of(report_page(Report(tmp_path, "now", tests=[test])))
    assert '<li class="bad">/x/d/a.mp4 is empty.</li><li class="bad">d/b.mp4: empty</li>' in body


def test_summary_tells_machine_versions_and_command():
    summary = "# r\n\n**finished**, after 2 of 2 epochs; 1 process on CPU\n\n## How it was made\n\n```\npython a b\n```\n\n- torch 2.14\n"
    summary += "- vidrec 0.1.0\n- train: `l.csv`, 3 videos, sha256 `ab`\n"
    assert summary_facts(summary) == {
        "machine": "1 process on CPU",
        "command": "python a b",
        "versions": "torch 2.14, vidrec 0.1.0",
        "train list": "l.csv, 3 videos, sha256 ab",
    }
    assert summary_facts("") == {}


@pytest.fixture
def opened(tmp_path):
    from browser import open_page

    with open_page() as page:

        def go(report):
            write_page(tmp_path / "report.html", report_page(report))
            page.goto((tmp_path / "report.html").as_uri())
            page.wait_for_selector("#graph-classes .bars path", state="attached")
            return page

        yield go


@pytest.mark.browser
def test_page_draws_its_graphs_and_pictures_and_asks_nobody(opened, tmp_path):
    from browser import outside

    page = opened(full_report(tmp_path))
    drawn = page.evaluate("[...document.querySelectorAll('.js-plotly-plot')].map((graph) => graph.id)")
    assert sorted(drawn) == sorted(
        [f"graph-{name}" for name in ("loss", "accuracy", "rate", "gradient", "speed", "data", "memory", "views", "classes", "confusion")]
    )
    assert page.evaluate("[...document.images].map((image) => image.naturalWidth)") == [8, 8]
    assert "0 a<b>" in page.text_content("#graph-classes .yaxislayer-above")  # shown as it is
    assert page.locator(".modebar-btn[data-title*='Share']").count() == 0 and page.locator(".modebar-btn").count() > 0
    assert outside(page.requests) == [] and page.problems == []


@pytest.mark.browser
def test_cell_of_the_matrix_under_the_mouse_names_both_classes(opened, tmp_path):
    page = opened(full_report(tmp_path))
    page.locator("#graph-confusion").scroll_into_view_if_needed()
    area = page.locator("#graph-confusion .nsewdrag").bounding_box()
    page.mouse.move(area["x"] + 0.75 * area["width"], area["y"] + 0.25 * area["height"])
    label = page.wait_for_selector("#graph-confusion .hoverlayer .hovertext", timeout=5000).text_content()
    assert "label 0 a<b>" in label and "prediction 1 b" in label and "1 videos, 50.0% of the label's" in label
    page.select_option("#confusion-classes", "worst")
    assert page.problems == []


@pytest.mark.browser
def test_matrix_of_400_classes_is_drawn_and_shrinks_to_the_most_confused(opened, tmp_path):
    report = full_report(tmp_path)
    test = report.tests[0]
    test.classes = [type(test.classes[0])(label, f"class number {label}", 0.5, 10) for label in range(400)]
    test.confusion = [[9 if row == column else int((row + 1) % 400 == column and row < 30) for column in range(400)] for row in range(400)]
    page = opened(report)
    assert page.evaluate("document.getElementById('graph-confusion').data[0].z.length") == 400
    page.select_option("#confusion-classes", "worst")
    shown = page.evaluate("document.getElementById('graph-confusion').data[0].y")
    assert shown == [f"{label} class number {label}" for label in range(25)]  # 0 is taken for 1, 1 for 2 and so on
    page.select_option("#class-order", "label")
    assert page.problems == []
