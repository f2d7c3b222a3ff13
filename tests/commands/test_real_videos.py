"""The commands on real clips of nine actions, phone videos with edit lists and rotation among them."""

import json

from tool_runs import write_config

from vidrec.commands import test as test_command
from vidrec.commands import train as train_command


def write_list(source, path, folder, per_class):
    """The first videos of each class of an annotation file, as absolute paths."""
    kept = {}
    for line in source.read_text().splitlines():
        name, _, label = line.rsplit(" ", 2)
        kept.setdefault(label, []).append(f"{folder / name} {label}")
    path.write_text("\n".join(row for rows in kept.values() for row in rows[:per_class]) + "\n")


def test_train_and_test_on_real_clips(shared, tmp_path):
    actions = shared / "data" / "actions"
    write_list(actions / "train.txt", tmp_path / "train.txt", actions, per_class=1)
    write_list(actions / "val.txt", tmp_path / "val.txt", actions, per_class=1)
    (tmp_path / "classes.txt").write_text((actions / "classes.txt").read_text())
    config = write_config(tmp_path / "real.yaml", tmp_path, tmp_path / "runs")
    arguments = ["--config-file", str(config), "CONFIG.DATA.NUM_CLASSES", "9", "CONFIG.TRAIN.EPOCH_NUM", "1"]
    assert train_command.main(arguments) == 0
    assert test_command.main(arguments) == 0
    result = json.loads((tmp_path / "runs" / "run" / "eval" / "result.json").read_text())
    assert result["counts"] == {"videos": 9, "read": 9, "failed": 0}
    assert 0 <= result["accuracy"]["top1"] <= 1 and result["accuracy"]["k"] == 5
    assert result["protocol"]["num_views"] == 9
