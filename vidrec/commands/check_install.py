"""Tells whether the packages that vidrec needs load and read a video, with their versions and the devices, or what to do where not."""

import importlib
import importlib.metadata
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vidrec.commands.cli import new_parser, run_command
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
OTHER_AV = "Take another version: python -m pip install 'av<20'; and please report this one."
FRAMES, SIDE = 8, 32  # of the video that is written and read
GRAY_STEP, TOLERANCE = 25, 6  # from frame to frame, and what encoding may change, of 255


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    new_parser("check_install.py", description=__doc__).parse_args(argv)
    return run_command(check_install)


def check_install() -> None:
    """Prints a line for each package, and reads a video. Raises UserError naming every package that does not load, with its remedy."""
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
    _read_video()
    print(f"video        {FRAMES} frames written and read")
    print(f"devices      {_devices()}")


def _read_video() -> None:
    """Writes a video and reads it as data sets do. Raises UserError where that fails, as it would for every video."""
    import numpy as np

    from vidrec.commands.make_demo_data import encode_video
    from vidrec.data.decoders import open_video

    grays = np.arange(FRAMES, dtype=np.uint8) * GRAY_STEP
    with tempfile.TemporaryDirectory(prefix="vidrec-check-") as folder:
        path = Path(folder) / "gray.mp4"
        try:
            encode_video(path, (np.full((SIDE, SIDE, 3), gray, np.uint8) for gray in grays), height=SIDE, width=SIDE)
            with open_video(path, "auto") as reader:
                frames = reader.get_frames(range(len(reader)))
        except Exception as error:  # whatever a version of PyAV that nobody has tried comes up with
            raise UserError(f"av {_version('av')} cannot write and read a video ({type(error).__name__}: {error}). {OTHER_AV}") from error
    found = frames.numpy().mean((1, 2, 3))
    if len(found) != FRAMES or abs(found - grays).max() > TOLERANCE:
        raise UserError(f"av {_version('av')} reads grays of {found.round(1).tolist()} where {grays.tolist()} were written. {OTHER_AV}")


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
