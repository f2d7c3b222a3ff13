"""Measures what samples and views cost beside the decode: ratios of CPU times in one process with one thread."""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import run_command
from vidrec.utils.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from yacs.config import CfgNode

    from vidrec.data.decoders.reading import ReadOptions, Size
    from vidrec.data.views import ViewGrid

HEIGHT, WIDTH, NUM_FRAMES = 256, 340, 300  # of a generated video: 10 seconds, in the size in which Kinetics is usually kept
NUM_GENERATED = 3
DECODER = "recording"  # the name under which RecordingReader is registered


class Ratio(NamedTuple):
    """A line of the table: two medians in milliseconds of CPU, and the median of the ratios of single runs."""

    work: str
    over: str
    work_ms: float
    over_ms: float
    ratio: float


# The frame indices that the pipelines asked for, in the order of the calls.
ASKED: "list[np.ndarray]" = []


class RecordingReader:
    """The reader that `auto` chooses, with the indices asked for kept in ASKED; so the pipelines are measured as they are."""

    def __init__(self, path: str, reading: "ReadOptions", size: "Size | None"):
        from vidrec.data.decoders.base import open_video

        self._reader = open_video(path, reading=reading, size=size)
        self.fps = self._reader.fps

    def __len__(self) -> int:
        return len(self._reader)

    def get_frames(self, indices: "np.ndarray") -> "Tensor":
        ASKED.append(indices)
        return self._reader.get_frames(indices)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> "RecordingReader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmark_data", description=__doc__)
    parser.add_argument("--config-file", metavar="F", help="YAML whose clips, sizes and views are taken; else 32 x 2 frames, 10 x 3 views")
    parser.add_argument("--videos", nargs="+", type=Path, metavar="FILE", help="videos to measure with; else generated ones, 340x256, 10 s")
    parser.add_argument("--repeats", type=int, default=3, help="runs over all videos, of which medians are shown; 3 if not given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    return run_command(lambda: benchmark_data(args.videos, config_file=args.config_file, repeats=args.repeats, json_file=args.json))


def benchmark_data(videos: Sequence[Path] | None, *, config_file: str | None, repeats: int, json_file: Path | None) -> None:
    """Measures, prints the table and writes the JSON file. Raises UserError for videos or files that cannot be used."""
    import torch

    if repeats < 1:
        raise DataError(f"--repeats is {repeats}; it must be at least 1. Give a larger number.")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="vidrec-benchmark-") as name:
        folder = Path(name)
        paths = list(videos) if videos else generate_videos(folder)
        cfg = make_config(folder, paths, config_file)
        ratios, protocol = measure(cfg, [path.resolve() for path in paths], repeats)
    print(table(ratios, f"{len(paths)} videos x {repeats} runs, {platform.machine()}, torch {torch.__version__}"))
    if json_file:
        figures = {"ratios": [ratio._asdict() for ratio in ratios], "videos": len(paths), "repeats": repeats, "protocol": protocol}
        try:
            json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{json_file} cannot be written: {error.strerror}. Give --json a file in a writable folder.") from error


def make_config(folder: Path, videos: Sequence[Path], config_file: str | None) -> "CfgNode":
    """The config of a file, or the defaults with clips of 32 frames, with the given videos as its lists and the recording reader."""
    from vidrec.config import get_cfg_defaults, load_config
    from vidrec.data.decoders.base import DECODERS

    DECODERS.register(DECODER, f"{__name__}:RecordingReader")
    cfg = load_config(config_file) if config_file else get_cfg_defaults()
    cfg.defrost()
    data = cfg.CONFIG.DATA
    if not config_file:
        data.CLIP_LEN = 32
    annotations = folder / "videos.txt"
    annotations.write_text("".join(f"{video.resolve()} 0\n" for video in videos), encoding="utf-8")
    data.TRAIN_ANNO_PATH = data.VAL_ANNO_PATH = str(annotations)
    data.TRAIN_DATA_PATH = data.VAL_DATA_PATH = ""
    data.DECODER = DECODER
    cfg.freeze()
    return cfg


