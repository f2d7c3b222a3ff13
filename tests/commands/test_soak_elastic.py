"""Killed workers and agents under torchrun: the runs come back and end with the weights of a calm one."""

import pytest

from vidrec.commands import soak_elastic
from vidrec.commands.soak_elastic import Kill, row


@pytest.mark.slow
@pytest.mark.parametrize(("agents", "kills", "what"), [(1, 3, "worker"), (2, 1, "agent and worker")])
def test_killed_processes_come_back_once_and_end_with_the_same_weights(capsys, agents, kills, what):
    assert soak_elastic.main(["--kills", str(kills), "--agents", str(agents)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ") and f" | {what}" in line]
    assert len(rows) == kills and all("(1 restart) | equal |" in line for line in rows)


def test_a_kill_is_a_line_of_markdown():
    assert row(3, Kill("worker 1", 7, 4.56, 1, True)) == "| 3 | worker 1 | 7 | 4.6 (1 restart) | equal |"
    assert row(3, Kill("worker 1", 7, 4.56, 1, False)).endswith("| DIFFERENT |")
