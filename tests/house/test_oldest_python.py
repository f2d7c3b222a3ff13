"""Nothing needs a newer Python than setup.cfg and README name."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALL_CODE = ("vidrec", "model_zoo", "tools", "tests", "hubconf.py")


def vermin(*arguments: str) -> subprocess.CompletedProcess:
    command = [str(Path(sys.executable).with_name("vermin")), "--target=3.10-", "--no-tips", "--violations", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_all_code_runs_on_python_3_10():
    assert "python_requires = >=3.10\n" in (ROOT / "setup.cfg").read_text()
    assert "Python 3.10 or newer" in (ROOT / "README.md").read_text()
    found = vermin(*ALL_CODE)
    assert found.returncode == 0, found.stdout


def test_newer_ones_are_found(tmp_path):
    (tmp_path / "new.py").write_text("import hashlib\nhashlib.file_digest\n")
    found = vermin(str(tmp_path / "new.py"))
    assert found.returncode == 1 and "'hashlib.file_digest' member requires !2, 3.11" in found.stdout
