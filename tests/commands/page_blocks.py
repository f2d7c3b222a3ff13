"""The fenced blocks of a page of docs/, and running them in a folder as its reader would."""

import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vidrec.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./]+\.(?:py|yaml|txt))\n")


class Block(NamedTuple):
    language: str  # what stands behind the fence; '' for commands
    text: str

    @property
    def file(self) -> str:
        """The file that the block's first line names (`# my_nets.py`); '' for none."""
        found = _FILE.match(self.text)
        return found[1] if found else ""


def blocks(page: str) -> list[Block]:
    """The blocks of a page of docs/, in order."""
    return [Block(*match) for match in _FENCE.findall((ROOT / "docs" / page).read_text())]


def write_files(page: str) -> None:
    """Writes the files that a page shows into the current folder."""
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.text)


def run_page(page: str, setenv: Callable[[str, str], None], read: Callable[[], str], more: dict[str, tuple[str, ...]]) -> list[str]:
    """Follows a page in the current folder: writes the files that it shows, runs its Python and its commands.

    Args:
        setenv: for `export NAME=VALUE`.
        read: what was printed since the last call.
        more: words added to a command, by its name.

    Returns:
        The commands that were run. A block of text must have been printed by the command before it, line by line.
    """
    done = []
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.text)
        elif block.language == "python":
            Path("shown.py").write_text(block.text)
            runpy.run_path("shown.py")
        elif block.language == "text":
            printed = read()
            assert [line for line in block.text.splitlines() if line not in printed] == [], printed
        else:
            done += [_run_line(line, setenv, more) for line in block.text.splitlines()]
    return done


def _run_line(line: str, setenv: Callable[[str, str], None], more: dict[str, tuple[str, ...]]) -> str:
    """One line of a block of commands; a command may only fail where a block of text shows how."""
    program, *words = shlex.split(line)
    if program == "export":
        setenv(*words[0].split("=", 1))
    elif program == "python":
        runpy.run_path(words[0])
    else:
        assert program == "vidrec", line
        try:
            main([*words, *more.get(words[0], ())])
        except SystemExit as ended:
            assert ended.code == 1, line
            return f"failed: {line}"
    return line
