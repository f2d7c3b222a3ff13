"""The demo page: drop a video, choose a network, see what it says, when, and where it finds the evidence (gradio)."""

import html
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    import gradio

TITLE = "vidrec"
INTRODUCTION = (
    "# What does this video show?\n"
    "Drop a video, choose a network, press the button. The page shows the five most probable classes, their probability as time goes by, "
    "and where in the frames the evidence for one class is."
)
HEIGHT = 300  # pixels of the videos
_PLACES = ("message", "top", "timeline", "strip", "moving")


class Choice(NamedTuple):
    """A network that can be chosen: what the page calls it, and what `Ask` gets."""

    label: str
    source: str


class Request(NamedTuple):
    """What a visitor wants.

    Args:
        class_name, layer: whose evidence is drawn and where it is read from; '' for the most probable class and the last layer.
        all_views: those of a test, and not a few.
    """

    video: Path
    source: str
    class_name: str
    layer: str
    all_views: bool


class Part(NamedTuple):
    """A part of the answer as it comes; what is None stays as it is on the page."""

    note: str
    top: dict[str, float] | None = None
    timeline: Path | None = None
    strip: Path | None = None
    moving: Path | None = None


Ask = Callable[[Request], Iterator[Part]]


def make_app(choices: Callable[[], Sequence[Choice]], ask: Ask) -> "gradio.Blocks":
    """The page.

    Args:
        choices: the networks there are, asked again whenever the page is opened.
        ask: the parts of an answer; its UserErrors are shown on the page. Its files are copied as they come.
    """
    import gradio

    with gradio.Blocks(title=TITLE, analytics_enabled=False) as app:
        gradio.Markdown(INTRODUCTION)
        with gradio.Row():
            with gradio.Column(scale=1, min_width=300):
                given, button = _questions(gradio, choices())
            with gradio.Column(scale=3):
                places = _answer_places(gradio)
        app.load(lambda: gradio.Dropdown(_pairs(choices())), None, given[1], show_progress="hidden", api_visibility="private")
        button.click(_responder(ask), given, list(places.values()), concurrency_limit=1, api_visibility="private")
    return app


def _questions(gradio: Any, networks: Sequence[Choice]) -> tuple[list[Any], Any]:
    """What a visitor fills in, in the order of Request, and the button."""
    source = networks[0].source if networks else None
    given = [
        gradio.Video(label="Video", sources=["upload"], elem_id="video", height=HEIGHT),
        gradio.Dropdown(_pairs(networks), label="Network", elem_id="network", value=source),
        gradio.Textbox(label="Class", info="whose evidence is drawn; empty: the most probable", elem_id="class", max_lines=1),
        gradio.Textbox(label="Layer", info="that the evidence is read from; empty: the last one", elem_id="layer", max_lines=1),
        gradio.Checkbox(label="All views of a test (slower)", elem_id="views"),
    ]
    return given, gradio.Button("Look at it", variant="primary", elem_id="go")


def _answer_places(gradio: Any) -> dict[str, Any]:
    """Where the parts of an answer go; headings stand over the pictures, since gradio's labels cover a corner of them."""
    picture = {"interactive": False, "buttons": ["download"], "show_label": False}
    message = gradio.HTML(elem_id="message")
    with gradio.Row():
        with gradio.Column():
            gradio.Markdown("### Most probable classes")
            top = gradio.Label(show_label=False, num_top_classes=5, elem_id="top")
        with gradio.Column():
            gradio.Markdown("### Evidence, moving")
            moving = gradio.Video(elem_id="moving", autoplay=True, loop=True, height=HEIGHT, **picture)
    gradio.Markdown("### Evidence in space and time")
    strip = gradio.Image(elem_id="strip", type="filepath", **picture)
    gradio.Markdown("### Probability against time")
    timeline = gradio.Image(elem_id="timeline", type="filepath", **picture)
    return {"message": message, "top": top, "timeline": timeline, "strip": strip, "moving": moving}


def _pairs(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    return [(choice.label, choice.source) for choice in choices]


def _responder(ask: Ask) -> Callable[..., Iterator[list[Any]]]:
    """From what stands on the page to what is put there, part by part."""
    from gradio import skip

    def respond(video: str | None, source: str | None, class_name: str, layer: str, all_views: bool) -> Iterator[list[Any]]:
        try:
            if not video:
                raise UserError("There is no video yet; drop one into the box at the left.")
            if not source:
                raise UserError("No network is chosen; choose one from the list. A training run or published weights make one.")
            if not Path(video).is_file():
                raise UserError("The video has been deleted since it was uploaded; videos are kept for a while only. Upload it again.")
            Path(video).touch()  # so that its time begins anew
            yield [_message("The network is loaded ..."), None, None, None, None]
            for part in ask(Request(Path(video), source, class_name.strip(), layer.strip(), all_views)):
                shown = {**part._asdict(), "message": _message(part.note)}
                yield [skip() if shown[place] is None else _as_text(shown[place]) for place in _PLACES]
        except UserError as error:
            yield [_message(_without_place(str(error), video), error=True), None, None, None, None]

    return respond


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _without_place(text: str, video: str | None) -> str:
    """A message that names the visitor's file and not where this machine keeps it."""
    return text.replace(str(video), Path(video).name) if video else text


def _message(text: str, *, error: bool = False) -> str:
    color, role = ("#b42318", "alert") if error else ("inherit", "status")
    return f'<p role="{role}" style="color: {color}; white-space: pre-wrap; margin: 0">{html.escape(text)}</p>'
