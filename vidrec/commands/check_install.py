"""Tells whether the packages that vidrec needs load, with their versions and the devices, or what to do where one does not."""

import argparse
import importlib
import importlib.metadata
import platform
from collections.abc import Sequence

from vidrec.commands.cli import run_command
from vidrec.utils.errors import UserError

# Module, distribution, and what to do where loading it fails.
REINSTALL = "Install vidrec again: python -m pip install --editable '.[test]'"
PACKAGES = {
    "torch": ("torch", REINSTALL),
    "torchvision": (
        "torchvision",
        "torch and torchvision do not fit together, as when they were installed one after the other. Delete the virtual environment"
        " and let one command resolve both: python3 -m venv .venv && .venv/bin/python -m pip install --editable '.[test]'",
    ),
    "av": ("av", REINSTALL),
    "cv2": (
        "opencv-python",
        "Where libGL.so.1 or libgthread-2.0.so.0 is missing: apt-get install libgl1 libglib2.0-0, or take the wheel that does without:"
        " python -m pip uninstall opencv-python && python -m pip install opencv-python-headless",
    ),
    "decord": ("decord", "decord is optional: remove it (python -m pip uninstall decord) and videos are read with PyAV."),
}
OPTIONAL = ("decord",)  # has wheels for x86-64 Linux and Windows only


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    argparse.ArgumentParser(prog="check_install", description=__doc__).parse_args(argv)
    return run_command(check_install)


def check_install() -> None:
    """Prints a line for each package. Raises UserError naming every one that does not load, with its remedy."""
    print(f"python       {platform.python_version()}")
    problems = []
    for module, (distribution, remedy) in PACKAGES.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module or module not in OPTIONAL:
                problems.append(f"{module} is not installed completely: {error}. {REINSTALL}")
            else:
                print(f"{module:12} not installed (optional)")
        except (ImportError, OSError, RuntimeError) as error:
            problems.append(f"{module} {_version(distribution)} cannot be loaded: {error}. {remedy}")
        else:
            print(f"{module:12} {_version(distribution)}")
    if problems:
        raise UserError("\n".join(problems))
    print(f"devices      {_devices()}")


def _version(distribution: str) -> str:
    """Version of an installed distribution; opencv comes under several names, of which not all need to be there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(version unknown)"


def _devices() -> str:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(names) or "CPU only"
