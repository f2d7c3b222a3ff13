"""The one command over all others: its names, groups and help, and what it says to an unknown name."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from vidrec.__main__ import COMMANDS, SHORT, main

ROOT = Path(__file__).resolve().parents[1]
MODULES = [module for group in COMMANDS.values() for module in group]


def test_every_file_of_tools_has_its_command_here():
    in_tools = {path.stem.removesuffix("_ddp_pytorch").removesuffix("_pytorch") for path in (ROOT / "tools").glob("*.py")}
    assert in_tools <= set(MODULES)
    assert len(MODULES) == len(set(MODULES)) and set(SHORT) <= set(MODULES)


def test_help_names_each_command_once_in_its_group(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    assert named == [SHORT.get(module, module.replace("_", "-")) for module in MODULES]
    assert {"train", "test", "predict", "features", "flops", "fps", "export", "list", "check-data", "report"} <= set(named)
    assert [line for line in lines if line.endswith(":")] == [f"{group}:" for group in COMMANDS]
    assert "(get_flops)" in next(line for line in lines if line.startswith("  flops "))


@pytest.mark.parametrize("name", ["list", "list_models", "list-models"])
def test_short_name_and_both_spellings_of_the_long_one_run_the_same(name, capsys):
    assert main([name, "c3d*"]) == 0
    assert "c3d_kinetics400" in capsys.readouterr().out


@pytest.mark.parametrize("short", sorted(SHORT))
def test_short_name_takes_the_arguments_of_its_command(short, capsys):
    answers = []
    for name in (SHORT[short], short):
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        answers.append((ended.value.code, capsys.readouterr().out))
    assert answers[0] == answers[1] and answers[0][0] == 0 and "usage:" in answers[0][1]


def test_usage_names_what_was_typed():
    def usage(*command):
        return subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True).stdout.split("[")[0]

    assert usage("-m", "vidrec", "predict") == "usage: vidrec predict "
    assert usage("-m", "vidrec", "prepare", "kinetics") == "usage: vidrec prepare kinetics "
    assert usage("tools/inference.py") == "usage: inference.py "


@pytest.mark.parametrize("module", MODULES)
def test_every_command_has_a_main(module):
    assert callable(importlib.import_module(f"vidrec.commands.{module}").main)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tran", " Did you mean 'train'?"),
        ("check_dat", " Did you mean 'check-data'"),
        ("flop", " Did you mean 'flops'"),
        ("infer", " Did you mean 'predict'?"),
        ("zzzz", "\n"),
    ],
)
def test_unknown_command_is_told_with_close_names(name, hint, capsys):
    assert main([name]) == 2
    out, error = capsys.readouterr()
    assert error.startswith(f"{name!r} is not a command of vidrec.{hint}") and "`vidrec --help` lists the commands." in error
    assert out == ""


def test_no_command_lists_them_and_fails_and_the_version_is_said(capsys):
    assert main([]) == 2
    assert "train and apply networks:" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "vidrec 0.1.0\n"
