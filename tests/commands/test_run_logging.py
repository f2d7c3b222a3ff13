"""What a run's page and loggers are told of it, and a run whose logger fails."""

import json
import sys

from vidrec.commands import train as train_command
from vidrec.commands.run_facts import command_line, run_info
from vidrec.config.load import changed_keys, load_config


def test_command_is_one_that_can_be_typed_again():
    assert command_line(["tools/train_ddp_pytorch.py", "--config-file", "my c.yaml"]) == (
        "python tools/train_ddp_pytorch.py --config-file 'my c.yaml'"
    )
    assert command_line(["/x/site-packages/vidrec/__main__.py", "train", "A", "1"]) == "python -m vidrec train A 1"
    assert command_line(["/venv/bin/vidrec", "train", "A", "b c"]) == "vidrec train A 'b c'"


def test_network_of_a_zoo_name_is_no_change_but_what_replaces_a_part_of_it_is(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("CONFIG: {MODEL: {NAME: i3d_resnet50_v1_kinetics400}}")
    assert changed_keys(load_config(file)) == {"CONFIG.MODEL.NAME": "i3d_resnet50_v1_kinetics400"}
    changed = changed_keys(load_config(file, ["CONFIG.MODEL.HEAD.DROPOUT", "0.25", "CONFIG.DATA.NUM_CLASSES", "7"]))
    assert changed == {"CONFIG.MODEL.NAME": "i3d_resnet50_v1_kinetics400", "CONFIG.MODEL.HEAD.DROPOUT": 0.25, "CONFIG.DATA.NUM_CLASSES": 7}


def test_hyper_parameters_are_what_changes_the_outcome(config):
    from vidrec.commands.runs import load_run_config

    info = run_info(load_run_config(str(config), ["CONFIG.LOG.LEVEL", "ERROR"]), config.parent / "runs" / "run")
    assert (info.name, info.log_dir) == ("run", config.parent / "runs" / "run" / "tb_log")
    assert info.changed["TRAIN.SEED"] == 3 and info.changed["MODEL.HEAD.TYPE"] == "PoolHead"
    assert not [key for key in info.changed if key.startswith("LOG")]
    assert "EPOCH_NUM: 2" in info.config


FLAKY = """
class Flaky:
    def start(self, run, first_step):
        self.seen = open(run.folder / "seen.txt", "a")
    def scalars(self, step, numbers):
        raise ConnectionError("the network is gone")
    def image(self, step, name, pixels):
        print(name, *pixels.shape, file=self.seen)
    text = image
    def finish(self, metrics, ended):
        print(ended, *sorted(metrics), file=self.seen)
        self.seen.close()
"""


def test_run_with_a_failing_logger_of_an_installed_package_finishes(config, tmp_path, monkeypatch):
    info = tmp_path / "site" / "flaky-1.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "flaky_logger.py").write_text(FLAKY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flaky\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[vidrec.loggers]\nflaky = flaky_logger:Flaky\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert train_command.main(["--config-file", str(config), "CONFIG.LOG.LOGGERS", "[flaky]"]) == 0
    sys.modules.pop("flaky_logger")
    folder = config.parent / "runs" / "run"
    log = (folder / "log.txt").read_text()
    assert log.count("the logger flaky fails (ConnectionError: the network is gone); training goes on without it") == 1
    assert "the logger flaky has missed" in log and not (folder / "tb_log").exists()
    seen = (folder / "seen.txt").read_text().splitlines()
    assert seen[0].startswith("train/clips ") and seen[-1].startswith("finished ") and "final/best_top1" in seen[-1].split()
    assert [json.loads(line)["kind"] for line in (folder / "metrics.jsonl").read_text().splitlines()].count("step") == 6
