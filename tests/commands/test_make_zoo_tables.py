"""model_zoo/costs.json and model_zoo/README.md are what the tables and the networks say."""

import pytest
from tool_runs import ROOT, run_tool

from vidrec import load_config
from vidrec.commands import make_zoo_tables
from vidrec.commands.make_zoo_tables import check_files, count_row, main
from vidrec.commands.tables import clip_text, giga, markdown_table, mega, text_table, unit_for
from vidrec.commands.zoo_readme import config_path, zoo_readme
from vidrec.engine.costs import Costs
from vidrec.model_zoo import specs, weights
from vidrec.model_zoo.costs import PATH, RowCosts, format_costs, read_costs
from vidrec.utils.errors import UserError

FEW = [
    ("torch", "resnet18_v1b_kinetics400"),
    ("torch", "i3d_resnet50_v1_custom"),
    ("mxnet", "slowfast_4x16_resnet50_kinetics400"),
    ("mxnet", "c3d_kinetics400"),
    ("mxnet", "vgg16_ucf101_int8"),
]
KEYS = [(row.section, row.name) for row in specs.ROWS]


def test_readme_is_in_step_with_the_tables():
    assert main(["--check", "--keep-costs"]) == 0


def test_costs_have_every_row_at_its_clip_in_the_order_of_the_table():
    costs = read_costs()
    assert list(costs) == KEYS
    assert {(row.section, row.name): row.clip[::2] for row in specs.ROWS} == {key: row[:2] for key, row in costs.items()}
    assert all(row.num_classes in (None, costs[row.section, row.name].num_classes) for row in specs.ROWS)


@pytest.mark.parametrize("key", [key if key in FEW else pytest.param(key, marks=pytest.mark.slow) for key in KEYS], ids="/".join)
def test_row_counted_again_costs_the_same(key):
    section, name = key
    assert count_row(specs.row(name, section)) == read_costs()[key]


def test_file_out_of_step_is_shown_as_a_diff(tmp_path):
    (tmp_path / "README.md").write_text("one\ntwo\n")
    with pytest.raises(UserError) as caught:
        check_files({tmp_path / "README.md": "one\nthree\n", tmp_path / "costs.json": "new\n"})
    lines = str(caught.value).splitlines()
    assert lines[1:5] == ["+++ as it should be", "@@ -2 +2 @@", "-two", "+three"]
    assert "+new" in lines
    assert lines[-1] == (
        "model_zoo/ is out of step with its tables (specs.py, weights.csv) or with the networks; it must be as python"
        " tools/make_zoo_tables.py writes it. Run that and commit what it writes."
    )


def test_both_files_are_written_as_they_are_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make_zoo_tables, "README", tmp_path / "README.md")
    monkeypatch.setattr(make_zoo_tables, "PATH", tmp_path / "costs.json")
    assert main(["--keep-costs"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "costs.json"), str(tmp_path / "README.md")]
    assert (tmp_path / "costs.json").read_text() == PATH.read_text()
    assert (tmp_path / "README.md").read_text() == (PATH.parent / "README.md").read_text()


def test_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make_zoo_tables, "PATH", tmp_path / "missing" / "costs.json")
    with pytest.raises(SystemExit):
        main(["--keep-costs"])
    assert "costs.json cannot be written (No such file or directory); run this in a checkout" in capsys.readouterr().err


def test_row_whose_count_lacks_an_operator_is_refused(monkeypatch):
    monkeypatch.setattr("vidrec.engine.costs.count_costs", lambda model, **clip: Costs(1, 1, 1, 1, (), {"fft": 1}))
    with pytest.raises(UserError, match=r"The multiply-adds of torch/resnet18_v1b_kinetics400 lack fft; every operator must be counted"):
        count_row(specs.row("resnet18_v1b_kinetics400"))


def test_every_name_has_a_line_in_the_readme():
    cells = [line.split(" | ")[0].strip("| ") for line in zoo_readme(read_costs()).splitlines() if line.startswith("| ")]
    assert sorted(cell for cell in cells if cell not in ("name", "---")) == sorted(
        [*(file.name for file in weights.FILES), *(name for section, name in KEYS if not own_files(section, name))]
    )


def own_files(section, name):
    return [file for file in weights.FILES if (file.section, file.name) == (section, name)]


