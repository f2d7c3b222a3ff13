"""Examines every video of a config's lists to its last frame, finds what is wrong with them, and writes a manifest and cleaned lists."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import config_parser, run_command
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.data.annotations import VideoTable
    from vidrec.data.doctor.examine import Record
    from vidrec.data.doctor.findings import Row
    from vidrec.utils.killable import Outcome

ANY_LABEL = 2**31 - 1
GOING_ON = "What has been found of the videos so far is kept; the same command goes on from there."
FOUND = 3  # exit code where there are problems; 1 is that of errors, 2 that of a wrong command line
TIMEOUT = 120.0
SPLITS = ("train", "val")


class Options(NamedTuple):
    workers: int = 0  # 0: one per core
    timeout: float = TIMEOUT
    out: Path | None = None
    retry: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 0 where there is no problem, 3 where there is one."""
    args = _parser().parse_args(argv)
    options, problems = Options(args.workers, args.timeout, args.out, args.retry), []
    run_command(lambda: problems.append(check_dataset(args.config_file, args.overrides, options)), going_on=GOING_ON)
    return FOUND if problems[0] else 0


def check_dataset(config_file: str, overrides: Sequence[str] = (), options: Options = Options()) -> int:  # noqa: B008
    """Runs the examination and writes everything. Returns the number of problems.

    Raises:
        UserError: config, lists or options are wrong, or the folder cannot be written.
    """
    from vidrec.commands.dataset_report import report
    from vidrec.commands.runs import base_folder, load_run_config
    from vidrec.data.decoders.base import check_decoder

    if options.timeout <= 0 or options.workers < 0:
        raise UserError(f"--timeout is {options.timeout:g} and --workers {options.workers}; give seconds above 0 and at least 0 processes.")
    cfg = load_run_config(config_file, overrides)
    check_decoder(cfg.CONFIG.DATA.DECODER)
    out = options.out or base_folder(cfg) / f"check_{Path(config_file).stem}"
    tables = _open_tables(cfg)
    try:
        out.mkdir(parents=True, exist_ok=True)
        records = _examine(tables, cfg.CONFIG.DATA.DECODER, options, out)
        return report(cfg, tables, _rows(tables), records, out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error}; a folder that you may write to is wanted. Choose one with --out.") from error


def _parser() -> argparse.ArgumentParser:
    parser = config_parser("check_dataset.py", f"{__doc__} Exit code 0: no problem; 3: problems; 1: an error.")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that decode; one per core if not given")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, metavar="S", help=f"seconds for a video; {TIMEOUT:g} if not given")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the results go; runs/check_<config> if not given")
    parser.add_argument("--retry", action="store_true", help="examine the bad videos of an earlier run again")
    return parser


def _open_tables(cfg: "CfgNode") -> "dict[str, VideoTable]":
    """The lists that the config names. Their labels are judged later, with everything else. Raises DataError."""
    from vidrec.data.sources import open_table

    data = cfg.CONFIG.DATA
    places = {"train": (data.TRAIN_ANNO_PATH, data.TRAIN_DATA_PATH), "val": (data.VAL_ANNO_PATH, data.VAL_DATA_PATH)}
    if not data.TRAIN_ANNO_PATH and not data.VAL_ANNO_PATH:
        raise UserError("The config names no list: CONFIG.DATA.TRAIN_ANNO_PATH and VAL_ANNO_PATH are ''; set at least one of them.")
    return {
        split: open_table(annotation, data_folder=folder, num_classes=ANY_LABEL)
        for split, (annotation, folder) in places.items()
        if annotation
    }


def _rows(tables: "dict[str, VideoTable]") -> "list[Row]":
    from vidrec.data.doctor.findings import Row
    from vidrec.data.manifest import video_id

    return [
        Row(split, row, video_id(table.path(row)), int(label), int(frames))
        for split, table in tables.items()
        for row, (label, frames) in enumerate(zip(table.labels, table.num_frames, strict=True))
    ]


def _examine(tables: "dict[str, VideoTable]", decoder: str, options: Options, out: Path) -> "dict[str, Record]":
    """The record of every video, from an earlier run or examined now; each is on disk as soon as it is there."""
    from tqdm import tqdm

    from vidrec.data.decoders.base import decoder_version
    from vidrec.data.doctor.journal import Journal
    from vidrec.data.manifest import BAD

    version, records, tasks = decoder_version(decoder), {}, {}
    with Journal(out / "examined.jsonl") as journal:
        for path, (split, row) in _videos(tables).items():
            stamp = tables[split].stamp(row)
            known = journal.known(path, stamp=stamp, decoder=version, timeout=options.timeout)
            if known is None or (options.retry and known.status in BAD):
                tasks[path] = stamp, split, row
            else:
                records[path] = known
        outcomes = _run([(path, split, row) for path, (_, split, row) in tasks.items()], tables, decoder, options)
        with tqdm(total=len(records) + len(tasks), initial=len(records), unit="video", desc="examined", disable=None) as bar:
            for outcome in outcomes:
                path = outcome.task[0]
                (size, changed), *_ = tasks[path]
                found = outcome.result if outcome.end == "done" else lost_video(outcome, options.timeout)
                common = {"path": path, "size": size, "changed": changed, "decoder": version, "timeout": options.timeout}
                records[path] = _record(common | found)
                journal.add(records[path])
                bar.update()
    return records


def _run(tasks: list[tuple], tables: "dict[str, VideoTable]", decoder: str, options: Options) -> "Iterator[Outcome]":
    from functools import partial

    from vidrec.commands.dataset_worker import examine_task, prepare_worker
    from vidrec.data.decoders.base import DECODERS
    from vidrec.utils.cores import usable_cores
    from vidrec.utils.killable import run_killable

    return run_killable(
        examine_task,
        tasks,
        workers=options.workers or usable_cores(),
        timeout=options.timeout,
        setup=partial(prepare_worker, tables, decoder, DECODERS.target(decoder)),
        preload=["vidrec.data.loader_server", "vidrec.commands.dataset_worker", "vidrec.data.doctor.examine", "vidrec.data.decoders.auto"],
    )


def _record(fields: dict[str, Any]) -> "Record":
    from vidrec.data.doctor.examine import Record

    return Record(**fields)


def _videos(tables: "dict[str, VideoTable]") -> dict[str, tuple[str, int]]:
    """Split and row of each video, the first where several rows have it."""
    from vidrec.data.manifest import video_id

    videos: dict[str, tuple[str, int]] = {}
    for split, table in tables.items():
        for row in range(len(table)):
            videos.setdefault(video_id(table.path(row)), (split, row))
    return videos


def lost_video(outcome: "Outcome", timeout: float) -> dict[str, str]:
    """Status and reason of a video whose process was killed or died."""
    import signal

    if outcome.end == "hung":
        return {"status": "hung", "reason": f"the decoder did not end within {timeout:g} seconds and was killed"}
    code = outcome.exit_code
    if code < 0:
        memory = " (out of memory?)" if code == -signal.SIGKILL else ""
        return {"status": "crashed", "reason": f"the decoder's process was ended by {signal.Signals(-code).name}{memory}"}
    return {"status": "crashed", "reason": f"the decoder's process ended with exit code {code}"}
