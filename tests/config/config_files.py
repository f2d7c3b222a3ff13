"""The files in configs/, and what their headers say."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs"
BASES = [FOLDER / "custom" / "data.yaml", *sorted((FOLDER / "_base_").glob("*.yaml"))]  # pieces that others build on
CONFIGS = sorted(path for path in FOLDER.rglob("*.yaml") if path not in BASES)


class Command(NamedTuple):
    """A command of a header that takes a config: the tool, the config file and the keys that win over it."""

    tool: str
    config: str
    overrides: list[str]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def header(path: Path) -> str:
    """The comment at the top, its lines joined where a backslash ends one, without the comment signs."""
    lines = path.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return re.sub(r" \\\n +", " ", "\n".join(line.removeprefix("#").rstrip() for line in lines[:end]))


def commands(path: Path) -> list[Command]:
    lines = [shlex.split(line) for line in header(path).splitlines() if line.strip().startswith("python tools/")]
    return [Command(Path(line[1]).name, line[3], line[4:]) for line in lines if "--config-file" in line]
