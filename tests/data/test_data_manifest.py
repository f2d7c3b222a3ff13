"""The manifest: training leaves out what it calls bad, tests do not."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
from video_files import write_video

from vidrec.config.defaults import get_cfg_defaults
from vidrec.data.annotations import VideoTable
from vidrec.data.build import build_dataset
from vidrec.data.manifest import ManifestRow, leave_out_bad, read_manifest, write_manifest
from vidrec.utils.errors import DataError


def make_row(path, status="ok"):
    return ManifestRow(str(path), status, 10, 29.97, 64, 48, 90, "h264", "too short; still", "" if status == "ok" else "for, a 'reason'")


def manifest_of(folder: Path, **statuses: str) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        write_manifest(file, [make_row(folder / f"{name}.mp4", status) for name, status in statuses.items()])
    return path


def test_rows_come_back_as_they_were_written(tmp_path):
    path = manifest_of(tmp_path, a="ok", b="hung")
    assert path.read_text().splitlines()[0] == "path,status,frames,fps,width,height,rotation,codec,notes,reason"
    assert list(read_manifest(path)) == [make_row(tmp_path / "a.mp4"), make_row(tmp_path / "b.mp4", "hung")]


def test_training_leaves_bad_videos_out_and_tests_do_not(tmp_path, caplog):
    for name in "abc":
        write_video(tmp_path / f"{name}.mp4", 8)
    (tmp_path / "list.txt").write_text("a.mp4 0\nbad.mp4 1\nb.mp4 2\nhangs.mp4 0\nc.mp4 1\n")
    cfg = get_cfg_defaults()
    data = cfg.CONFIG.DATA
    data.TRAIN_ANNO_PATH = data.VAL_ANNO_PATH = str(tmp_path / "list.txt")
    data.NUM_CLASSES, data.CLIP_LEN, data.SHORT_SIDE_SIZE, data.CROP_SIZE = 3, 4, 32, 32
    data.MANIFEST = str(manifest_of(tmp_path, a="ok", bad="missing", b="ok", hangs="hung"))
    with caplog.at_level(logging.INFO, "vidrec"):
        table = build_dataset(cfg, "train").table
    assert [(Path(table.path(row)).name, table.label(row)) for row in range(len(table))] == [("a.mp4", 0), ("b.mp4", 2), ("c.mp4", 1)]
    assert [message for _, _, message in caplog.record_tuples] == [
        f"{data.MANIFEST} leaves 2 of 5 videos out of training (1 missing, 1 hung)",
        f"{data.MANIFEST} does not know 1 of the 5 training videos; they stay. Run tools/check_dataset.py again.",
    ]
    for split in ("val", "test"):
        assert len(build_dataset(cfg, split)) == 5
    data.MANIFEST = ""
    assert len(build_dataset(cfg, "train")) == 5


def test_relative_paths_are_those_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = VideoTable.from_paths(["a.mp4", "b.mp4"], [3, 4], folder=".")
    kept = leave_out_bad(table, manifest_of(tmp_path, a="crashed", b="ok"))
    assert (len(kept), kept.path(0), kept.label(0), kept.labels.tolist(), kept.num_frames.tolist()) == (1, "./b.mp4", 4, [4], [0])


def test_a_table_keeps_rows_in_their_order_and_travels_to_processes():
    table = VideoTable.from_paths(["a", "bcd", "ef", "ghij"], [5, 6, 7, 8])
    kept = pickle.loads(pickle.dumps(table.keep(np.array([True, False, True, True]))))
    assert [(kept.path(row), kept.label(row)) for row in range(len(kept))] == [("a", 5), ("ef", 7), ("ghij", 8)]
    assert len(table) == 4


def test_what_is_no_manifest_is_refused(tmp_path):
    table = VideoTable.from_paths([tmp_path / "a.mp4"])
    path = tmp_path / "manifest.csv"
    head = "path,status,frames,fps,width,height,rotation,codec,notes,reason\n"
    for content, reason in (
        ("path,status\n", "its first line is not path,status,frames,"),
        (f"{head}a,ok\n", "line 2 has 2 of 10 cells"),
        (
            f"{head}a,fine,1,1,1,1,0,h264,,\n",
            "line 2 has the status 'fine', not one of ok, missing, unreadable, truncated, blank, hung, crashed",
        ),
        (f"{head}a,ok,many,1,1,1,0,h264,,\n", "invalid literal for int"),
    ):
        path.write_text(content)
        with pytest.raises(DataError, match="CONFIG.DATA.MANIFEST is '.*manifest.csv', which cannot be used: ") as caught:  # noqa: RUF043
            leave_out_bad(table, path)
        assert reason in str(caught.value) and "Check the path, or run the tool." in str(caught.value)
    with pytest.raises(DataError, match=r"which cannot be used: .*No such file or directory"):
        leave_out_bad(table, tmp_path / "none.csv")


def test_a_manifest_of_other_files_and_one_that_leaves_nothing_are_refused(tmp_path):
    table = VideoTable.from_paths([tmp_path / "a.mp4"])
    with pytest.raises(DataError, match="which knows none of the 1 videos of the training list; the manifest of the same files"):
        leave_out_bad(table, manifest_of(tmp_path, b="ok"))
    with pytest.raises(DataError, match="leaves none of the 1 training videos; mend the files it lists"):
        leave_out_bad(table, manifest_of(tmp_path, a="hung"))
