"""Measures what samples, views and loader processes cost beside the decode, and whether views have the right pixels.

All but the clips per second are CPU times in one process with one thread.
"""

import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands import benchmark_lines as lines
from vidrec.commands import benchmark_loader, benchmark_views
from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.pan_videos import generate_videos
from vidrec.commands.tables import markdown_table
from vidrec.utils.cores import usable_cores
from vidrec.utils.errors import DataError, UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

LARGE = {"num_frames": 64, "height": 720, "width": 1280}  # the video that is resized
TEN_CROP = ("TEST.PROTOCOL", "reference_mxnet", "DATA.TEST_NUM_SEGMENT", 25, "DATA.TEST_NUM_CROP", 10)


class Figures(NamedTuple):
    """Everything measured."""

    ratios: list[lines.Ratio]
    differing: dict[str, list[int]]  # what was compared -> views whose pixels are not those of a decode of their own
    clips_per_second: dict[int, float]  # loader processes -> median
    notes: list[str]  # what was left out
    protocol: dict[str, Any]  # of the test views


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = new_parser("benchmark_data.py", description=__doc__)
    parser.add_argument("--config-file", metavar="F", help="YAML whose clips, sizes and views are taken; else 32 x 2 frames, 10 x 3 views")
    parser.add_argument("--videos", nargs="+", type=Path, metavar="FILE", help="videos to measure with; else generated ones, 340x256, 10 s")
    parser.add_argument("--repeats", type=int, default=3, help="runs over all videos, of which medians are shown; 3 if not given")
    parser.add_argument(
        "--workers", nargs="*", type=int, metavar="N", help="loader processes; 0, 1, 2, 4 and so on up to the cores if not given"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    workers = benchmark_loader.worker_counts(usable_cores()) if args.workers is None else args.workers
    options = {"config_file": args.config_file, "repeats": args.repeats, "workers": workers, "json_file": args.json}
    return run_command(lambda: benchmark_data(args.videos, **options))


def benchmark_data(
    videos: Sequence[Path] | None, *, config_file: str | None, repeats: int, workers: Sequence[int], json_file: Path | None
) -> None:
    """Measures, prints the tables and writes the JSON file.

    Raises:
        UserError: for videos or files that cannot be used, and at the end for views that have other pixels than they should.
    """
    import torch

    if repeats < 1 or min(workers, default=0) < 0:
        raise DataError(f"--repeats is {repeats} and --workers {list(workers)}; give at least 1 run, and no negative number of processes.")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="vidrec-benchmark-") as name:
        folder = Path(name)
        paths = [path.resolve() for path in videos or generate_videos(folder)]
        figures = measure(make_config(folder, paths, config_file), paths, folder=folder, repeats=repeats, workers=workers)
    machine = f"{platform.machine()}, {usable_cores()} cores, torch {torch.__version__}"
    print(report(figures, f"{len(paths)} videos x {repeats} runs, {machine}"))
    if json_file:
        _write_json(json_file, figures, {"videos": len(paths), "repeats": repeats, "machine": machine})
    check_pixels(figures.differing)


def make_config(folder: Path, videos: Sequence[Path], config_file: str | None) -> "CfgNode":
    """The config of a file, or the defaults with clips of 32 frames, with the given videos as its lists."""
    from vidrec.config import get_cfg_defaults, load_config

    cfg = load_config(config_file) if config_file else get_cfg_defaults()
    cfg.defrost()
    data = cfg.CONFIG.DATA
    if not config_file:
        data.CLIP_LEN = 32
    annotations = folder / "videos.txt"
    annotations.write_text("".join(f"{video} 0\n" for video in videos), encoding="utf-8")
    data.TRAIN_ANNO_PATH = data.VAL_ANNO_PATH = str(annotations)
    data.TRAIN_DATA_PATH = data.VAL_DATA_PATH = ""
    cfg.freeze()
    return cfg