def test_lines_of_the_readme_say_what_is_published_and_what_is_counted():
    lines = zoo_readme(read_costs()).splitlines()
    assert (
        "| vgg16_ucf101 | ImageNet | 1 | 1 | 81.50 | 250 (25 x 10) | 05e319d4 | 1 x 224 x 224 | 134.67 | 15.47 "
        "| [yaml](../configs/ucf101/mxnet/vgg16_ucf101-05e319d4.yaml) |"
    ) in lines
    assert (
        "| slowfast_16x8_resnet50_sthsthv2 | - | 1 | 64 (128/2) | - | - | 05203231 | 64 x 224 x 224 | 34.05 | 101.16 "
        "| [yaml](../configs/sthsthv2/slowfast_16x8_resnet50_sthsthv2.yaml) |"
    ) in lines
    assert ("| i3d_resnet50_v1_custom | mxnet | 32 x 2 | 32 x 224 x 224 | 28.04 | 33.27 | i3d_resnet50_v1_kinetics400 568a722e |") in lines
    assert "| r2plus1d_v1_resnet101_kinetics400 | torch | 16 x 2 | 16 x 112 x 112 | 99.91 | 101.58 | - |" in lines


@pytest.mark.parametrize("file", weights.FILES, ids=lambda file: f"{file.section}/{file.stem}")
def test_linked_config_has_the_views_and_input_of_its_line(file):
    data = load_config(ROOT / config_path(file)).CONFIG.DATA
    row = next(line.split(" | ") for line in zoo_readme(read_costs()).splitlines() if f" | {file.hashtag} | " in line)
    views, segments = f"{data.TEST_NUM_SEGMENT * data.TEST_NUM_CROP} ({data.TEST_NUM_SEGMENT} x {data.TEST_NUM_CROP})", row[2]
    assert row[5] in (views, "-")
    assert str(data.NUM_SEGMENT) == segments
    frames = data.CLIP_LEN * data.NUM_SEGMENT
    assert f"{frames} x {data.CROP_SIZE} x {data.CROP_SIZE}" == row[7]


def test_costs_of_a_single_frame_are_for_files_trained_with_one():
    costs = RowCosts(num_frames=3, crop_size=8, num_classes=5, parameters=6, multiply_adds=30, frame_multiply_adds=11)
    assert costs.with_segments(3) == costs
    assert costs.with_segments(1) == RowCosts(1, 8, 5, 6, 11, 11)
    dense = costs._replace(frame_multiply_adds=None)
    assert dense.with_segments(1) == dense


def test_costs_are_read_as_they_were_written(tmp_path):
    costs = {("torch", "a"): RowCosts(8, 64, 5, 10, 20), ("mxnet", "a"): RowCosts(7, 32, 4, 1, 2), ("mxnet", "b"): RowCosts(1, 1, 1, 1, 1)}
    (tmp_path / "costs.json").write_text(format_costs(costs))
    assert read_costs(tmp_path / "costs.json") == costs
    assert format_costs(costs).splitlines()[:4] == [
        "{",
        '  "torch": {',
        '    "a": {"num_frames": 8, "crop_size": 64, "num_classes": 5, "parameters": 10, "multiply_adds": 20, "frame_multiply_adds": null}',
        "  },",
    ]


def test_numbers_and_tables_as_they_are_printed():
    assert (giga(33_271_721_984), mega(28_043_472)) == ("33.27", "28.04")
    assert [unit_for(count)[0] for count in (10_000_000_000, 9_999_999_999, 10_000_000, 9_999_999, 0)] == ["G", "M", "M", "k", "k"]
    assert [clip_text(specs.Clip(32, 2, 224)), clip_text(specs.Clip(7, 1, 224, 7))] == ["32 x 2", "7 x 1 segments"]
    rows = [["a", "1.00"], ["bcd", "20.00"]]
    assert text_table(["name", "G"], rows, "<>").splitlines() == ["name      G", "a      1.00", "bcd   20.00"]
    assert markdown_table(["name", "G"], rows, "<>").splitlines() == ["| name | G |", "| --- | ---: |", "| a | 1.00 |", "| bcd | 20.00 |"]


def test_tool_checks_the_tables_that_are_there():
    assert run_tool("make_zoo_tables.py", "--check", "--keep-costs").stdout == "in step: costs.json, README.md\n"
