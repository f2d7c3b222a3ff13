"""The costs of a config's network, as a user asks for them."""

import pytest
from tool_runs import ROOT, run_tool, write_config

from vidrec.commands.get_flops import main, report
from vidrec.engine.costs import Costs, PartCosts

TSN = ["--config-file", str(ROOT / "configs" / "custom" / "resnet50_v1b.yaml"), "CONFIG.MODEL.NAME", "resnet18_v1b_kinetics400"]


@pytest.fixture
def tiny(tmp_path):
    """A config that asks for weights and videos that are not there; nothing may look for them."""
    return write_config(tmp_path / "tiny.yaml", tmp_path / "no_data", tmp_path / "runs")


def printed(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_table_has_input_totals_and_parts(tiny, capsys):
    lines = printed(capsys, "--config-file", tiny)
    assert lines[0] == f"network       {tiny}, 8 classes"
    assert lines[1] == "input         4 frames, 32 x 32 pixels"
    assert lines[2:5] == [
        "multiply-adds 2809.92 k (2,809,920)",
        "parameters    3.96 k (3,956; trainable: all)",
        "activations   18.44 k (18,440)",
    ]
    # Stem: 4 channels at 4 x 16 x 16 places, 3 * 3*7*7 multiply-adds each and 2 of the BatchNorm. Stage 0: 4*4*27 + 4*4*9 and 2 * 2*4 a
    # place. Stage 1: 4*8*27 + 8*8*9 + 4*8 of the shortcut and 3 * 2*8 of BatchNorms, at 4 x 8 x 8 places. Head: 8 * 8.
    assert [line.split() for line in lines[6:12]] == [
        ["part", "multiply-adds,", "k", "%", "parameters,", "k", "activations,", "k"],
        ["backbone.stem", "1814.53", "64.6", "1.77", "4.10"],
        ["backbone.stages.0", "606.21", "21.6", "0.59", "8.19"],
        ["backbone.stages.1", "389.12", "13.8", "1.52", "6.14"],
        ["head", "0.06", "0.0", "0.07", "0.01"],
        ["total", "2809.92", "100.0", "3.96", "18.44"],
    ]
    assert lines[-2].startswith("One multiply-add counts 1: convolutions,")
    assert lines[-1] == "Not counted, as is usual (calls): add (2), mean (1)."


def test_weights_and_data_are_not_looked_for(tiny, tmp_path, capsys):
    more = ("CONFIG.MODEL.LOAD", "True", "CONFIG.MODEL.PRETRAINED_PATH", tmp_path / "missing.pth", "CONFIG.MODEL.PRETRAINED_BASE", "True")
    assert printed(capsys, "--config-file", tiny, *more)[1:] == printed(capsys, "--config-file", tiny)[1:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yaml"]


def test_clip_of_the_command_line_goes_before_the_configs(tiny, capsys):
    longer = printed(capsys, "--config-file", tiny, "--num-frames", "8", "--input-size", "64")
    assert longer[1] == "input         8 frames, 64 x 64 pixels"


def test_sparse_network_gets_all_its_segments(capsys):
    lines = printed(capsys, *TSN, "CONFIG.DATA.NUM_CLASSES", "400")
    frames = int(lines[1].split()[1])
    assert lines[0] == "network       resnet18_v1b_kinetics400, 400 classes"
    assert lines[2].endswith(f" G ({(12729906176 - 400 * 512) * frames // 7 + 400 * 512:,})")  # golden: 7 frames, one classification
    assert lines[3] == "parameters    11.38 M (11,381,712; trainable: all)"


def test_frozen_norms_are_not_trainable(capsys):
    lines = printed(capsys, *TSN, "CONFIG.DATA.NUM_CLASSES", "400", "CONFIG.MODEL.BN_FROZEN", "True")
    assert lines[3] == "parameters    11.38 M (11,381,712; trainable: 11,372,112)"


@pytest.mark.parametrize(("option", "unit"), [("--num-frames", "frame"), ("--input-size", "pixel")])
def test_option_must_be_positive(option, unit, tiny, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", str(tiny), option, "0"])
    assert caught.value.code == 1
    assert f"{option} is 0; it must be at least 1 {unit}. Give a larger number, or leave it out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-frames", "2"], "The clip has 2 frames; this I3DResNet needs at least 5"),
        (
            ["--input-size", "9999999999"],
            "A clip of 32 frames with 9999999999 x 9999999999 pixels does not pass through this I3DResNet + PoolHead",
        ),
    ],
)
def test_clip_that_the_network_cannot_take_is_one_message(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", str(ROOT / "configs" / "custom" / "i3d_resnet50_v1.yaml"), *arguments])
    error = capsys.readouterr().err
    assert caught.value.code == 1
    assert error.startswith(message) and len(error.splitlines()) == 1


def test_mistake_in_the_config_is_one_message(tiny, capsys):
    with pytest.raises(SystemExit):
        main(["--config-file", str(tiny), "CONFIG.MODEL.BACKBONE.TYPE", "I3DResNett"])
    assert "I3DResNet" in capsys.readouterr().err


def test_operator_that_the_count_lacks_is_shouted():
    costs = Costs(20, 3, 2, 5, (PartCosts("head", 20, 3, 5),), {"add": 2, "fft": 1})
    lines = report("toy", "1 frames", costs).splitlines()
    assert lines[2:5] == ["multiply-adds 0.02 k (20)", "parameters    0.00 k (3; trainable: 2)", "activations   0.01 k (5)"]
    assert lines[-2] == "Not counted, as is usual (calls): add (2)."
    assert lines[-1] == "NOT COUNTED because fvcore does not know it (calls): fft (1). The multiply-adds above are too few by that."


def test_tool_prints_the_table_and_no_warning(tiny):
    done = run_tool("get_flops.py", "--config-file", tiny)
    assert done.stdout.startswith("network ") and done.stderr == ""
