"""The page of speed against published accuracy: its numbers, and what it does in a browser."""

import json
import re

import pytest

from vidrec.model_zoo import specs
from vidrec.pages.frame import write_page
from vidrec.pages.throughput import family_of, throughput_page


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_point_has_the_published_accuracy_and_the_measured_speeds(figures):
    rows = {row["name"]: row for row in data_of(throughput_page(figures))["rows"]}
    i3d, tsn = rows["i3d_resnet50_v1_kinetics400"], rows["resnet18_v1b_kinetics400"]
    assert (i3d["top1"], i3d["hashtag"], i3d["clips_per_s"], i3d["videos_per_s"]) == (74.87, "18545497", 10.0, 0.3333)
    assert (tsn["clips_per_s"], tsn["videos_per_s"], tsn["latency"]) == (50.0, 1.4, 20.0)  # 7 frames a clip, 250 frames a video
    for words in (
        "<b>i3d_resnet50_v1_kinetics400</b>", "PyTorch section, I3D, Kinetics-400",
        "top-1 74.87 % as published, file 18545497, starts from ImageNet",
        "clip: 32 frames, stride 2, 224 x 224", "30 (10 x 3)", "28.04 M parameters, 33.27 G multiply-adds",
        "10 clips/s, 0.3333 videos/s", "100.0 ms, 1,234 MiB", "fp32 on a <fast> device",
    ):  # fmt: skip
        assert words in i3d["hover"]


def test_seconds_of_the_cpu_make_the_latency_where_they_are_counted(figures):
    figures["settings"] = figures["settings"] | {"clock": "cpu"}
    figures["measured"]["torch/i3d_resnet50_v1_kinetics400"]["latency_ms"]["median"] = 999.0
    page = throughput_page(figures)
    assert {row["latency"] for row in data_of(page)["rows"] if row["family"] == "I3D"} == {100.0}
    assert "load average 1.5 to 1.5), so seconds are those that the process itself had on the CPU" in page


def test_names_without_accuracy_or_speed_are_listed_below(figures):
    page = throughput_page(figures)
    assert len(data_of(page)["rows"]) == 6
    below = page.partition("Names without a published accuracy")[2]
    assert "<td>resnet18_v1b_custom</td><td>MXNet</td><td>classes of your own</td>" in below
    assert "<td>tpn_resnet50_f8s8_kinetics400</td><td>PyTorch</td><td>8 frames, stride 8, 224 x 224</td><td>no &lt;room&gt;</td>" in below
    assert "a &lt;fast&gt; device</b>, 2 threads" in page and "we have not measured it" in page


def test_files_beside_the_first_of_a_name_are_told(figures):
    rows = {row["name"]: row for row in data_of(throughput_page(figures))["rows"]}
    assert "other files, as published: 81.5 (05e319d4)" in rows["vgg16_ucf101"]["hover"]


def test_every_name_has_a_family():
    assert len({family_of(row.name) for row in specs.ROWS}) == 13
    names = ("i3d_slow_resnet50_f8s8_kinetics400", "i3d_nl5_resnet50_v1_kinetics400", "slowfast_4x16_resnet50_custom", "inceptionv3_ucf101")
    assert [family_of(name) for name in names] == ["Slow", "I3D non-local", "SlowFast", "TSN Inception"]


@pytest.fixture
def page(figures, tmp_path):
    from browser import open_page

    write_page(tmp_path / "throughput.html", throughput_page(figures))
    with open_page() as page:
        page.goto((tmp_path / "throughput.html").as_uri())
        page.wait_for_selector("#graph .points path")
        yield page


def front(page):
    return re.findall(r"(\w+) \(", page.inner_text("#front"))


@pytest.mark.browser
def test_page_draws_its_points_and_asks_nobody(page):
    from browser import outside

    assert page.locator("#graph .scatterlayer .points path").count() == 5  # of Kinetics-400
    assert page.inner_text("#shown") == "5 of 6 networks shown"
    assert front(page) == ["resnet18_v1b_kinetics400", "i3d_resnet50_v1_kinetics400", "ircsn_v2_resnet152_f32s2_kinetics400"]
    assert page.locator(".modebar-btn[data-title*='Share']").count() == 0 and page.locator(".modebar-btn").count() > 0
    assert outside(page.requests) == [] and page.problems == []


@pytest.mark.browser
def test_point_under_the_mouse_shows_its_figures(page):
    point = page.locator("#graph .scatterlayer .trace", has=page.locator(".points path")).first.locator(".points path").first.bounding_box()
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    label = page.wait_for_selector("#graph .hoverlayer .hovertext", timeout=5000).text_content()
    assert "as published" in label and "clips/s" in label and "M parameters" in label
    assert page.problems == []


@pytest.mark.browser
def test_filters_change_what_is_shown_and_the_front_moves(page):
    line = "#graph .scatterlayer .js-line"
    before = page.get_attribute(line, "d")
    page.uncheck("#families input[value='TSN ResNet']")
    assert front(page) == ["c3d_kinetics400", "i3d_resnet50_v1_kinetics400", "ircsn_v2_resnet152_f32s2_kinetics400"]
    assert page.get_attribute(line, "d") != before
    page.select_option("#data-set", "ucf101")
    assert page.inner_text("#shown") == "1 of 6 networks shown" and front(page) == ["vgg16_ucf101"]
    page.select_option("#data-set", "")
    page.click("#all")
    page.select_option("#section", "mxnet")
    assert page.inner_text("#shown") == "3 of 6 networks shown"
    page.click("#none")
    assert page.inner_text("#shown") == "0 of 6 networks shown" and front(page) == []
    page.click("#all")
    page.select_option("#section", "")
    page.select_option("#speed", "videos")
    assert "videos per second" in page.text_content("#graph .xtitle")
    assert page.problems == []
