"""`--help` and config checking answer at once: torch and the decoders are imported where they are used."""

import json
import os
import resource
import subprocess
import sys

import pytest
from house_source import ROOT, module_name, python_files

HEAVY = ("torch", "torchvision", "cv2", "av", "decord", "torchmetrics", "tensorboard")
SECONDS = 2.0

PROBE = """
import json, runpy, sys
kind, target = sys.argv[1:3]
status = 0
if kind == "import":
    __import__(target)
else:
    sys.argv = [target, "--help"]
    try:
        (runpy.run_path if kind == "file" else runpy.run_module)(target, run_name="__main__")
    except SystemExit as stop:
        status = stop.code or 0
print("\\n" + json.dumps({"status": status, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def probe(kind: str, target: str) -> tuple[dict, str, float]:
    """Runs a tool's help or an import in a fresh Python: (status and modules, output, CPU seconds).

    CPU time and not the clock's, so that a busy machine does not fail the test.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    run = subprocess.run([sys.executable, "-c", PROBE, kind, target], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode == 0, run.stderr
    output, _, last = run.stdout.rstrip("\n").rpartition("\n")
    return json.loads(last), output, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("path", [str(path) for path in python_files("tools")])
def test_help_of_a_tool_answers_at_once_without_torch(path):
    result, output, seconds = probe("file", path)
    assert result["status"] == 0
    assert "usage:" in output and "--help" in output
    assert not set(HEAVY) & set(result["modules"])
    assert seconds < SECONDS


LIGHT = ["vidrec", "vidrec.config", "vidrec.registry", "vidrec.utils.errors", *map(module_name, python_files("vidrec/commands"))]


@pytest.mark.parametrize("module", LIGHT)
def test_import_does_without_torch_and_decoders(module):
    result, _, seconds = probe("import", module)
    assert not set(HEAVY) & set(result["modules"])
    assert seconds < SECONDS


def test_help_of_the_package_lists_its_commands():
    result, output, seconds = probe("module", "vidrec")
    assert result["status"] == 0
    assert "train" in output and "test" in output
    assert not set(HEAVY) & set(result["modules"])
    assert seconds < SECONDS
