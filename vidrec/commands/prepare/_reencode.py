"""Videos made smaller by the ffmpeg program, so that training decodes less; sources are never written to."""

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from vidrec.commands.prepare._work import for_each
from vidrec.utils.errors import DataError, UserError

SETTINGS = "reencode.json"
KEYFRAMES = 12  # frames between two: short ways to any frame


@dataclass(frozen=True)
class Encoding:
    """How videos are encoded.

    Args:
        short_side: pixels of the shorter side; a smaller video keeps its size, made even.
        crf: quality of libx264, 0 to 51, lower is better.
        preset: of libx264.
    """

    short_side: int
    crf: int = 23
    preset: str = "veryfast"

    def check(self) -> None:
        """Raises DataError for numbers without a meaning."""
        if self.short_side < 2:
            raise DataError(f"--short-side is {self.short_side}; it must be at least 2 pixels. Usual is 256 or 320.")
        if not 0 <= self.crf <= 51:
            raise DataError(f"--crf is {self.crf}; it must lie in [0, 51]. Usual is 18 to 28.")


class Encoded(NamedTuple):
    """The new file of a video below the folder of new videos; or why there is none."""

    path: str
    problem: str


def find_ffmpeg() -> str:
    """The ffmpeg program. Raises UserError with the command that installs it."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise UserError(
            "The program ffmpeg is not found, which --short-side needs; it must be on the PATH. Install it with apt-get install ffmpeg "
            "(Debian, Ubuntu), brew install ffmpeg (macOS) or conda install -c conda-forge ffmpeg, or leave --short-side out."
        )
    return program


def reencode(
    source: Path, paths: Sequence[str], target: Path, *, encoding: Encoding, workers: int, timeout_s: float = 900.0
) -> dict[str, Encoded]:
    """Encodes the files `paths` below `source` into `target`, H.264 in mp4 without sound, and returns what became of each.

    A file that was finished by an earlier call is kept, unless its source is newer: an interrupted call goes on where it was.

    Args:
        timeout_s: after so many seconds a file is given up.

    Raises:
        UserError: ffmpeg is not installed.
        DataError: the target lies in the source, or holds files of another encoding.
    """
    encoding.check()
    program = find_ffmpeg()
    _claim(source, target, encoding)
    names, timing = target_names(paths), every_frame_once(program)

    def one(path: str) -> Encoded:
        copy = target / names[path]
        part = copy.with_name(f".{copy.name}.part")
        command = ffmpeg_arguments(program, source / path, part, encoding=encoding, timing=timing)
        return _encode(command, source / path, part, target=copy, name=names[path], timeout_s=timeout_s)

    results = for_each(one, list(paths), workers=workers, title=f"encode to {encoding.short_side}")
    return dict(zip(paths, results, strict=True))


def target_names(paths: Sequence[str]) -> dict[str, str]:
    """The new path of each: ending in .mp4, behind the old ending where two would be one.

    Example: a.avi, b.avi, b.mkv -> a.mp4, b.avi.mp4, b.mkv.mp4
    """
    plain = {path: os.path.splitext(path)[0] + ".mp4" for path in paths}
    counts = Counter(plain.values())
    return {path: name if counts[name] == 1 else path + ".mp4" for path, name in plain.items()}


def every_frame_once(program: str) -> tuple[str, str]:
    """The option of this ffmpeg by which a copy has the frames of its source at their times.

    Without it a video of variable frame rate is filled with repeated frames to a constant one. Before FFmpeg 5.1 it is called -vsync.
    """
    options = subprocess.run([program, "-hide_banner", "-h", "long"], stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout
    return ("-fps_mode" if b"\n-fps_mode" in options else "-vsync", "passthrough")


def ffmpeg_arguments(
    program: str, source: Path, target: Path, *, encoding: Encoding, timing: tuple[str, str]
) -> list[str]:
    """The command line. Names stand behind `file:`, so that none is taken for an option or another protocol."""
    short = encoding.short_side
    width = f"if(gt(iw,ih),-2,max(2,2*trunc(min({short},iw)/2)))"
    height = f"if(gt(iw,ih),max(2,2*trunc(min({short},ih)/2)),-2)"
    return [
        *(program, "-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
        *("-i", f"file:{source.absolute()}", "-map", "0:v:0", "-an", "-sn", "-dn", "-map_metadata", "-1"),
        *("-vf", f"scale=w='{width}':h='{height}',setsar=1", "-c:v", "libx264", "-preset", encoding.preset, "-crf", str(encoding.crf)),
        # no B-frames: no edit list is needed, which some decoders do not follow
        *("-pix_fmt", "yuv420p", "-bf", "0", "-g", str(KEYFRAMES), "-threads", "1", "-movflags", "+faststart"),
        *(*timing, "-f", "mp4", f"file:{target.absolute()}"),
    ]


def _encode(command: Sequence[str], source: Path, part: Path, *, target: Path, name: str, timeout_s: float) -> Encoded:
    """Runs ffmpeg, which writes `part`; only a whole file gets the name `target`."""
    if target.is_file() and target.stat().st_size and target.stat().st_mtime >= source.stat().st_mtime:
        return Encoded(name, "")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return Encoded("", f"ffmpeg did not finish it in {timeout_s:g} s")
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return Encoded("", f"ffmpeg ended with {error.returncode}: {said[-1] if said else 'no message'}")
    else:
        os.replace(part, target)
        return Encoded(name, "")
    finally:
        part.unlink(missing_ok=True)


def _claim(source: Path, target: Path, encoding: Encoding) -> None:
    """Makes the target, and writes into it of which encoding it is."""
    if target.resolve().is_relative_to(source.resolve()):
        raise DataError(
            f"{target}, the folder for encoded videos, lies in the folder of sources {source}; they must be apart, so that no source is "
            "overwritten. Choose another folder with --out."
        )
    target.mkdir(parents=True, exist_ok=True)
    settings, wanted = target / SETTINGS, json.dumps(asdict(encoding))
    found = settings.read_text(encoding="utf-8", errors="replace").strip() if settings.is_file() else wanted
    if found != wanted:
        raise DataError(
            f"{target} holds videos of another encoding ({found}) than now asked for ({wanted}); a folder must hold one. Choose another "
            "one with --out, or delete it."
        )
    settings.write_text(wanted + "\n", encoding="utf-8")
