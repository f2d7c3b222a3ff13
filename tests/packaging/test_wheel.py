"""The wheel: what is in it, and that it runs outside the checkout."""

import configparser
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[2]
BUILD_INPUTS = ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE", "SECURITY.md", "vidrec", "model_zoo")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, built from a copy so that the checkout gets no build folder."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    copy.mkdir()
    for name in BUILD_INPUTS:
        copy_one = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy_one(ROOT / name, copy / name)
    build = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(copy)]
    run = subprocess.run([sys.executable, "-m", *build], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    return next(folder.glob("vidrec-*.whl"))


@pytest.fixture(scope="module")
def fresh_python(wheel, tmp_path_factory) -> Path:
    """Python of a fresh venv that has the wheel, and sees this environment's packages behind its own."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # A plain path in a .pth file adds the folder without running its own .pth files, and so without the editable vidrec.
    (site_packages / "parent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["-m", "pip", "install", "--no-deps", "--no-index", "--ignore-installed", "--quiet", str(wheel)]
    run = subprocess.run([python, *install], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    return python


def run_outside(python: Path, code: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([python, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)


def test_package_list_of_setup_cfg_is_what_is_on_disk():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    assert sorted(listed) == sorted([*find_packages(str(ROOT), include=["vidrec", "vidrec.*"]), "vidrec.model_zoo"])


def test_wheel_holds_the_packages_and_the_zoo_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0].split("-")[0] for name in names}
    assert tops == {"vidrec"}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "vidrec").rglob("*.py")}
    zoo = {f"vidrec/model_zoo/{path.relative_to(ROOT / 'model_zoo').as_posix()}" for path in (ROOT / "model_zoo").rglob("*.*")}
    pages = {f"vidrec/pages/{path.name}" for path in (ROOT / "vidrec/pages").glob("*.[cj]s*")}
    assert modules | pages | {name for name in zoo if "__pycache__" not in name and not name.endswith(".html")} <= set(names)
    assert not [name for name in names if name.endswith(".html")]  # a page made of the figures, 5 MB


def test_metadata_names_license_security_and_requirements(wheel):
    archive = zipfile.ZipFile(wheel)
    texts = {name.rsplit("/", 1)[-1]: name for name in archive.namelist() if ".dist-info/licenses/" in name}
    assert set(texts) == {"LICENSE", "SECURITY.md"}
    assert "Apache License" in archive.read(texts["LICENSE"]).decode()
    metadata_name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(metadata_name).decode())
    assert metadata["Name"] == "vidrec" and metadata["Requires-Python"] == ">=3.10"
    assert "Apache-2.0" in (metadata["License-Expression"], metadata["License"])
    assert metadata["Author"] == "vidrec developers"
    requirements = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert "torch>=2.10" in requirements
    assert not [line for line in requirements if "<" in line or "==" in line.split(";")[0]], "upper pins"


def test_wheel_runs_outside_the_checkout(fresh_python, tmp_path):
    code = "import vidrec; from vidrec.model_zoo import specs; print(vidrec.__file__); print(len(specs.names()))"
    run = run_outside(fresh_python, code, tmp_path)
    assert run.returncode == 0, run.stderr
    place, count = run.stdout.split()
    assert Path(place).is_relative_to(fresh_python.parents[1])
    assert int(count) > 0


def test_wheel_does_not_claim_the_name_model_zoo(fresh_python, tmp_path):
    run = run_outside(fresh_python, "import model_zoo", tmp_path)
    assert run.returncode != 0
    assert "ModuleNotFoundError: No module named 'model_zoo'" in run.stderr


def test_commands_of_the_wheel_answer_outside_the_checkout(fresh_python, tmp_path):
    run = subprocess.run([fresh_python, "-m", "vidrec", "train", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "--config-file" in run.stdout


def test_the_script_of_the_wheel_runs_the_same_commands(fresh_python, tmp_path):
    script = fresh_python.parent / "vidrec"
    for arguments, status, words in (
        (["list", "c3d*"], 0, "c3d_kinetics400"),
        (["--version"], 0, "vidrec 0.1.0"),
        (["tran"], 2, "'tran' is not a command of vidrec. Did you mean 'train'?"),
    ):
        run = subprocess.run([script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert (run.returncode, words in run.stdout + run.stderr) == (status, True), run.stderr
