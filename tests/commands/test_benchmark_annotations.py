"""Lists are arrays: few bytes a row, and none of them copied in loader processes."""

import json
from pathlib import Path

import pytest

from vidrec.commands.benchmark_annotations import FORMS, benchmark_annotations, class_names, main, worker_private, write_list
from vidrec.data.annotations import chunks, read_table

ROWS = 200_000
LIMIT = 40  # bytes a row beside the path text

smaps = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="private memory is read from Linux's /proc")


@smaps
def test_rows_cost_few_bytes_and_loader_processes_share_them(tmp_path, capsys):
    figures = benchmark_annotations(ROWS, "seconds", workers=4, json_file=tmp_path / "figures.json")
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


@pytest.mark.parametrize("form", FORMS)
def test_bytes_a_row_of_each_form(tmp_path, form):
    names = class_names() if FORMS[form].named else None
    table = read_table(write_list(tmp_path, 1000, form), num_classes=400, class_names=names)
    expected = {"frames": 24, "tsv-header": 24, "seconds": 32}.get(form, 32 if form.endswith("several") else 16)
    assert table.num_bytes == (42 * 1000, expected * 1000 + (16 if form.endswith("several") else 8))
    assert expected <= LIMIT
    assert (table.label(999), table.listed_path(999)) == (199, "train/class_199/video_000000999_000010.mp4")
    assert table.label_set(399) == ((399, 0, 6) if form.endswith("several") else (399,))


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("json")])
def test_no_form_is_read_line_by_line(tmp_path, form, monkeypatch):
    careful, line = [], chunks.Chunk.line
    monkeypatch.setattr(chunks.Chunk, "line", lambda self, index: careful.append(index) or line(self, index))
    names = class_names() if FORMS[form].named else None
    assert len(read_table(write_list(tmp_path, 1000, form), num_classes=400, class_names=names)) == 1000
    assert set(careful) == {0}  # a byte order mark, or the header


def test_several_labels_cost_8_bytes_a_row_and_4_for_each_label_after_the_first(tmp_path):
    (tmp_path / "list.txt").write_text("a.mp4 0,3,7\n" * 500 + "b.mp4 1\n" * 500)
    table = read_table(tmp_path / "list.txt", num_classes=8)
    assert table.num_bytes[1] == 16 * 1000 + 8 + 8 * 1001 + 4 * 2 * 500


def test_numbers_without_a_meaning(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--rows", "0"])
    assert stop.value.code == 1
    assert "--rows is 0 and --workers 4; both must be at least 1. Give larger numbers." in capsys.readouterr().err
