"""250 views of a 10-second video take little memory beside its decoded frames, since views are slices."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("view_memory.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("clip_len", [32, 1])
def test_250_views_of_10_seconds_stay_under_400_megabytes_beside_the_frames(clip_len):
    done = subprocess.run([sys.executable, str(SCRIPT), str(clip_len)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout.splitlines()[-1])
    assert memory["num_views"] == 250
    assert 0 < memory["decoding"] <= memory["views"] < 400
    if clip_len == 32:
        assert 70 < memory["frames"] < 85  # all the frames are there, once: 300 at most of 256 x 340
