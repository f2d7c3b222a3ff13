"""Fixtures of the tests of data."""

from collections.abc import Callable
from pathlib import Path

import pytest
from video_files import write_video


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "video.mp4", num_frames: int = 10, **options) -> Path:
        return write_video(tmp_path / name, num_frames, **options)

    return make
