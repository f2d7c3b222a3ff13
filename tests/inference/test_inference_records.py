"""predictions.csv and predictions.json: whole after every video, whatever happens."""

import csv
import json
import resource

import numpy as np
import pytest

from vidrec.inference.predictor import Failure, Prediction, Top
from vidrec.inference.records import Records, file_stem, top_text
from vidrec.utils.errors import UserError

TOP = [Top(2, "a, \"b\"", 0.75), Top(0, "caf\xe9", 0.25)]


def prediction(path):
    numbers = np.array([0.25, 0.0, 0.75], dtype=np.float32)
    return Prediction(path, numbers, numbers, numbers, numbers[None], np.zeros((1, 4), np.int64), TOP)


def open_records(folder):
    return Records(folder, about={"network": "tiny", "views": 30}, top_k=2)


def read(folder):
    with (folder / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.reader(file)), json.loads((folder / "predictions.json").read_text())


def test_both_files_are_whole_after_every_video(tmp_path):
    with open_records(tmp_path / "out") as records:
        assert read(tmp_path / "out")[1] == {"network": "tiny", "views": 30, "videos": []}
        records.add(prediction("a.mp4"), note=1)
        rows, content = read(tmp_path / "out")
        assert rows == [
            ["path", "label", "class_1", "probability_1", "class_2", "probability_2", "failure"],
            ["a.mp4", "2", "a, \"b\"", "0.75", "caf\xe9", "0.25", ""],
        ]
        assert content["videos"] == [{"path": "a.mp4", "top": [one._asdict() for one in TOP], "note": 1}]
        records.add(Failure("b.mp4", "is empty"))
        rows, content = read(tmp_path / "out")
        assert rows[2] == ["b.mp4", "", "", "", "", "", "is empty"] and content["videos"][1]["failure"] == "is empty"
    assert records.count == 2


def test_disk_that_is_full_in_the_middle_of_a_video_leaves_both_files_whole(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_records(tmp_path) as records:
        records.add(prediction("a.mp4"))
        before = read(tmp_path)
        for name, room in (("json", 100), ("csv", 10)):
            resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / f"predictions.{name}").stat().st_size + room, limits[1]))
            try:
                with pytest.raises(UserError, match=r"The predictions cannot be written to .* \(File too large; .* with --out"):
                    records.add(prediction("b" * 200))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            rows, content = read(tmp_path)
            assert content == before[1] and [row[0] for row in rows[:2]] == ["path", "a.mp4"]
        assert (tmp_path / "predictions.csv").read_text().endswith("\n")


NAMES = [(3, "videos/a b.mp4", "00003_a_b"), (0, "https://host/v.mp4?key=/1", "00000_v"), (12, "frames/", "00012_frames")]


@pytest.mark.parametrize(("number", "path", "stem"), [*NAMES, (1, "\xe9.mp4", "00001__")])
def test_names_of_files_about_a_video(number, path, stem):
    assert file_stem(number, path) == stem


def test_leading_classes_as_text():
    assert top_text(TOP) == 'a, "b" 75.0 %, caf\xe9 25.0 %'
