"""Lists are arrays: few bytes a row, and none of them copied in loader processes."""

import json
from pathlib import Path

import pytest

from vidrec.commands.benchmark_annotations import FORMS, benchmark_annotations, main, worker_private, write_list
from vidrec.data.annotations import read_table

ROWS = 200_000
LIMIT = 40  # bytes a row beside the path text

smaps = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="private memory is read from Linux's /proc")


@smaps
def test_rows_cost_few_bytes_and_loader_processes_share_them(tmp_path, capsys):
    figures = benchmark_annotations(ROWS, "spans", workers=4, json_file=tmp_path / "figures.json")
    assert (figures["rows"], figures["text_bytes_a_row"]) == (ROWS, 42.0)
    assert 32.0 <= figures["other_bytes_a_row"] < 32.01 < LIMIT  # offset 8, label 4, frames 4, span in seconds 16
    assert len(figures["private_mb_a_worker"]) == 4
    assert max(figures["private_mb_a_worker"]) < 3.0  # of 14.8 MB
    assert json.loads((tmp_path / "figures.json").read_text()) == figures
    assert f"rows                 {ROWS}" in capsys.readouterr().out


@smaps
def test_a_list_of_strings_would_be_copied_into_each_process():
    paths = [f"train/class/video_{number:09d}_000010.mp4" for number in range(ROWS)]
    growth = worker_private(paths, 1)[0] - worker_private(["a"], 1)[0]
    assert growth > 12e6  # so the measurement above would show a copy


@pytest.mark.parametrize(("form", "expected"), [("text", 16), ("spans", 32), ("quoted", 16), ("csv", 16)])
def test_bytes_a_row_of_each_form(tmp_path, form, expected):
    table = read_table(write_list(tmp_path, 1000, form), num_classes=400)
    assert table.num_bytes == (42 * 1000, expected * 1000 + 8)
    assert (table.label(999), table.listed_path(999)) == (199, "train/class_199/video_000000999_000010.mp4")


def test_several_labels_cost_8_bytes_a_row_and_4_for_each_label_after_the_first(tmp_path):
    (tmp_path / "list.txt").write_text("a.mp4 0,3,7\n" * 500 + "b.mp4 1\n" * 500)
    table = read_table(tmp_path / "list.txt", num_classes=8)
    assert table.num_bytes[1] == 16 * 1000 + 8 + 8 * 1001 + 4 * 2 * 500
    assert set(FORMS) == {"text", "spans", "quoted", "csv"}


def test_numbers_without_a_meaning(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--rows", "0"])
    assert stop.value.code == 1
    assert "--rows is 0 and --workers 4; both must be at least 1. Give larger numbers." in capsys.readouterr().err
