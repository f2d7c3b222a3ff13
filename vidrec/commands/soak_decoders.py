"""Opens a video thousands of times with each decoder and reports how memory and open files grow."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import DataError, UserError

HEAD = "| decoder | opens | growth, MiB | KiB an open | open files |\n|---|---|---|---|---|"
WARM_UP = 10  # one part in so many of the opens goes before the measuring: caches fill and libraries load


class Growth(NamedTuple):
    """What a number of opens has left behind."""

    decoder: str
    opens: int
    mebibytes: float
    files: int


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status, 1 where memory or open files grow beyond what is allowed."""
    parser = new_parser("soak_decoders.py", description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path, metavar="FILE", help="videos to open in turn; else a generated one")
    parser.add_argument("--decoders", nargs="+", metavar="NAME", help="which; else every one that is installed")
    parser.add_argument("--opens", type=int, default=2000, help="how often; 2000 if not given")
    parser.add_argument("--allow", type=float, default=20.0, metavar="MIB", help="growth of memory that is no leak; 20 if not given")
    args = parser.parse_args(argv)
    return run_command(lambda: soak_decoders(args.videos, decoders=args.decoders, opens=args.opens, allow=args.allow))


def soak_decoders(videos: Sequence[Path], *, decoders: Sequence[str] | None, opens: int, allow: float) -> None:
    """Measures and prints a line for each. Raises DataError where a decoder leaks, and for what cannot be measured."""
    if opens < WARM_UP:
        raise DataError(f"--opens is {opens}; it must be at least {WARM_UP}. Give a larger number.")
    if not Path("/proc/self/statm").is_file():
        raise DataError("Memory is read from /proc, which this system does not have; run this on Linux.")
    with tempfile.TemporaryDirectory(prefix="vidrec-soak-") as name:
        paths = list(videos) or _generate(Path(name))
        print(HEAD)
        found = []
        for decoder in decoders or installed_decoders():
            found.append(_soak(decoder, paths, opens))
            print(row(found[-1]), flush=True)
    leaking = [growth.decoder for growth in found if growth.mebibytes > allow or growth.files > 0]
    if leaking:
        names = ", ".join(leaking)
        raise DataError(f"{names} left more than {allow:g} MiB or open files behind; it must be less. Report it with the table.")


def installed_decoders() -> list[str]:
    """The decoders for video files that can be used here."""
    from vidrec.data.decoders.base import FOR_FILES, check_decoder

    usable = ["auto"]
    for decoder in FOR_FILES:
        try:
            check_decoder(decoder)
        except UserError:
            continue
        usable.append(decoder)
    return usable


def row(growth: Growth) -> str:
    """A line of the Markdown table."""
    each = 1024 * growth.mebibytes / growth.opens
    return f"| {growth.decoder} | {growth.opens:,} | {growth.mebibytes:.1f} | {each:.2f} | {growth.files} |"


def _generate(folder: Path) -> list[Path]:
    from vidrec.commands.pan_videos import generate_videos

    return generate_videos(folder, count=1, num_frames=48)


def _soak(decoder: str, paths: Sequence[Path], opens: int) -> Growth:
    warm_up = opens // WARM_UP
    _open_often(decoder, paths, warm_up)
    memory, files = _resident_mebibytes(), _open_files()
    _open_often(decoder, paths, opens)
    return Growth(decoder, opens, _resident_mebibytes() - memory, _open_files() - files)


def _open_often(decoder: str, paths: Sequence[Path], times: int) -> None:
    """Opens the videos in turn and reads the first and the middle frame of each."""
    from vidrec.data.decoders import open_video

    for turn in range(times):
        with open_video(paths[turn % len(paths)], decoder) as reader:
            reader.get_frames([0, len(reader) // 2])


def _resident_mebibytes() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
