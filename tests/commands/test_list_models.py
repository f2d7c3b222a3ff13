"""The list of the model zoo."""

import json
import subprocess
import sys

import pytest
from tool_runs import ROOT, run_tool

from vidrec.commands.list_models import find_rows, main
from vidrec.model_zoo import specs


def listed(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


def test_every_row_and_every_further_file_has_a_line(capsys):
    lines = listed(capsys)
    assert len(lines) == 1 + 46 + 59 + 5  # five MXNet names have a second file
    assert lines[0].split("  ")[0] == "name"


def test_columns_are_those_of_the_tables(capsys):
    header, *rows = listed(capsys, "i3d_slow_resnet101_f16s4_kinetics700")
    assert [cell.strip() for cell in header.split("  ") if cell] == [
        "name", "section", "clip", "crop", "parameters, M", "multiply-adds, G", "top-1, published", "hashtag",
    ]  # fmt: skip
    assert [row.split() for row in rows] == [
        ["i3d_slow_resnet101_f16s4_kinetics700", "torch", "16", "x", "4", "224", "60.97", "171.35", "67.65", "b5be1a2e"],
        ["i3d_slow_resnet101_f16s4_kinetics700", "mxnet", "16", "x", "4", "224", "60.97", "171.35", "67.65", "299b1d9d"],
    ]


def test_files_of_one_name_are_told_apart_by_hashtag(capsys):
    rows = [row.split() for row in listed(capsys, "resnet50_v1b_hmdb51")[1:]]
    assert [" ".join(row[2:]) for row in rows] == [
        "3 x 1 segments 224 23.61 12.33 55.20 682591e2",
        "1 x 1 224 23.61 4.11 52.20 ba66ee4b",  # trained with a single frame
    ]


def test_accuracy_of_a_borrowed_file_is_not_shown(capsys):
    for name in ("resnet50_v1b_custom", "resnet18_v1b_kinetics400_int8"):
        assert [row.split()[-2:] for row in listed(capsys, f"mxnet/{name}")[1:]] == [["-", "-"]]


def test_section_data_set_and_pattern_narrow_the_list(capsys):
    names = [row.split()[0] for row in listed(capsys, "resnet*", "--zoo", "torch", "--data-set", "sthsthv2")[1:]]
    assert names == ["resnet50_v1b_sthsthv2"]
    assert {row.section for row in find_rows("mxnet/resnet18*")} == {"mxnet"}
    assert [row.name for row in find_rows("*", zoo="torch", data_set="kinetics700")] == ["i3d_slow_resnet101_f16s4_kinetics700"]


def test_json_has_exact_numbers_and_null_for_what_is_not_published(capsys):
    main(["slowfast_16x8_resnet50_sthsthv2", "--json"])
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "slowfast_16x8_resnet50_sthsthv2",
            "section": "torch",
            "data_set": "sthsthv2",
            "frame_stride": 2,
            "num_segments": 1,
            "num_frames": 64,
            "crop_size": 224,
            "num_classes": 174,
            "parameters": 34045558,
            "multiply_adds": 101162040832,
            "frame_multiply_adds": None,
            "top1_published": None,
            "pretrained_published": "",
            "hashtag": "05203231",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["i3d_resnet51*"], "No name of the model zoo matches 'i3d_resnet51*'; a pattern is a whole name or has wildcards"),
        (["mxnet/tpn*"], "No name of the model zoo matches 'mxnet/tpn*'"),
        (["c3d*", "--zoo", "torch"], "No name of the model zoo in section torch matches 'c3d*'"),
        (["c3d*", "--data-set", "ucf101"], "No name of the model zoo for ucf101 matches 'c3d*'"),
        (["i3d_resnt*"], "Run list_models without a pattern to see every name. Did you mean 'i3d_resne'"),
        (["c3d_kinetics40"], "Run list_models without a pattern to see every name. Did you mean 'c3d_kinetics400'"),
    ],
)
def test_pattern_without_a_match_is_told_with_close_names(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    assert message in capsys.readouterr().err


def test_every_data_set_can_be_asked_for(capsys):
    assert all(len(listed(capsys, "--data-set", data_set)) > 1 for data_set in specs.CLASSES)


def test_listing_does_without_torch():
    code = "import sys; from vidrec.commands.list_models import main; main(['i3d*']); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "False", run.stderr


def test_reader_that_stops_early_is_no_error():
    run = subprocess.run(
        [sys.executable, "-c", "import subprocess, sys; p = subprocess.Popen([sys.executable, sys.argv[1]], stdout=subprocess.PIPE,"
         " stderr=subprocess.PIPE); p.stdout.close(); error = p.stderr.read(); sys.exit(error.decode() or p.wait())",
         str(ROOT / "tools" / "list_models.py")], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")


def test_tool_prints_the_list():
    assert run_tool("list_models.py", "p3d*").stdout.count("\n") == 3
