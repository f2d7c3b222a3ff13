"""metrics.jsonl and TensorBoard: what is in them, and that a resumed run has every number once."""

import json
import time

import numpy as np
import pytest
import torch
from engine_toy import NUM_CLASSES, Toy, make_trainer, toy_config

from vidrec.engine.checkpoint import RunState
from vidrec.engine.confusion import class_accuracies, class_table, confusion_counts, draw_confusion
from vidrec.engine.loggers import RunInfo, make_loggers
from vidrec.engine.metric_lines import is_before, read_entries
from vidrec.engine.metrics import measure
from vidrec.engine.record import RunRecord
from vidrec.engine.tester import VideoScores
from vidrec.engine.totals import run_totals
from vidrec.engine.trainer import group_rates
from vidrec.utils.errors import UserError

SCORES = np.array([[2.0, 1.0], [3.0, 0.0], [np.nan, np.nan]], dtype=np.float32)
LABELS = np.array([0, 1, 1])
FAILED = np.array([False, False, True])


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def info(folder, **more):
    return RunInfo(name="run", folder=folder, log_dir=folder / "tb_log", config="CONFIG: {}", **more)


def test_tensorboard_holds_scalars_and_config_once_after_resuming(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start in (RunState(0), RunState(1)):
        record = RunRecord(tmp_path, start=start, num_steps=10, loggers=make_loggers(["tensorboard"]), run=info(tmp_path))
        for epoch in range(start.epoch, 3):
            record.epoch(epoch, top1=epoch / 10 + start.epoch)
        record.finish({}, "finished")
        time.sleep(1.1)  # TensorBoard orders the files of a run by the second in their names
    events = EventAccumulator(str(tmp_path / "tb_log")).Reload()
    found = [(event.step, round(event.value, 6)) for event in events.Scalars("epoch/top1")]
    assert found == [(9, 0.0), (19, 1.1), (29, 1.2)]
    assert b"CONFIG: {}" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
    assert [(line["epoch"], line["top1"]) for line in lines(tmp_path) if line["kind"] == "epoch"] == [(0, 0.0), (1, 1.1), (2, 1.2)]


def test_a_run_leaves_curves_pictures_and_a_table_in_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    toy = Toy(folder=str(tmp_path), epochs=2)
    trainer, state = make_trainer(toy, toy_config(toy))
    trainer.stepper.optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "name": "head, biases", "lr": 0.5})
    trainer.clip_freq = 1
    changed = {"TRAIN.LR": 0.05, "DATA.SCALE_RANGE": [1.0, 1.25]}
    loggers = make_loggers(["tensorboard"])
    trainer.record = RunRecord(
        tmp_path, start=state, num_steps=6, loggers=loggers, run=info(tmp_path, changed=changed), class_names=["dark", "gray", "light"]
    )
    trainer.run(state)
    trainer.record.finish({"final/best_top1": 0.75}, "finished")
    events = EventAccumulator(str(tmp_path / "tb_log"), size_guidance={"images": 0}).Reload()
    scalars = set(events.Tags()["scalars"])
    steps = {"loss", "top1", "top5", "lr", "lrs/all", "lrs/head_biases", "clips_per_s", "data_share", "resident_mb", "eta_s", "grad_norm"}
    assert {f"step/{name}" for name in steps} <= scalars
    assert {"epoch/loss", "val/top1", "val/top5", "val/mean_class", "final/best_top1"} <= scalars
    assert not {tag for tag in scalars if tag.endswith(("/epoch", "/step", "/time"))}
    assert [event.step for event in events.Images("train/clips")] == [0, 6]
    assert [event.step for event in events.Images("val/confusion")] == [11]
    assert b"| dark |" in events.Tensors("val/per_class/text_summary")[0].tensor_proto.string_val[0]
    session = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"TRAIN.LR" in session and b"DATA.SCALE_RANGE" in session
    val = next(line for line in lines(tmp_path) if line["kind"] == "val")
    assert len(val["per_class"]) == NUM_CLASSES and np.mean(val["per_class"]) == pytest.approx(val["mean_class"])