def measure(cfg: "CfgNode", videos: Sequence[Path], repeats: int) -> tuple[list[Ratio], dict]:
    """The ratios, and the protocol of the test views that they are for."""
    from vidrec.data.build import build_dataset
    from vidrec.data.decoders.base import decoder_version

    test, train = build_dataset(cfg, "test"), build_dataset(cfg, "train")
    _time_views(test, 0, videos[0])  # the first run pays for imports
    _time_sample(train, 0, 0, videos[0])
    samples = [_time_sample(train, repeat, *video) for repeat in range(repeats) for video in enumerate(videos)]
    views = [_time_views(test, *video) for _ in range(repeats) for video in enumerate(videos)]
    num_views = cfg.CONFIG.DATA.TEST_NUM_SEGMENT * cfg.CONFIG.DATA.TEST_NUM_CROP
    prepared = f"test video, {num_views} views"
    ratios = [
        _ratio("training sample", "decode of its frames", samples),
        _ratio(prepared, "one decode of its frames", [(whole, once) for whole, once, _ in views]),
        _ratio(prepared, "decode once per view", [(whole, per_view) for whole, _, per_view in views]),
    ]
    return ratios, test.protocol() | {"decoder": decoder_version("auto")}


def table(ratios: Sequence[Ratio], title: str) -> str:
    """The ratios as a Markdown table."""
    rows = [f"| {r.work} | {r.over} | {r.work_ms:.1f} | {r.over_ms:.1f} | {r.ratio:.2f} |" for r in ratios]
    return "\n".join([f"CPU time, one thread, medians: {title}", "", "| work | over | ms | ms | ratio |", "|---|---|---|---|---|", *rows])


def generate_videos(folder: Path, count: int = NUM_GENERATED, num_frames: int = NUM_FRAMES) -> list[Path]:
    """Writes seeded videos of a camera that pans over a textured plane, with sensor noise, encoded as videos usually are."""
    import numpy as np

    from vidrec.commands.make_demo_data import encode_video

    paths = [folder / f"pan_{index}.mp4" for index in range(count)]
    for index, path in enumerate(paths):
        encode_video(path, _pan(np.random.default_rng(index), num_frames), height=HEIGHT, width=WIDTH, preset="medium")
    return paths


def _pan(rng: "np.random.Generator", num_frames: int) -> "Iterator[np.ndarray]":
    """Frames [HEIGHT, WIDTH, 3] uint8."""
    import numpy as np

    from vidrec.data.demo_motion import texture

    side, margin = 512, 16
    plane = texture(rng, cells=40, size=side).permute(1, 2, 0).numpy() * 255
    noise = rng.normal(scale=8.0, size=(HEIGHT + margin, WIDTH + margin, 3)).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, size=2)
    for frame in range(num_frames):
        y, x = (np.sin(frame / 40 + phase) / 2 + 0.5) * (side - HEIGHT, side - WIDTH)
        y_noise, x_noise = rng.integers(margin, size=2)
        view = plane[int(y) : int(y) + HEIGHT, int(x) : int(x) + WIDTH]
        grain = noise[y_noise : y_noise + HEIGHT, x_noise : x_noise + WIDTH]
        yield (view + grain).clip(0, 255).astype(np.uint8)


def _time_sample(dataset: Any, epoch: int, index: int, path: Path) -> tuple[float, float]:
    """CPU seconds of one training sample, and of decoding its frames alone."""
    import numpy as np

    from vidrec.data.samplers import SampleKey

    ASKED.clear()
    seconds = _cpu_seconds(lambda: dataset[SampleKey(epoch, index, index)])
    frames = np.concatenate(ASKED)
    return seconds, _cpu_seconds(lambda: _decode(path, frames))


def _time_views(dataset: Any, index: int, path: Path) -> tuple[float, float, float]:
    """CPU seconds of all views of a test video as uint8, of decoding its frames once, and of decoding for each view anew."""
    import numpy as np

    ASKED.clear()
    started = time.process_time()
    views = _all_views(dataset, index, path)
    seconds = time.process_time() - started
    frames = np.concatenate(ASKED)
    clips = frames[views.positions]  # [V, T], in frames of the file
    once = _cpu_seconds(lambda: _decode(path, frames))
    return seconds, once, _cpu_seconds(lambda: [_decode(path, clip) for clip in clips])


def _all_views(dataset: Any, index: int, path: Path) -> "ViewGrid":
    """Cuts every view of a test video, one by one as the tester does, and returns the grid."""
    from vidrec.data.transforms import cut_views

    video = dataset[index]
    if video.failure is not None:
        raise DataError(f"{path} cannot be measured: {video.failure.reason} Leave it out of --videos.")
    for view in range(len(video.views)):
        cut_views(video.frames, video.views, view, view + 1)
    return video.views


def _decode(path: Path, frames: "np.ndarray") -> None:
    from vidrec.data.decoders.base import open_video

    with open_video(path) as reader:
        reader.get_frames(frames)


def _cpu_seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _ratio(work: str, over: str, times: Sequence[tuple[float, float]]) -> Ratio:
    milliseconds = [1000 * statistics.median(column) for column in zip(*times, strict=True)]
    return Ratio(work, over, *milliseconds, statistics.median(first / second for first, second in times))
