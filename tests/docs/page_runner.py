"""Runs the blocks of a page, in order, in a scratch folder that looks like a fresh checkout with the demo data and one run."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml
from blocks import ROOT, SHELL, Block
from cluster_stubs import two_nodes
from warm_python import write_shim

from vidrec.commands.runs import load_run_config
from vidrec.utils.errors import UserError

HERE = Path(__file__).parent
BLOCK_SECONDS = 600  # many times what a block takes, for machines that are busy
LINKED = ("vidrec", "model_zoo", "tests", "docs", "hubconf.py", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "Makefile")
COPIED = ("tools", "configs")
FRAGMENT = "_BASE_: configs/demo/i3d_tiny.yaml\n"  # what a YAML block without a network is laid over


class Failure(NamedTuple):
    """What went wrong with a block."""

    where: str
    said: str

    def __str__(self) -> str:
        return f"{self.where}\n{self.said}"


def make_checkout(folder: Path, demo: Path, run: Path | None = None, shared: Path | None = None) -> Path:
    """A folder like the checkout: with demo_data, runs/i3d_tiny and, where it is there, the folder of real videos beside it."""
    checkout = folder / "checkout"
    checkout.mkdir(parents=True)
    for name in filter(lambda name: (ROOT / name).exists(), LINKED):
        (checkout / name).symlink_to(ROOT / name)
    for name in COPIED:
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(demo, checkout / "demo_data")
    videos = sorted((demo / "val").glob("*.mp4"))[:3]
    (checkout / "videos").mkdir()
    for video in videos:
        shutil.copy(video, checkout / "videos")
        shutil.copy(video, checkout / "video.mp4")
    if run:
        shutil.copytree(run, checkout / "runs" / "i3d_tiny")
    if shared and shared.is_dir():
        (folder / "shared").symlink_to(shared)
    return checkout


def environment(folder: Path, address: Path) -> dict[str, str]:
    """Of the page's programs: the warm Python and a cluster of this machine on the path, caches of their own, nothing from outside."""
    programs = folder / "bin"
    cluster = two_nodes(programs)
    write_shim(programs, address)
    own = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "VIDREC_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "Agg",
    }
    return os.environ | own | cluster | {"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}


class PageRunner:
    """Runs blocks in a checkout.

    Args:
        checkout: the scratch folder.
        env: of the programs.
    """

    def __init__(self, checkout: Path, env: dict[str, str]):
        self.checkout, self.env = checkout, env
        self.state = checkout / ".shell_state"  # what one block exports, and where it goes, holds for the next
        self.state.write_text("")
        self.session: subprocess.Popen | None = None

    def run(self, blocks: list[Block]) -> list[Failure]:
        """Runs every block that is to be run, and goes on after one that failed."""
        try:
            said = [(block.where, self._run_one(block)) for block in blocks if self.is_run(block)]
        finally:
            if self.session:
                self.session.stdin.close()
                self.session.wait(60)
        return [Failure(where, text) for where, text in said if text]

    def is_run(self, block: Block) -> bool:
        """False of blocks that are marked, and of those that need what is not there."""
        return not block.not_run and (not block.needs or (self.checkout / block.needs).exists())

    def _run_one(self, block: Block) -> str:
        if block.file:
            return self._write(block)
        if block.language in SHELL:
            return self._shell(block)
        if block.language == "python":
            return self._python(block)
        return self._config(block) if block.language == "yaml" else ""

    def _write(self, block: Block) -> str:
        path = self.checkout / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        return ""

    def _shell(self, block: Block) -> str:
        script = f'. {self.state}\nset -eo pipefail\n{block.commands}\n{{ export -p; echo cd "$PWD"; }} >{self.state}'
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.checkout,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said = process.communicate(timeout=BLOCK_SECONDS)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return f"took more than {BLOCK_SECONDS} s"
        right = process.returncode != 0 and block.fails in said if block.fails else process.returncode == 0
        return "" if right else f"status {process.returncode}\n{block.commands}\n{said[-3000:]}"

    def _python(self, block: Block) -> str:
        if self.session is None:
            command = ["bash", "-c", f". {self.state}; exec python {HERE / 'python_session.py'}"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.session = subprocess.Popen(command, cwd=self.checkout, env=self.env, text=True, **pipes)
        path = self.checkout / f"block_{block.line}.py"
        path.write_text(block.text, encoding="utf-8")
        self.session.stdin.write(f"{path}\n")
        self.session.stdin.flush()
        answer = self.session.stdout.readline()
        return json.loads(answer) if answer else "the Python session ended"

    def _config(self, block: Block) -> str:
        """Loads a piece of config, over the demo's where it has no network of its own."""
        found = yaml.safe_load(block.text)
        if not isinstance(found, dict) or not set(found) <= {"_BASE_", "CONFIG", "DDP_CONFIG"}:
            return "a YAML block begins with CONFIG, DDP_CONFIG or _BASE_, so that it can be loaded"
        path = self.checkout / "block.yaml"
        path.write_text(block.text if "_BASE_" in found else FRAGMENT + block.text, encoding="utf-8")
        try:
            load_run_config(str(path), ())
        except UserError as error:
            return str(error)
        return ""
