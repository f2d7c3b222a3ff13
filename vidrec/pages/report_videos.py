"""The hardest videos of a test, with pictures out of them."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vidrec.pages.eval_files import EvalFiles
from vidrec.pages.frame import text


class Pictures(NamedTuple):
    """JPEG files: one frame, and frames beside each other, evenly spread over the video."""

    thumbnail: bytes
    strip: bytes


class VideoCard(NamedTuple):
    """A line of hardest.json, and its pictures or the reason why there are none."""

    entry: Mapping[str, Any]
    pictures: Pictures | None
    reason: str = ""


def videos_part(test: EvalFiles | None, cards: Sequence[VideoCard]) -> str:
    """The section, as HTML."""
    title = "<h2>Hardest videos</h2>\n"
    if test is None:
        return f'{title}<p class="missing">The hardest videos are those of a test, and this run has none.</p>'
    if not cards:
        why = next((line for line in test.remarks if "hardest.json" in line), "No video of the test could be read, or none was asked for.")
        return f'{title}<p class="missing">{text(why)}</p>'
    told = f'<p class="soft">The {len(cards)} videos of the highest loss in the test of {text(test.folder.name)}/, worst first.</p>'
    return f'{title}{told}<div class="videos">\n' + "\n".join(map(_card, cards)) + "\n</div>"


def _card(card: VideoCard) -> str:
    entry = card.entry
    if card.pictures:
        thumbnail = f'<img class="thumbnail" alt="a frame of the video" src="{_source(card.pictures.thumbnail)}">'
        strip = f'<img class="strip" alt="frames spread over the video" src="{_source(card.pictures.strip)}">'
    else:
        thumbnail, strip = '<div class="missing">no picture</div>', f'<p class="bad">{text(card.reason)}</p>'
    mark = "" if not entry.get("correct") else " (right)"
    facts = f"label <b>{_named(entry, 'label')}</b>, predicted <b>{_named(entry, 'prediction')}</b>{mark}"
    numbers = f"probability of the label {_number(entry.get('probability'))}, loss {_number(entry.get('loss'))}"
    name = f'<div class="name"><code>{text(entry.get("path", "?"))}</code></div>'
    return f'<div class="video"><div>{thumbnail}</div><div>{name}<div>{facts}; {numbers}</div>{strip}</div></div>'


def _source(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def _named(entry: Mapping[str, Any], key: str) -> str:
    """Number and name, escaped; of several labels joined."""
    labels, names = entry.get(key, "?"), entry.get(f"{key}_name", "")
    pairs = zip(labels, names or [""] * len(labels), strict=False) if isinstance(labels, list) else [(labels, names)]
    return text(" + ".join(f"{label} {name}".strip() for label, name in pairs))


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else "-"
