"""Loggers by name and by entry point, and that none of them can stop a run."""

import importlib.util
import logging
import sys

import numpy as np
import pytest

from vidrec.engine.loggers import Loggers, RunInfo, find_logger, make_loggers
from vidrec.utils.errors import UserError

PACKAGE = '''
"""A logger of somebody's own."""

class FileLogger:
    def start(self, run, first_step):
        self.lines = open(run.folder / "own.txt", "a")
        self.write("start", run.name, first_step, sorted(run.changed))

    def write(self, *words):
        print(*words, file=self.lines, flush=True)

    def scalars(self, step, numbers):
        self.write("scalars", step, sorted(numbers.items()))

    def image(self, step, name, pixels):
        self.write("image", step, name, pixels.shape)

    def text(self, step, name, markdown):
        self.write("text", step, name, markdown)

    def finish(self, metrics, ended):
        self.write("finish", metrics, ended)
        self.lines.close()
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package whose entry points are a logger `own`, one that needs what is missing, and one that is not in it."""
    site = tmp_path / "site"
    (site / "own_logger-1.0.dist-info").mkdir(parents=True)
    (site / "own_logger.py").write_text(PACKAGE)
    (site / "own_broken.py").write_text("import a_package_that_is_not_there")
    (site / "own_logger-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own-logger\nVersion: 1.0\n")
    points = "[vidrec.loggers]\nown = own_logger:FileLogger\nbroken = own_broken:Logger\nabsent = own_logger:Other\n"
    (site / "own_logger-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("own_logger", None)


def info(folder):
    return RunInfo(name="run", folder=folder, log_dir=folder / "logs", changed={"TRAIN.LR": 0.5})


def test_logger_of_an_installed_package_gets_everything(package, tmp_path):
    loggers = make_loggers(["own"])
    loggers.start(info(tmp_path), 12)
    loggers.scalars(13, {"step/loss": 0.5})
    loggers.image(14, "val/confusion", np.zeros((4, 6, 3), dtype=np.uint8))
    loggers.text(14, "val/per_class", "| a |")
    loggers.finish({"final/best_top1": 0.75}, "finished")
    assert (tmp_path / "own.txt").read_text().splitlines() == [
        "start run 12 ['TRAIN.LR']",
        "scalars 13 [('step/loss', 0.5)]",
        "image 14 val/confusion (4, 6, 3)",
        "text 14 val/per_class | a |",
        "finish {'final/best_top1': 0.75} finished",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorbord", r"names 'tensorbord'; it must be one of .*mlflow, own, tensorboard, wandb.*Did you mean 'tensorboard'"),
        ("broken", r"'broken', which is own_broken:Logger of own-logger and cannot be imported \(No module named 'a_package_that_is"),
        ("absent", r"'absent', which is own_logger:Other of own-logger and cannot be imported .*pip install --force-reinstall own-logger"),
    ],
)
def test_logger_that_cannot_be_had_is_said_with_what_to_do(package, name, message):
    with pytest.raises(UserError, match=message):
        find_logger(name)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_service_that_is_not_installed_is_said_with_the_pip_command(name):
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed here")
    with pytest.raises(UserError, match=rf"names '{name}', whose package is not installed; .* Install it with `pip install {name}`"):
        find_logger(name)


def test_services_are_not_imported_by_the_default_logger():
    make_loggers(["tensorboard"])
    assert not {"wandb", "mlflow"} & set(sys.modules)


class Failing:
    """A service whose network is gone for the calls of these numbers, counted from 1."""

    def __init__(self, *failing, error=None):
        self.failing, self.error = failing, error or ConnectionError("no route to host")
        self.calls, self.got = 0, []

    def _call(self, *words):
        self.calls += 1
        if self.calls in self.failing:
            raise self.error
        self.got.append(words)

    def start(self, run, first_step):
        self._call("start")

    def scalars(self, step, numbers):
        self._call("scalars", step)

    def finish(self, metrics, ended):
        self._call("finish")


def test_logger_that_fails_is_said_once_and_called_again(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "vidrec")
    failing, well = Failing(2, 3), Failing()
    loggers = Loggers({"far": failing, "near": well}, rest_s=0.0)
    loggers.start(info(tmp_path), 0)
    for step in range(4):
        loggers.scalars(step, {})
    loggers.finish({}, "finished")
    assert failing.got == [("start",), ("scalars", 2), ("scalars", 3), ("finish",)]
    assert well.got == [("start",), *(("scalars", step) for step in range(4)), ("finish",)]
    assert [record.message for record in caplog.records] == [
        "the logger far fails (ConnectionError: no route to host); training goes on without it",
        "the logger far has missed 2 records; metrics.jsonl has all numbers",
    ]


def test_logger_that_failed_is_left_alone_for_a_while_but_ended(tmp_path, caplog):
    failing = Failing(2)
    loggers = Loggers({"far": failing}, rest_s=3600.0)
    loggers.start(info(tmp_path), 0)
    for step in range(3):
        loggers.scalars(step, {})
    loggers.finish({}, "finished")
    assert failing.got == [("start",), ("finish",)] and failing.calls == 3
    assert caplog.records[-1].message.startswith("the logger far has missed 3 records")


def test_logger_that_could_not_start_is_started_later(tmp_path):
    failing = Failing(1)
    loggers = Loggers({"far": failing}, rest_s=0.0)
    loggers.start(info(tmp_path), 0)
    loggers.scalars(1, {})
    assert failing.got == [("start",), ("scalars", 1)]


def test_what_a_user_can_mend_stops_the_run_at_the_start(tmp_path):
    loggers = Loggers({"own": Failing(1, error=UserError("The folder is no folder; make it one."))})
    with pytest.raises(UserError, match="make it one"):
        loggers.start(info(tmp_path), 0)


def log_a_run(name, folder):
    for first_step in (0, 5):  # the second is the run resumed
        loggers = make_loggers([name])
        loggers.start(info(folder), first_step)
        loggers.scalars(first_step, {"step/loss": 0.5, "step/lrs/head_biases": 0.25})
        loggers.image(first_step, "val/confusion", np.zeros((4, 6, 3), dtype=np.uint8))
        loggers.text(first_step, "val/per_class", "| a |")
        loggers.finish({"final/best_top1": 0.75}, "finished")


def test_mlflow_keeps_a_resumed_run_in_one_record(tmp_path, monkeypatch, caplog):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    log_a_run("mlflow", tmp_path)
    assert caplog.records == []
    (found,) = mlflow.search_runs(output_format="list")
    assert found.data.params == {"TRAIN.LR": "0.5"} and found.data.metrics["final/best_top1"] == 0.75
    history = mlflow.MlflowClient().get_metric_history(found.info.run_id, "step/loss")
    assert [(metric.step, metric.value) for metric in history] == [(0, 0.5), (5, 0.5)]


def test_wandb_writes_offline_without_a_failure(tmp_path, monkeypatch, caplog):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    log_a_run("wandb", tmp_path)
    assert caplog.records == []
    assert list((tmp_path / "logs" / "wandb").glob("offline-run-*"))