def test_sample_clips_are_the_pixels_that_enter_the_network(tmp_path):
    """The picture holds, below the label's line, the frames of the clip beside each other."""
    shown = []

    class Keeper:
        def start(self, run, first_step): ...

        def scalars(self, step, numbers): ...

        def text(self, step, name, markdown): ...

        def image(self, step, name, pixels):
            shown.append((step, name, pixels))

        def finish(self, metrics, ended): ...

    from vidrec.engine.contact_sheet import GAP, LINE
    from vidrec.engine.loggers import Loggers

    toy = Toy(folder=str(tmp_path), epochs=2)
    trainer, state = make_trainer(toy, toy_config(toy))
    trainer.stepper.augment = lambda clips, labels, plans: (255 - clips, labels)
    first, clips = trainer.train_loader, []
    first.sampler.set_epoch(0)
    batch = next(iter(first))
    trainer.clip_freq = 5
    trainer.record = RunRecord(tmp_path, start=state, num_steps=6, loggers=Loggers({"keeper": Keeper()}), run=info(tmp_path))
    trainer.run(state)
    clips = [(step, pixels) for step, name, pixels in shown if name == "train/clips"]
    assert [step for step, _ in clips] == [0]
    frames = [clips[0][1][LINE : LINE + 4, start : start + 4] for start in (0, 4 + GAP)]
    assert np.array_equal(np.stack(frames), 255 - batch.clips[0].numpy())


def test_record_keeps_what_came_before_the_place_of_resuming(tmp_path):
    entries = [("step", 0, 3), ("epoch", 0, None), ("val", 0, None), ("step", 1, 4), ("step", 1, 5), ("epoch", 1, None)]
    rows = [{"kind": kind, "epoch": epoch} | ({} if step is None else {"step": step}) for kind, epoch, step in entries]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"kind": "st')
    RunRecord(tmp_path, start=RunState(1, 5), num_steps=10)
    assert lines(tmp_path)[:-1] == rows[:4]
    assert {key: lines(tmp_path)[-1][key] for key in ("kind", "epoch", "step", "processes")} == {
        "kind": "start", "epoch": 1, "step": 5, "processes": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ({"kind": "step", "epoch": 1, "step": 4}, True),
        ({"kind": "step", "epoch": 1, "step": 5}, False),
        ({"kind": "step", "epoch": 2, "step": 0}, False),
        ({"kind": "epoch", "epoch": 0}, True),
        ({"kind": "epoch", "epoch": 1}, False),
        ({"kind": "val", "epoch": 1}, False),
        ({"kind": "start", "epoch": 3, "step": 0}, True),
        ({"kind": "end", "ended": "finished"}, True),
    ],
)
def test_lines_that_stay_when_a_run_goes_on_at_epoch_1_step_5(entry, kept):
    assert is_before(entry, 1, 5) is kept


