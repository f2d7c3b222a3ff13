"""The commands that README names, and the environment they make."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def dry_run(*arguments: str) -> str:
    run = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def environment(tmp_path) -> Path:
    """A virtual environment's folder, as `make` leaves it for this checkout."""
    (tmp_path / "vidrec-checkout").write_text(f"{ROOT}\n")
    return tmp_path


def test_environment_of_this_checkout_is_used_as_it_is(environment):
    assert "pip install" not in dry_run("test", f"VENV={environment}")


@pytest.mark.parametrize("owner", [None, "/somewhere/else"])
def test_environment_of_nobody_or_another_checkout_is_installed_with_one_pip_command(owner, environment):
    stamp = environment / "vidrec-checkout"
    stamp.unlink() if owner is None else stamp.write_text(f"{owner}\n")
    lines = dry_run("test", f"VENV={environment}").splitlines()
    assert [line for line in lines if "pip install" in line] == [f"{environment}/bin/python -m pip install --editable '.[test]'"]
    assert f"{environment}/bin/python tools/check_install.py" in lines


def test_default_tests_leave_out_the_long_ones(environment):
    assert '-m "not slow and not browser and not gpu"' in dry_run("test", f"VENV={environment}")
    assert '-m "slow or browser or gpu"' in dry_run("test-slow", f"VENV={environment}")


def test_demo_makes_data_trains_and_tests(environment):
    lines = dry_run("demo", f"VENV={environment}").splitlines()
    tools = [next(word for word in line.split() if word.startswith("tools/")) for line in lines if "tools/" in line]
    assert tools == ["tools/make_demo_data.py", "tools/train_ddp_pytorch.py", "tools/test_ddp_pytorch.py"]
    assert all((ROOT / tool).is_file() for tool in tools)


def test_demo_makes_the_run_that_the_pages_go_on_from_and_may_be_typed_again(environment):
    train, test = (line for line in dry_run("demo", f"VENV={environment}").splitlines() if "--config-file" in line)
    assert train.endswith("CONFIG.LOG.EXP_NAME i3d_tiny CONFIG.TRAIN.RESUME auto") and test.endswith("CONFIG.LOG.EXP_NAME i3d_tiny")
    assert "PRETRAINED_PATH: runs/i3d_tiny/" in (ROOT / "docs/finetune.md").read_text(encoding="utf-8")


def test_docs_are_built_with_warnings_as_errors(environment):
    assert f"{environment}/bin/python -m sphinx -W --keep-going -q -b html -c docs . build/docs" in dry_run("docs", f"VENV={environment}")


def test_ci_runs_what_readme_names_and_nothing_else():
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make browser", "make test", "make test-slow"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
