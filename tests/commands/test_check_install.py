"""The check of the set-up, run in a fresh Python whose packages are broken in the ways users meet."""

import os
import subprocess
import sys

import pytest


def check_with(folder, **modules):
    """Runs the check with stand-in modules (name -> source) that shadow the installed ones."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    code = "import sys; from vidrec.commands.check_install import main; sys.exit(main([]))"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


def test_whole_installation_is_listed_with_versions_and_reads_a_video(tmp_path):
    run = check_with(tmp_path)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["python", "torch", "torchvision", "av", "cv2", "decord", "video", "devices"]
    assert lines[-2] == "video        8 frames written and read"


def test_pyav_that_cannot_open_videos_is_told_from_one_that_can(tmp_path):
    source = "import sys; sys.path.pop({0}); del sys.modules['av']; import av; av.open = lambda *words: av.no_such_name"
    place = f"next(n for n, folder in enumerate(sys.path) if folder == {str(tmp_path)!r})"
    run = check_with(tmp_path, av=source.format(place))
    assert run.returncode == 1
    assert "cannot write and read a video (AttributeError: module 'av' has no attribute 'no_such_name')" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        (
            "torchvision",
            "raise RuntimeError('operator torchvision::nms does not exist')",
            ["operator torchvision::nms does not exist", "Delete the virtual environment and let one command resolve both"],
        ),
        ("cv2", "raise ImportError('libGL.so.1: cannot open shared object file')", ["apt-get install libgl1", "opencv-python-headless"]),
        ("decord", "raise OSError('libdecord.so: invalid ELF header')", ["pip uninstall decord"]),
        ("av", "raise ModuleNotFoundError('No module named av', name='av')", ["av is not installed completely", "Install vidrec again"]),
        ("decord", "import numpy_of_yore", ["decord is not installed completely: No module named 'numpy_of_yore'"]),
    ],
)
def test_package_that_does_not_load_is_named_with_its_remedy(module, source, words, tmp_path):
    run = check_with(tmp_path, **{module: source})
    assert run.returncode == 1
    assert all(word in run.stderr for word in [module, *words]), run.stderr
    assert "Traceback" not in run.stderr


def test_decord_may_be_missing(tmp_path):
    run = check_with(tmp_path, decord="raise ModuleNotFoundError('No module named decord', name='decord')")
    assert run.returncode == 0
    assert "decord       not installed (optional)" in run.stdout
