"""Who hangs and who is slow is named."""

import pytest
from process_runs import PLAIN, run

from vidrec.engine.heartbeat import Mark, hang_text, slow_ranks, slow_text


def test_marks_are_in_the_order_of_the_work():
    marks = [Mark(0, 1, 3), Mark(0, 1, 0), Mark(1, 0, 0), Mark(0, 2, 1)]
    assert sorted(marks) == [Mark(0, 1, 0), Mark(0, 1, 3), Mark(0, 2, 1), Mark(1, 0, 0)]


def test_the_ranks_that_did_not_arrive_are_named():
    text = hang_text(Mark(0, 4, 2), {3: (Mark(0, 4, 0), "b, process 7"), 1: (Mark(0, 3, 1), "a, process 5")}, wait_s=900)
    assert text.splitlines()[:3] == [
        "Nothing has moved for 900 s (DDP_CONFIG.GROUP_TIMEOUT) in `backward` of step 5 of epoch 1. Not arrived:",
        "  - rank 1 (a, process 5) is still at `forward` of step 4 of epoch 1",
        "  - rank 3 (b, process 7) is still at `next batch` of step 5 of epoch 1",
    ]


def test_an_exchange_that_hangs_itself_is_said():
    assert "All processes have come that far" in hang_text(Mark(0, 4, 2), {}, wait_s=900)


@pytest.mark.parametrize(
    ("medians", "slow"),
    [
        ([0.1, 0.1, 0.3], [2]),
        ([0.1, 0.3], [1]),
        ([0.1, 0.14], []),  # 40 %, 40 ms
        ([0.001, 0.04], []),  # 39 ms
        ([1.0, 1.4], []),  # 40 %
        ([0.3, 0.1, 0.1, 0.31, 0.1], [0, 3]),
        ([0.5], []),
    ],
)
def test_slow_ranks(medians, slow):
    assert slow_ranks(medians) == slow


def test_the_table_of_a_slow_rank():
    assert slow_text("next batch", [1], [(0.01, 0.02, 0.05), (0.2, 0.21, 0.3)], steps=50).splitlines() == [
        "Rank 1 is slow in `next batch`, and the others wait. Milliseconds of its own work in each of the last 50 steps:",
        "rank       min   median      max",
        "   0        10       20       50",
        "   1       200      210      300",
    ]


@pytest.mark.slow
def test_a_rank_that_hangs_is_named_with_its_step_and_both_end(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, slow="1,2,2,300", group_timeout=10)
    assert done.returncode == 1
    assert "Nothing has moved for 10 s (DDP_CONFIG.GROUP_TIMEOUT) in `backward` of step 3 of epoch 1." in done.stderr
    assert "  - rank 1 (" in done.stderr and "is still at `next batch` of step 3 of epoch 1" in done.stderr
    assert "Rank 1 hangs here:" in done.stderr and "in __getitem__" in done.stderr


@pytest.mark.slow
def test_a_rank_slowed_by_200_ms_is_named_within_one_interval(tmp_path):
    done = run(PLAIN, tmp_path, processes=2, epochs=5, slow="1,0,99,0.2", straggler_steps=4, group_timeout=9)
    assert done.returncode == 0
    assert "Rank 1 is slow in `next batch`, and the others wait." in done.stderr and "Rank 0 is slow" not in done.stderr