def measure(cfg: "CfgNode", videos: Sequence[Path], *, folder: Path, repeats: int, workers: Sequence[int]) -> Figures:
    """All figures. Raises UserError for a video that cannot be read."""
    from vidrec.data.build import build_dataset
    from vidrec.data.decoders import decoder_version

    recorded = _changed(cfg, "DATA.DECODER", benchmark_views.recording("auto"))
    test, ten = build_dataset(recorded, "test"), build_dataset(_changed(recorded, *TEN_CROP), "test")
    for video in enumerate(videos):
        benchmark_views.read_video(test, *video)
    batch = {"views_per_batch": cfg.CONFIG.VAL.BATCH_SIZE}
    decord = lines.decord_line(build_dataset(_changed(cfg, "DATA.DECODER", benchmark_views.recording("decord")), "train"), videos, repeats)
    train = build_dataset(cfg, "train")
    (large,) = generate_videos(folder, 1, **LARGE)
    ratios = [
        lines.sample_line(build_dataset(recorded, "train"), videos, repeats),
        *([decord] if isinstance(decord, lines.Ratio) else []),
        *lines.view_lines(test, videos, repeats, **batch),
        *lines.ten_crop_lines(ten, videos, repeats, **batch),
        lines.resize_line(large, LARGE["num_frames"], repeats),
        lines.moving_line(train, repeats),
    ]
    compared = [(test, *video) for video in enumerate(videos)] + [(ten, 0, videos[0])]
    differing = {
        f"{lines.num_views(views)} views of {path.name}": benchmark_views.differing_views(views, row, path) for views, row, path in compared
    }
    rates = {count: benchmark_loader.clips_per_second(train, count, repeats) for count in workers}
    notes = [decord] if isinstance(decord, str) else []
    return Figures(ratios, differing, rates, notes, test.protocol() | {"decoder": decoder_version("auto")})


def report(figures: Figures, title: str) -> str:
    """The tables and what is said below them, in Markdown."""
    rows = [
        (line.work, line.over, f"{line.work_ms:.1f}", f"{line.over_ms:.1f}", f"{line.ratio:.3f}", *_bar_cells(line))
        for line in figures.ratios
    ]
    missed = [
        f"Missed, {line.work} over {line.over}: {line.why or 'nothing is known about why'}." for line in figures.ratios if line.met is False
    ]
    wrong = sum(map(len, figures.differing.values()))
    equal = f"Pixels equal to those decoded view by view: {'yes' if not wrong else 'NO'} ({', '.join(figures.differing)})."
    return "\n".join(
        [
            f"CPU time, one thread, medians: {title}",
            "",
            markdown_table(("work", "over", "ms", "ms", "ratio", "at most", "met"), rows, "<<>>>>>"),
            "",
            equal,
            *missed,
            *figures.notes,
            "",
            f"Training clips a second of wall time, batches of {benchmark_loader.BATCH}:",
            "",
            markdown_table(
                ("loader processes", "clips/s"), [(str(count), f"{rate:.1f}") for count, rate in figures.clips_per_second.items()], ">>"
            ),
        ]
    )


def check_pixels(differing: Mapping[str, Sequence[int]]) -> None:
    """Raises UserError where views have other pixels than they should."""
    wrong = {what: list(views) for what, views in differing.items() if views}
    if wrong:
        raise UserError(f"The pixels of these views differ from those decoded view by view: {wrong}; none may. Report it with the video.")


def _bar_cells(line: lines.Ratio) -> tuple[str, str]:
    return ("", "") if line.bar is None else (f"{line.bar:g}", "yes" if line.met else "NO")


def _changed(cfg: "CfgNode", *overrides: Any) -> "CfgNode":
    """A copy of a config with other values, given as KEY VALUE pairs below CONFIG."""
    changed = cfg.clone()
    changed.defrost()
    changed.merge_from_list([f"CONFIG.{item}" if place % 2 == 0 else item for place, item in enumerate(overrides)])
    changed.freeze()
    return changed


def _write_json(path: Path, figures: Figures, about: dict[str, Any]) -> None:
    ratios = [line._asdict() | {"met": line.met} for line in figures.ratios]
    content = about | figures._asdict() | {"ratios": ratios, "equal": not any(figures.differing.values())}
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}. Give --json a file in a writable folder.") from error
