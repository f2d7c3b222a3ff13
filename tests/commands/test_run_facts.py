"""What a run's page and loggers are told of it."""

from vidrec.commands.run_facts import command_line, run_info
from vidrec.config.load import changed_keys, load_config


def test_command_is_one_that_can_be_typed_again():
    assert command_line(["tools/train_ddp_pytorch.py", "--config-file", "my c.yaml"]) == (
        "python tools/train_ddp_pytorch.py --config-file 'my c.yaml'"
    )
    assert command_line(["/x/site-packages/vidrec/__main__.py", "train", "A", "1"]) == "python -m vidrec train A 1"


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
