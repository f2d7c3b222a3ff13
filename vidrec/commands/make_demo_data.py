"""Writes the demo data set: small mp4 files of eight motions, with annotation files for training and validation."""

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.cores import usable_cores
from vidrec.utils.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

FPS = 30
SPLITS = ("train", "val")
MANIFEST = "manifest.json"
MIN_SIZE = 32  # pixels; the sprite has no texture left below


@dataclass(frozen=True)
class DemoSet:
    """What decides every pixel of a data set before encoding."""

    num_train: int = 1200
    num_val: int = 160
    seed: int = 0
    frames: int = 30  # of a video
    size: int = 80  # height and width in pixels, even
    version: int = 1  # of the drawing; raised when equal parameters give other pixels

    def count(self, split: str) -> int:
        return self.num_train if split == "train" else self.num_val

    def check(self) -> None:
        """Raises DataError for parameters without a meaning."""
        if self.num_train < 1 or self.num_val < 1:
            raise DataError(f"--num-train is {self.num_train} and --num-val {self.num_val}; give at least 1 video each.")
        if self.seed < 0:
            raise DataError(f"--seed is {self.seed}; it must be at least 0. Give another one.")
        if self.frames < 2:
            raise DataError(f"--frames is {self.frames}; a motion needs at least 2 frames. Give a larger number.")
        if self.size < MIN_SIZE or self.size % 2:
            raise DataError(f"--size is {self.size}; H.264 needs an even number of pixels, here at least {MIN_SIZE}. Give such a number.")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    args = _parser().parse_args(argv)
    demo = DemoSet(num_train=args.num_train, num_val=args.num_val, seed=args.seed, frames=args.frames, size=args.size)
    return run_command(lambda: make_demo_data(args.out, demo, workers=args.workers, force=args.force))


def make_demo_data(out: Path, demo: DemoSet, *, workers: int = 0, force: bool = False) -> None:
    """Writes `train/`, `val/`, `train.txt`, `val.txt`, `classes.txt` and a manifest below `out`, or keeps a complete equal set.

    Args:
        workers: processes that draw and encode; 0: one per core. The videos do not depend on it.
        force: replace a demo data set that has other parameters.

    Raises:
        DataError: for senseless parameters, for a folder that holds something else, or where nothing can be written.
    """
    demo.check()
    try:
        if not _needs_writing(out, demo, force):
            print(f"{out} holds this demo data set already ({demo.num_train} + {demo.num_val} videos); kept.")
            return
        started = time.perf_counter()
        _write_set(out, demo, workers or usable_cores())
    except OSError as error:
        raise DataError(f"The demo data set cannot be written to {out}: {error}. Choose another folder with --out.") from error
    seconds = time.perf_counter() - started
    print(f"{demo.num_train} + {demo.num_val} videos of {demo.frames} frames written to {out} in {seconds:.1f} s.")


def video_name(split: str, index: int) -> str:
    """Path of a video below the data set's folder; labels go round the classes. Example: `train/00009_right.mp4`"""
    from vidrec.data.demo_motion import CLASSES

    return f"{split}/{index:05d}_{CLASSES[index % len(CLASSES)]}.mp4"


def draw_video(split: str, index: int, demo: DemoSet) -> "Tensor":
    """[frames, size, size, 3] uint8, the pixels of one video before encoding, from a generator of its own."""
    import numpy as np

    from vidrec.data.demo_motion import CLASSES, render_motion

    rng = np.random.default_rng((demo.seed, SPLITS.index(split), index))
    return render_motion(index % len(CLASSES), rng, num_frames=demo.frames, size=demo.size)


def encode_video(path: Path, frames: "Iterable[np.ndarray]", *, height: int, width: int, preset: str = "ultrafast") -> None:
    """Writes frames, each [height, width, 3] uint8 RGB, as H.264 in mp4 with FPS frames per second, on one thread.

    Args:
        height, width: in pixels, both even.
        preset: of libx264. `ultrafast` writes no B-frames, so the file needs no edit list and every decoder reads it right.
    """
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": preset, "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("make_demo_data.py", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo_data"), help="folder to write to")
    parser.add_argument("--num-train", type=int, default=DemoSet.num_train, help="videos to train on")
    parser.add_argument("--num-val", type=int, default=DemoSet.num_val, help="videos to validate on")
    parser.add_argument("--seed", type=int, default=DemoSet.seed, help="equal seeds give equal videos")
    parser.add_argument("--frames", type=int, default=DemoSet.frames, help="frames of a video")
    parser.add_argument("--size", type=int, default=DemoSet.size, help="height and width of a video, in pixels")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: one per core")
    parser.add_argument("--force", action="store_true", help="replace a demo data set that has other parameters")
    return parser


def _needs_writing(out: Path, demo: DemoSet, force: bool) -> bool:
    """False for a complete equal set. Raises DataError for a folder that must not be written to."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return True
    if not (out / MANIFEST).is_file():
        raise DataError(f"{out} exists and is no demo data set (it has no {MANIFEST}); choose a new or empty folder with --out.")
    try:
        found = dict(json.loads((out / MANIFEST).read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise DataError(f"{out / MANIFEST} is damaged ({error}); delete {out} or choose another folder with --out.") from error
    complete = found.pop("complete", False)
    if found != asdict(demo) and not force:
        raise DataError(f"{out} holds a demo data set of {found}, not of {asdict(demo)}; --force replaces it, --out names another folder.")
    return found != asdict(demo) or not complete or not _all_there(out, demo)


def _all_there(out: Path, demo: DemoSet) -> bool:
    names = ["classes.txt", *(f"{split}.txt" for split in SPLITS)]
    names += [video_name(split, index) for split in SPLITS for index in range(demo.count(split))]
    return all((out / name).is_file() for name in names)


def _write_set(out: Path, demo: DemoSet, workers: int) -> None:
    """Writes everything. The manifest comes first, marked incomplete, so that an interrupted set is known and made anew."""
    from vidrec.data.demo_motion import CLASSES

    out.mkdir(parents=True, exist_ok=True)
    _write_manifest(out, demo, complete=False)
    (out / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    for split in SPLITS:
        if (out / split).exists():
            shutil.rmtree(out / split)
        (out / split).mkdir()
        lines = [f"{video_name(split, index)} {index % len(CLASSES)}\n" for index in range(demo.count(split))]
        (out / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
    shares = [(out, demo, start, workers) for start in range(workers)]
    if workers == 1:
        _write_share(*shares[0])
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(_write_share, *zip(*shares, strict=True)))
    _write_manifest(out, demo, complete=True)


def _write_share(out: Path, demo: DemoSet, start: int, step: int) -> None:
    """Writes every `step`-th video of the set, from the `start`-th on, on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the processes share the cores already
    try:
        videos = [(split, index) for split in SPLITS for index in range(demo.count(split))]
        for split, index in videos[start::step]:
            frames = draw_video(split, index, demo).numpy()
            encode_video(out / video_name(split, index), frames, height=demo.size, width=demo.size)
    finally:
        torch.set_num_threads(threads)


def _write_manifest(out: Path, demo: DemoSet, *, complete: bool) -> None:
    temporary = out / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps({**asdict(demo), "complete": complete}, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, out / MANIFEST)
