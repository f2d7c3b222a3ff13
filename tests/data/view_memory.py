"""A script: how much memory 250 views of a 10-second video take beside its decoded frames. Linux only.

python tests/data/view_memory.py [FRAMES_PER_VIEW]     (a process of its own, so that nothing else counts)
"""

import json
import multiprocessing
import sys
import tempfile
from pathlib import Path

import torch

from vidrec.commands.pan_videos import generate_videos
from vidrec.data.annotations import VideoTable
from vidrec.data.multiview import MultiViewDataset
from vidrec.engine.tester import Tester


class Brightness(torch.nn.Module):
    """The smallest network there is, so that the views alone are measured: the mean of each channel."""

    def forward(self, clips):
        return clips.mean((2, 3, 4))


def peak_bytes(reset: bool = False) -> int:
    """The most memory that this process has held at once since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def measure(clip_len: int) -> dict[str, float]:
    """25 clips x 10 crops (5 of them mirrored) of a generated video of 340x256 pixels, in MB at the peak.

    `decoding` and `views` are what reading the video, and then the whole test of it, take beside its `frames`.
    """
    torch.set_num_threads(1)
    average = {"device": torch.device("cpu"), "mean": (0.5,) * 3, "std": (0.5,) * 3, "views_per_batch": 8 if clip_len > 1 else 50}
    tester = Tester(Brightness(), **average)
    with tempfile.TemporaryDirectory() as folder:
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # what generating leaves behind does not count
            (path,) = pool.apply(generate_videos, (Path(folder), 1))
        table = VideoTable.from_paths([str(path)])
        places = {"crop_size": 224, "clip_starts": "segment_centers", "crops": "corners"}
        dataset = MultiViewDataset(table, clip_len=clip_len, frame_stride=2, num_clips=25, num_crops=10, **places)
        tester.run([MultiViewDataset(table, clip_len=1, frame_stride=1, **places)[0]], num_videos=1)  # libraries do not count
        before = peak_bytes(reset=True)
        videos = [dataset[0]]
        decoding = peak_bytes() - before
        frames = videos[0].frames
        tester.run(videos, num_videos=1)
        both = peak_bytes() - before
    numbers = {"frames": frames.nbytes, "decoding": decoding - frames.nbytes, "views": both - frames.nbytes}
    return {name: round(value / 1e6, 1) for name, value in numbers.items()} | {"num_views": len(videos[0].views), "count": len(frames)}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 32)))
