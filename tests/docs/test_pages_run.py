"""Every command of README and docs/ runs, as a reader would type it, in a folder that looks like the checkout."""

import subprocess
import sys
from pathlib import Path

import pytest
from blocks import ROOT, pages, read_blocks
from page_runner import HERE, PageRunner, environment, make_checkout

pytestmark = pytest.mark.slow

# Followed word by word in tests/commands/test_component_pages.py, which looks at what comes out too.
ELSEWHERE = ("docs/add_backbone.md", "docs/add_head.md", "docs/add_dataset.md")


@pytest.fixture(scope="module")
def warm_python(tmp_path_factory):
    """The socket of a Python that has imported torch; it ends with the module's tests."""
    address = tmp_path_factory.mktemp("warm") / "socket"
    server = subprocess.Popen([sys.executable, str(HERE / "warm_python.py"), str(address)], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    yield address
    server.terminate()
    server.wait(30)


@pytest.fixture(scope="module")
def demo_run(warm_python, tmp_path_factory):
    """Demo data of few videos, and a run that configs/demo/i3d_tiny.yaml trained on them."""
    folder = tmp_path_factory.mktemp("demo_run")
    (folder / "demo_data").mkdir()
    checkout = make_checkout(folder, folder / "demo_data")
    config, env = "configs/demo/i3d_tiny.yaml", environment(folder, warm_python)
    for line in (
        "tools/make_demo_data.py --num-train 32 --num-val 8",
        f"tools/train_ddp_pytorch.py --config-file {config} CONFIG.LOG.EXP_NAME i3d_tiny",
        f"tools/test_ddp_pytorch.py --config-file {config} CONFIG.LOG.EXP_NAME i3d_tiny",
    ):
        run = subprocess.run(["python", *line.split()], cwd=checkout, env=env, capture_output=True, text=True, timeout=240)
        assert run.returncode == 0, run.stderr
    return checkout / "demo_data", checkout / "runs" / "i3d_tiny"


@pytest.mark.parametrize("page", [page for page in pages() if page not in ELSEWHERE])
def test_commands_of_a_page_run(page, demo_run, warm_python, tmp_path):
    runner = PageRunner(make_checkout(tmp_path, *demo_run, shared=Path(ROOT).parent / "shared"), environment(tmp_path, warm_python))
    blocks = read_blocks(page)
    if not any(runner.is_run(block) for block in blocks):
        pytest.skip("no block of this page is to be run")
    failures = runner.run(blocks)
    assert not failures, "\n\n".join(map(str, failures))
