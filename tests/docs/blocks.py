"""The fenced blocks of README and of the pages in docs/: what a reader is told to type, and what the tests do with it.

A comment before a block says more: `<!-- not-run: why -->` leaves it out of running, `<!-- needs: ../shared -->` does so where that folder
is missing; such commands are still parsed. `<!-- fails: words -->` means commands that end with an error that says these words. A YAML or
Python block whose first line is a comment with nothing but a file's name, as in `# my_configs/net.yaml`, is written to that file.
"""

import re
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("bash", "sh", "shell", "console")
OUTPUT = ("", "text", "toml", "json", "csv", "html", "dockerfile")
PROGRAMS = re.compile(r"(?:[A-Z_]+=\S* )*(?:python|python3|vidrec|torchrun|make|pip|sbatch|srun|bash|git|tools/\S+\.sh|export) ")


class Block(NamedTuple):
    """One fenced block."""

    page: str  # relative to the checkout
    line: int  # of the fence, from 1
    language: str
    text: str
    not_run: str = ""  # why it is not run
    needs: str = ""  # a path that must be there for it to run, relative to the checkout
    fails: str = ""  # words of the error that it ends with
    file: str = ""  # that it is written to

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> str:
        """What a shell gets. Of a console only what stands behind a prompt."""
        if self.language != "console":
            return self.text
        return "".join(f"{line[2:]}\n" for line in self.text.splitlines() if line.startswith(("$ ", "> ")))


def pages() -> list[str]:
    return ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]


def read_blocks(page: str) -> list[Block]:
    """The blocks of a page in order; directives of MyST (`{toctree}`) are none."""
    return parse_blocks((ROOT / page).read_text(encoding="utf-8"), page)


def parse_blocks(markdown: str, page: str) -> list[Block]:
    blocks, comment = [], ""
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type in ("fence", "code_block") and not token.info.startswith("{"):
            language = token.info.split()[0] if token.info.strip() else ""
            is_shell = language == "" and token.type == "fence" and PROGRAMS.match(token.content)
            name = re.match(r"# (\S+\.(?:ya?ml|py))\n", token.content) if language in ("yaml", "python") else None
            language = "indented" if token.type == "code_block" else "bash" if is_shell else language
            said = {key: _said(comment, key) for key in ("not_run", "needs", "fails")}
            blocks.append(Block(page, token.map[0] + 1, language, token.content, **said, file=name[1] if name else ""))
        comment = token.content if token.type == "html_block" else ""
    return blocks


def _said(comment: str, key: str) -> str:
    found = re.search(rf"<!--\s*{key.replace('_', '-')}:\s*(.*?)\s*-->", comment, re.DOTALL)
    return found[1] if found else ""
