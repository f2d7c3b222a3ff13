"""Serves a page on which a network looks at videos: `demo_app [--runs DIR ...] [--host H] [--port P] [--share]`."""

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidrec.commands.cli import add_device, new_parser, run_command
from vidrec.commands.demo_networks import Networks, check_folders, choices
from vidrec.pages.demo_app import Part, Request, make_app
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from vidrec.inference.predictor import Prediction, Predictor

DESCRIPTION = (
    "Serve a page: drop a video, choose a run or a zoo name, see the most probable classes, the timeline and the evidence. It is seen on "
    "this machine only, unless --host or --share say otherwise; it asks nobody for a password."
)
MAX_WINDOWS = 24  # of a timeline, so that a long video takes no longer than a short one
SHORTEST_STRIDE_S = 0.25


class Service(NamedTuple):
    """The flags of the command line, named as they are."""

    runs: tuple[Path, ...]
    host: str
    port: int
    share: bool
    device: str
    max_upload_mb: float
    keep_minutes: float


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code when it is asked to stop."""
    parser = new_parser("demo_app.py", description=DESCRIPTION)
    parser.add_argument("--runs", type=Path, nargs="+", metavar="DIR", help="folders of runs, or runs; `runs` if not given")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 127.0.0.1, this machine, if not given; 0.0.0.0: all")
    parser.add_argument("--port", type=int, default=7860, metavar="P", help="port, 0: any that is free; 7860 if not given")
    parser.add_argument("--share", action="store_true", help="also make a public address, through gradio's servers")
    add_device(parser)
    parser.add_argument("--max-upload-mb", type=float, default=200, metavar="N", help="the largest video, in megabytes; 200 if not given")
    parser.add_argument("--keep-minutes", type=float, default=30, metavar="N", help="after which videos and pictures go; 30 if not given")
    args = parser.parse_args(argv)
    runs = tuple(args.runs) if args.runs else tuple(folder for folder in (Path("runs"),) if folder.is_dir())
    return run_command(lambda: serve(Service(**{**vars(args), "runs": runs})))


def serve(service: Service) -> None:
    """Serves until Ctrl-C or SIGTERM. Raises UserError for a wrong flag, a port that is taken, or a missing package."""
    check_folders(service.runs)
    for flag, value in (("--max-upload-mb", service.max_upload_mb), ("--keep-minutes", service.keep_minutes)):
        if not value > 0:
            raise UserError(f"{flag} is {value:g}; it must be above 0. Give a larger number.")
    port = _usable_port(service.host, service.port)
    with _temporary_folder() as folder:
        _prepare_gradio(service.host, folder)
        networks = Networks(service.device)
        app = make_app(lambda: choices(service.runs), lambda request: answer(networks, request))
        stop = _when_asked_to_stop()
        try:
            _, local, public = app.queue(max_size=20).launch(
                server_name=service.host,
                server_port=port,
                share=service.share,
                max_file_size=round(service.max_upload_mb * 2**20),
                prevent_thread_lock=True,
                quiet=True,
                show_error=True,
                footer_links=[],
                ssr_mode=False,
                run_history=False,
            )
        except OSError as error:  # somebody was faster
            raise UserError(f"{service.host}:{port} cannot be listened on ({error}); it must be free. Choose another --port.") from error
        print(f"The page is at {public or local} (Ctrl-C stops it)", flush=True)
        if service.share and not public:
            print("No public address could be made: gradio's servers cannot be reached.", file=sys.stderr, flush=True)
        keep_seconds = 60 * service.keep_minutes
        while not stop.wait(min(60.0, keep_seconds / 2)):
            delete_old(Path(folder), keep_seconds)
        app.close(verbose=False)
    print("stopped; uploaded videos are deleted", flush=True)


def delete_old(folder: Path, keep_seconds: float) -> None:
    """Deletes the files below a folder that nobody has written or asked about for so long."""
    oldest = time.time() - keep_seconds
    for path in folder.rglob("*"):
        try:
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            continue  # gradio, or an answer that is complete, was faster


def answer(networks: Networks, request: Request) -> Iterator[Part]:
    """The parts of an answer as they are made. Raises UserError for what the visitor can mend."""
    from vidrec.inference.cam import check_layers
    from vidrec.inference.cam_pictures import save_pictures
    from vidrec.inference.explain import explain, find_class, shown_frames

    model = networks.get(request.source, all_views=request.all_views)
    label = find_class(request.class_name, model.class_names) if request.class_name else None
    layers = (request.layer,) if request.layer else ()
    check_layers(model.model, layers)
    prediction = model.predict(request.video)
    yield Part("The timeline is drawn ...", top=_named(prediction))
    with tempfile.TemporaryDirectory(prefix="vidrec-answer-") as place:
        files = [Path(place) / name for name in ("timeline.png", "evidence.png", "evidence.mp4")]
        _draw_timeline(model, request.video, files[0])
        yield Part("The evidence is looked for ...", timeline=files[0])
        label = prediction.top[0].label if label is None else label
        found = explain(model, request.video, label=label, layers=layers)
        save_pictures(found, shown_frames(model, found), strip=files[1], video=files[2], num_shown=6)
        views = "1 view" if model.num_views == 1 else f"{model.num_views} views"
        yield Part(f"{model.name}, {views}; evidence for {found.name}.", strip=files[1], moving=files[2])


def _named(prediction: "Prediction") -> dict[str, float]:
    """Probabilities by the names of the classes; those of the same name are told apart by their numbers."""
    names = [top.name for top in prediction.top]
    return {top.name if names.count(top.name) == 1 else f"{top.name} ({top.label})": top.probability for top in prediction.top}


def _draw_timeline(model: "Predictor", video: Path, picture: Path) -> None:
    """The probabilities of at most about MAX_WINDOWS windows over the whole video."""
    from vidrec.data.decoders import open_video
    from vidrec.inference.timeline import Timeline, slide
    from vidrec.inference.timeline_plot import plot_timeline

    with open_video(video, model.pipeline.decoder, model.pipeline.reading) as reader:
        seconds = len(reader) / (reader.fps or 25.0)
    moments = slide(model, video, stride_s=max(SHORTEST_STRIDE_S, seconds / MAX_WINDOWS))
    plot_timeline(Timeline.of(video.name, moments, model.class_names), picture)


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """A folder for everything temporary of this process, uploads that are cut off too; gone afterwards."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="vidrec-demo-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        try:
            yield folder
        finally:
            tempfile.tempdir = before


def _prepare_gradio(host: str, folder: str) -> None:
    """Sets what gradio reads when it is imported: it sends nothing to anybody, and keeps what is uploaded in the folder.

    Raises:
        UserError: it is not installed.
    """
    # Not the folder itself: what is in gradio's own it does not copy, and an answer's files go when the answer is complete.
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": f"{folder}/page", "HF_HUB_DISABLE_TELEMETRY": "1"}
    for name in ("NO_PROXY", "no_proxy"):  # gradio asks its own server whether it is up, which a proxy would not reach
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost", host)))
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"The page needs the package gradio, which cannot be imported ({error}); install it with pip install 'vidrec[demo]'."
        ) from error


def _usable_port(host: str, port: int) -> int:
    """The port, or for 0 one that is free. Raises UserError where it cannot be listened on."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port is {port}; it must be 0 (any that is free) to 65535. Give such a number.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"{host}:{port} cannot be listened on ({error.strerror}); --host must be an address of this machine and --port be free. "
                "Give others, or --port 0 for any free one."
            ) from error
        return probe.getsockname()[1]


def _when_asked_to_stop() -> threading.Event:
    """An event that is set by Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