def test_a_killed_part_keeps_its_time_although_its_numbers_are_dropped(tmp_path):
    rows = [
        {"kind": "start", "epoch": 0, "step": 0, "time": 1000.0},
        {"kind": "step", "epoch": 0, "step": 9, "time": 1030.5, "clips_per_s": 8.0, "data_share": 0.5, "resident_mb": 300.0},
        {"kind": "step", "epoch": 0, "step": 19, "time": 1060.25, "clips_per_s": 9.0, "data_share": 0.5, "resident_mb": 400.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    RunRecord(tmp_path, start=RunState(0, 10), num_steps=100).finish({}, "finished")
    assert [line["kind"] for line in lines(tmp_path)] == ["start", "step", "end", "start", "end"]
    totals = run_totals(tmp_path / "metrics.jsonl")
    first, second = totals.parts
    assert (first.epoch, first.step, first.seconds, first.ended) == (0, 0, 60.25, "killed")
    assert (second.epoch, second.step, second.ended) == (0, 10, "finished") and 0 <= second.seconds < 10
    assert totals.seconds == 60.25 + second.seconds
    assert (totals.clips_per_s, totals.data_share, totals.resident_mb, totals.cuda_peak_mb) == (8.0, 0.5, 300.0, None)


def test_totals_of_a_run_that_goes_on_count_up_to_its_last_line(tmp_path):
    rows = [
        {"kind": "start", "epoch": 0, "step": 0, "time": 1000.0},
        {"kind": "val", "epoch": 0, "top1": 0.75, "time": 1007.0},
        {"kind": "val", "epoch": 1, "top1": 0.5, "time": 1010.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"kind": "val", "epoch": 2')
    totals = run_totals(tmp_path / "metrics.jsonl")
    assert [(part.seconds, part.ended) for part in totals.parts] == [(10.0, "running")]
    assert (totals.best["epoch"], totals.last["epoch"]) == (0, 1)
    assert totals.final_numbers() == {"final/best_top1": 0.75, "final/last_top1": 0.5, "final/hours": 10 / 3600}


def test_damaged_lines_are_left_out_and_counted(tmp_path, caplog):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"kind": "epoch", "epoch": 0}\n\0\0\0\n[1]\n{"kind": "epoch", "epoch": 1}\n{"kind": "ep')
    assert [entry["epoch"] for entry in read_entries(path)] == [0, 1]
    assert [record.message for record in caplog.records] == [f"2 lines of {path} are damaged and left out"]


def test_record_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/metrics.jsonl cannot be written \(.*\); make room, or choose a folder"):
        RunRecord(tmp_path / "file", start=RunState(), num_steps=1)


def test_tensorboard_folder_that_cannot_be_made_is_said_before_training(tmp_path):
    (tmp_path / "tb_log").touch()
    with pytest.raises(UserError, match=r"tb_log cannot be written \(File exists; .*\); make room, or choose a folder"):
        RunRecord(tmp_path, start=RunState(), num_steps=1, loggers=make_loggers(["tensorboard"]), run=info(tmp_path))


def test_confusion_counts_readable_videos_and_class_accuracies_count_all():
    counts = confusion_counts(SCORES, LABELS, FAILED)
    assert counts.tolist() == [[1, 0], [1, 0]]
    assert class_accuracies(counts, LABELS) == [1.0, 0.0]
    assert class_accuracies(np.array([[2, 0, 0], [0, 1, 0], [0, 0, 0]]), np.array([0, 0, 1, 1])) == [1.0, 0.5, None]


def test_class_table_has_the_worst_first_with_what_it_is_taken_for():
    table = class_table(np.array([[8, 2, 0], [1, 3, 6], [0, 0, 0]]), [0.8, 0.3, None], ["run", "jump", "sit"])
    assert table.splitlines()[2:] == ["| jump | 0.300 | sit (6 of 10) |", "| run | 0.800 | jump (2 of 10) |"]
    many = class_table(np.eye(60, dtype=int), [1.0] * 60)
    assert many.splitlines()[-1] == "| and 10 more | | |" and len(many.splitlines()) == 53


@pytest.mark.parametrize("classes", [2, 400])
def test_confusion_is_drawn_darker_where_more_videos_are(classes):
    pixels = draw_confusion(np.eye(classes, dtype=np.int64) * 5, title="t", names=None)
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert (pixels.reshape(-1, 3) == [8, 48, 107]).all(1).any(), "the darkest blue is the diagonal"


@pytest.mark.filterwarnings("error")
def test_class_names_are_drawn_as_they_stand():
    names = ["$\\frac$", "\u6253\u7403"]  # no formula to set, and a script that the font lacks
    assert draw_confusion(np.eye(2, dtype=np.int64), title="$\\frac$", names=names).shape[2] == 3


def test_group_rates_have_names_where_groups_have_them():
    one, two = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    assert group_rates(torch.optim.SGD([one], lr=0.5)) is None
    groups = [{"params": [one], "name": "stem"}, {"params": [two], "lr": 0.25}]
    assert group_rates(torch.optim.SGD(groups, lr=0.5)) == {"stem": 0.5, "1": 0.25}


def test_scores_of_other_processes_are_not_recorded(tmp_path):
    record = RunRecord(tmp_path, start=RunState(), num_steps=1)
    result = VideoScores(SCORES, LABELS, {2: "is empty"}, 1.0)
    record.validation(0, None, measure(result))
    assert [line["kind"] for line in lines(tmp_path)] == ["start"]
    record.validation(0, result, measure(result))
    assert lines(tmp_path)[-1]["per_class"] == [1.0, 0.0]


def test_the_best_of_several_labels_is_that_of_the_highest_mean_average_precision(tmp_path):
    record = RunRecord(tmp_path, start=RunState(), num_steps=1)
    for epoch, targets in enumerate(([[1, 0], [1, 0], [0, 1]], [[1, 0], [1, 0], [1, 0]])):
        result = VideoScores(SCORES, LABELS, {2: "is empty"}, 1.0)
        record.validation(epoch, result, measure(result, targets=np.array(targets, dtype=bool)), best_by="map")
    assert [line["per_class"] for line in lines(tmp_path)[1:]] == [[1.0, 0.0], [pytest.approx(2 / 3), None]]
    totals = run_totals(tmp_path / "metrics.jsonl")
    assert (totals.best["epoch"], totals.best["map"], totals.last["map"]) == (1, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert totals.final_numbers()["final/best_map"] == pytest.approx(2 / 3)
