"""Learning rates per epoch against literal tables and against the reference's measured ones."""

import json
from itertools import pairwise

import pytest

from vidrec.engine.schedule import BatchScale, Schedule


def rates(**arguments) -> list[float]:
    schedule = Schedule(**arguments)
    return [schedule.lr(epoch) for epoch in range(schedule.num_epochs)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"base_lr": 1.0, "num_epochs": 6, "milestones": (2, 4)}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ({"base_lr": 2.0, "num_epochs": 3, "milestones": (), "factor": 0.5}, [2, 2, 2]),
        ({"base_lr": 1.0, "num_epochs": 4, "milestones": (1,), "factor": 0.5}, [1, 0.5, 0.5, 0.5]),
        ({"base_lr": 1.0, "num_epochs": 4, "milestones": (2,), "scales": (8, 4, 2, 1)}, [8, 4, 0.2, 0.1]),
        ({"base_lr": 0.3, "num_epochs": 4, "milestones": (), "warmup_epochs": 2, "scales": (8, 8, 1, 1)}, [0.8, 1.6, 0.3, 0.3]),
        ({"base_lr": 0.1, "num_epochs": 4, "policy": "Cosine"}, [0.1, 0.0853553391, 0.05, 0.0146446609]),
        (
            {"base_lr": 0.1, "num_epochs": 6, "policy": "Cosine", "warmup_epochs": 2, "warmup_start_lr": 0.02},
            [0.02, 0.06, 0.1, 0.0853553391, 0.05, 0.0146446609],
        ),
        ({"base_lr": 0.3, "num_epochs": 4, "policy": "Cosine", "warmup_epochs": 2}, [0.1, 0.2, 0.3, 0.15]),
        ({"base_lr": 0.3, "num_epochs": 5, "milestones": (4,), "warmup_epochs": 2}, [0.1, 0.2, 0.3, 0.3, 0.03]),
        # A milestone inside the warm-up lowers the height of the ramp, so that the junction stays continuous.
        ({"base_lr": 3.0, "num_epochs": 4, "milestones": (1,), "warmup_epochs": 2}, [0.1, 0.2, 0.3, 0.3]),
        ({"base_lr": 1.0, "num_epochs": 5, "policy": "Cosine", "end_lr": 0.2, "warmup_epochs": 1}, [0.5, 1, 0.88284271, 0.6, 0.31715729]),
        ({"base_lr": 1.0, "num_epochs": 4, "policy": "Linear"}, [1, 0.75, 0.5, 0.25]),
        ({"base_lr": 1.0, "num_epochs": 4, "policy": "Linear", "end_lr": 0.6}, [1, 0.9, 0.8, 0.7]),
        ({"base_lr": 1.0, "num_epochs": 4, "policy": "Poly"}, [1, 0.5625, 0.25, 0.0625]),
        ({"base_lr": 1.0, "num_epochs": 4, "policy": "Poly", "power": 3.0, "end_lr": 0.5}, [1, 0.7109375, 0.5625, 0.5078125]),
        ({"base_lr": 0.3, "num_epochs": 4, "policy": "Constant", "warmup_epochs": 2}, [0.1, 0.2, 0.3, 0.3]),
        # From and to stated rates: the ramp aims at 0.5, the policy takes over with its own rate.
        (
            {"base_lr": 0.3, "num_epochs": 4, "policy": "Constant", "warmup_epochs": 2, "warmup_start_lr": 0.1, "warmup_to_lr": 0.5},
            [0.1, 0.3, 0.3, 0.3],
        ),
        ({"base_lr": 0.3, "num_epochs": 3, "policy": "Constant", "warmup_epochs": 2, "warmup_to_lr": 0.6}, [0.2, 0.4, 0.3]),
        # A warm-up longer than the run: the ramp is cut off.
        ({"base_lr": 0.4, "num_epochs": 2, "policy": "Cosine", "warmup_epochs": 3}, [0.1, 0.2]),
    ],
)
def test_table_of_rates(arguments, expected):
    assert rates(**arguments) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"policy": "Linear"}, [1, 0.875, 0.75, 0.625, 0.5, 0.4375, 0.375, 0.3125, 0.25, 0.125]),
        ({"policy": "Constant", "warmup_epochs": 2}, [0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 1]),
        ({"policy": "Constant", "warmup_epochs": 3, "warmup_start_lr": 0.4}, [0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1, 1]),
        ({"policy": "Step", "milestones": (1, 3)}, [1] * 2 + [0.1] * 6 + [0.01] * 2),
    ],
)
def test_table_of_rates_per_step_with_epochs_of_several_lengths(arguments, expected):
    """Epochs of 2, 2, 4 and 2 steps."""
    schedule = Schedule(base_lr=1.0, num_epochs=4, per_step=True, **arguments)
    found = [schedule.lr(epoch, step, steps) for epoch, steps in enumerate((2, 2, 4, 2)) for step in range(steps)]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("policy", ["Step", "Cosine"])
@pytest.mark.parametrize("start", [0.0, 1e-4, 0.05])
@pytest.mark.parametrize("warmup", [1, 2, 7, 34])
def test_warm_up_arrives_where_the_policy_starts(policy, start, warmup):
    schedule = Schedule(0.01, 196, policy, (40, 80), warmup_epochs=warmup, warmup_start_lr=start)
    ramp = [schedule.lr(epoch) for epoch in range(warmup + 1)]
    whole = [0.0, *ramp] if start == 0.0 else ramp
    steps = [after - before for before, after in pairwise(whole)]
    assert ramp[-1] == pytest.approx(0.01, rel=1e-12)
    assert min(ramp) > 0.0
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-9), "equal steps up to the policy's first epoch"


def test_rates_of_the_reference_but_for_its_repeated_epoch(shared):
    golden = json.loads((shared / "golden/data_semantics.json").read_text())["lr_schedule"]["train_ddp_pytorch_lr0.01_warm34_ep196"]
    ours = rates(base_lr=0.01, num_epochs=196, policy="Cosine", warmup_epochs=34, warmup_start_lr=1e-12)
    assert ours[:35] == pytest.approx(golden[:35], abs=1e-9)
    # The reference stays at the top for epochs 34 and 35; its cosine is ours one epoch later.
    assert ours[34:195] == pytest.approx(golden[35:196], abs=1e-9)


@pytest.mark.parametrize(
    ("scale", "factor", "text"),
    [
        ((8, 2, 16, 32), 8.0, "8 per process x 2 accumulated x 16 processes = 256: LR 0.01 -> 0.08"),
        ((8, 1, 2, 64), 0.25, "8 per process x 1 accumulated x 2 processes = 16: LR 0.01 -> 0.0025"),
        ((8, 2, 16, 0), 1.0, "8 per process x 2 accumulated x 16 processes = 256: LR 0.01 as it is (LR_SCALE_BATCH 0)"),
    ],
)
def test_linear_scaling_is_said_whether_asked_for_or_not(scale, factor, text):
    assert BatchScale(*scale).factor == factor
    assert BatchScale(*scale).text(0.01) == text
