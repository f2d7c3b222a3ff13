"""Says for each video and decoder whether its frames are those of a sequential decode, and what a clip costs."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import DataError


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = new_parser("compare_decoders.py", description=__doc__)
    parser.add_argument("videos", nargs="+", type=Path, metavar="FILE", help="videos")
    parser.add_argument("--decoders", nargs="+", metavar="NAME", help="which; else every one that is installed")
    parser.add_argument("--clip", nargs=2, type=int, default=(32, 2), metavar=("LEN", "STRIDE"), help="the clip that is timed; 32 2")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the median of CPU time is shown; 3; 0: no times")
    args = parser.parse_args(argv)
    return run_command(lambda: compare_decoders(args.videos, decoders=args.decoders, clip=tuple(args.clip), repeats=args.repeats))


def compare_decoders(videos: Sequence[Path], *, decoders: Sequence[str] | None, clip: tuple[int, int], repeats: int) -> None:
    """Prints a Markdown table, a line per video and decoder. Raises UserError for what cannot be compared."""
    from vidrec.commands.soak_decoders import installed_decoders
    from vidrec.data.decoders.base import check_decoder
    from vidrec.data.decoders.compare import compare, sequential_frames

    if repeats < 0 or min(clip) < 1:
        raise DataError(f"--repeats is {repeats} and --clip is {clip[0]} {clip[1]}; they must be at least 0 and 1. Give larger numbers.")
    names = decoders or installed_decoders()
    for name in names:
        check_decoder(name)
    print("| file | decoder | verdict | clip, ms of CPU |\n|---|---|---|---|")
    for video in videos:
        path = str(video.resolve())
        truth = sequential_frames(path) if video.is_file() else None
        for name in names:
            verdict, detail = compare(path, name, truth)
            cost = f"{_clip_cost(path, name, clip, repeats):.1f}" if repeats and verdict == "equal" else ""
            print(f"| {video} | {name} | {verdict}{': ' if detail else ''}{detail} | {cost} |", flush=True)


def _clip_cost(path: str, decoder: str, clip: tuple[int, int], repeats: int) -> float:
    """Milliseconds of CPU to open the video and read the clip in its middle, median of the runs."""
    import numpy as np
    import torch

    from vidrec.data.decoders import open_video
    from vidrec.data.sampling import view_frames

    torch.set_num_threads(1)
    times = []
    for _ in range(repeats):
        started = time.process_time()
        with open_video(path, decoder) as reader:
            reader.get_frames(np.unique(view_frames(len(reader), num_segments=1, clip_len=clip[0], frame_stride=clip[1])))
        times.append(1000 * (time.process_time() - started))
    return statistics.median(times)
