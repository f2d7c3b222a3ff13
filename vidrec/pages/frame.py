"""The frame of a page: one HTML file that holds everything it shows, and asks nobody for anything."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from vidrec.engine.files import atomic_file
from vidrec.utils.errors import UserError

# What the browser itself forbids: any request but for what the page holds.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
# Shown by their numbers: control characters, and halves of characters that are no bytes of a file's name either.
_HALVES = (*range(0xD800, 0xDC80), *range(0xDD00, 0xE000))
_ODD = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n\r"} | {code: f"\\u{code:04x}" for code in _HALVES}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
<main>
{body}
</main>
<script type="application/json" id="data">{data}</script>
<script>{plotly}</script>
<script>
{script}
</script>
</body>
</html>
"""


def need_plotly() -> None:
    """Raises UserError where plotly, which brings the script of the graphs, is not installed."""
    try:
        import plotly  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"The page needs the package plotly, which cannot be imported ({error}); install it with pip install 'vidrec[report]'."
        ) from error


def make_page(title: str, body: str, *, data: Any, scripts: Sequence[str]) -> str:
    """The whole page.

    Args:
        body: HTML, of which everything that is not ours went through `text`.
        data: for the scripts, as JSON; numbers that are not finite are null.
        scripts: names of files of this package, run in that order after plotly.js.
    """
    need_plotly()
    from plotly.offline import get_plotlyjs

    package = files("vidrec.pages")
    return PAGE.format(
        policy=POLICY,
        title=text(title),
        style=(package / "page.css").read_text(encoding="utf-8"),
        body=body,
        data=script_json(data),
        plotly=get_plotlyjs(),
        script="\n".join((package / name).read_text(encoding="utf-8") for name in scripts),
    )


def write_page(path: Path, page: str) -> None:
    """Writes the file, whole or not at all. Raises UserError where that fails."""
    try:
        with atomic_file(path) as file:
            file.write(page.encode())
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); give --out a file in a folder that you may write to."
        ) from error


def plain(value: object) -> str:
    """Text that can be written: the odd bytes of a file's name as `\\xff`, control characters too."""
    return str(value).translate(_ODD).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def text(value: object) -> str:
    """Text that stands in HTML as it is, also between quotes."""
    return escape(plain(value))


def script_json(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(_finite(data), allow_nan=False).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {plain(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return plain(value) if isinstance(value, str) else value


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[int] = ()) -> str:
    """An HTML table; the columns of `numbers`, from 0, stand on the right."""
    right = set(numbers)
    kinds = [' class="number"' if place in right else "" for place in range(len(header))]
    head = "".join(f"<th{kind}>{text(name)}</th>" for kind, name in zip(kinds, header, strict=True))
    lines = ["".join(f"<td{kind}>{text(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
