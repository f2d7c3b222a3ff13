"""summary.md: the page itself, and that every end of a run writes it."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vidrec.engine.checkpoint import RunState
from vidrec.engine.record import RunRecord
from vidrec.engine.summary import ListFacts, RunFacts, ended_text, summarized, summary_text
from vidrec.engine.totals import Part, RunTotals
from vidrec.utils.errors import UserError


def facts(folder):
    return RunFacts(
        folder=folder,
        command="python tools/train_ddp_pytorch.py --config-file c.yaml",
        changed={"CONFIG.TRAIN.LR": 0.5},
        lists=[ListFacts("train", "train.txt", 12000, "ab12"), ListFacts("val", "videos", 20, "")],
        versions={"torch": "2.14"},
        hardware="2 processes on CPU",
        num_epochs=4,
        views="1 (center)",
        best_path=folder / "checkpoints/best.pth",
    )


def val(epoch, top1):
    return {"epoch": epoch, "top1": top1, "top5": 0.9, "mean_class": 0.5, "failed": 1}


TOTALS = RunTotals(
    parts=[Part(0, 0, 1e9, 3600.0, "killed"), Part(1, 7, 1e9 + 5000, 125.0, "finished")],
    best=val(2, 0.75),
    last=val(3, 0.7),
    epoch={"epoch": 3, "loss": 0.25, "top1": 0.875},
    clips_per_s=12.34,
    data_share=0.256,
    resident_mb=2048.0,
    cuda_peak_mb=10240.0,
)


def test_page_of_a_resumed_run_says_what_came_out_and_what_it_cost():
    page = summary_text(facts(Path("runs/tiny")), TOTALS, {"/v/b.mp4": "is empty", "/v/a.mp4": "is cut"})
    for line in (
        "# tiny",
        "**finished**, after 4 of 4 epochs; 2 processes on CPU",
        "The run was resumed: it has 2 parts, whose times are summed below.",
        "| best | 0.7500 | 0.9000 | 0.5000 | 3 | 1 | 1 (center) |",
        "| last | 0.7000 | 0.9000 | 0.5000 | 4 | 1 | 1 (center) |",
        "Last training epoch (4): loss 0.2500, top-1 0.8750.",
        "- wall time 1:02:05 over all parts",
        "- 12.3 clips/s (median, all processes); 26% of training waited for data",
        "- memory of the main process: 2,048 MiB resident, 10,240 MiB at most on the CUDA device",
        "- train: `train.txt`, 12,000 videos, sha256 `ab12`",
        "- val: `videos`, 20 videos, sha256 `none`",
        "CONFIG.TRAIN.LR: 0.5",
        "2 in training. Another video took the place of each.",
    ):
        assert line in page.splitlines()
    assert "epoch 2 step 8 | 0:02:05 | finished |" in page and "epoch 1 | 1:00:00 | killed |" in page
    assert page.index("- `/v/a.mp4`: is cut") < page.index("- `/v/b.mp4`: is empty")
    assert len(page.splitlines()) < 60, "one page"


def test_accuracies_of_the_average_of_the_weights_have_rows_of_their_own():
    averaged = {f"ema_{name}": 0.25 for name in ("top1", "top5", "mean_class")}
    totals = replace(TOTALS, last=val(3, 0.7) | averaged)
    rows = [line for line in summary_text(facts(Path("runs/tiny")), totals, {}).splitlines() if line.startswith(("| best", "| last"))]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| best", "0.7500"], ["| last", "0.7000"], ["| last, average of the weights", "0.2500"],
    ]  # fmt: skip


def test_page_of_a_run_without_numbers_is_short_and_true():
    page = summary_text(facts(Path("runs/tiny")), RunTotals(parts=[Part(0, 0, 1e9, 4.0, "stopped by Ctrl-C")]), {})
    assert "**stopped by Ctrl-C**, after 0 of 4 epochs" in page
    assert "No validation has been made." in page and "None in training." in page and "resumed" not in page
    assert "- wall time 0:00:04\n" in page and "clips/s" not in page


def test_page_names_at_most_20_bad_videos():
    page = summary_text(facts(Path("runs/tiny")), TOTALS, {f"/v/{number:03}.mp4": "is cut" for number in range(50)})
    assert page.count("is cut") == 20 and "- and 30 more; the log names them" in page


BAD = SimpleNamespace(reasons={"/v/a.mp4": "is cut"})


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyboardInterrupt(), "stopped by Ctrl-C"),
        (SystemExit(75), "stopped with exit code 75"),
        (UserError("The loss is nan.\nLower it."), "stopped: The loss is nan."),
        (ZeroDivisionError("by zero"), "failed: ZeroDivisionError: by zero"),
    ],
)
def test_every_end_of_a_run_writes_the_page_with_the_reason(tmp_path, error, text):
    assert ended_text(error) == text

    record = RunRecord(tmp_path, start=RunState(), num_steps=5)
    with pytest.raises(type(error)), summarized(record, facts(tmp_path), BAD):
        raise error
    page = (tmp_path / "summary.md").read_text()
    assert f"**{text}**, after 0 of 4 epochs" in page and "- `/v/a.mp4`: is cut" in page
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["ended"] == text


def test_page_that_cannot_be_written_hides_no_error(tmp_path, caplog):
    record = RunRecord(tmp_path / "run", start=RunState(), num_steps=5)
    with pytest.raises(ZeroDivisionError, match="the cause"), summarized(record, facts(tmp_path / "nowhere"), BAD):
        raise ZeroDivisionError("the cause")
    assert "nowhere/summary.md cannot be written" in caplog.records[-1].message
