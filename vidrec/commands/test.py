"""Tests a network with many views per video: `test --config-file F [KEY VALUE ...]`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import config_parser, run_command
from vidrec.commands.tested_network import build_tested, zoo_row
from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import zoo_name
from vidrec.utils.errors import ConfigError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.metrics import Accuracies
    from vidrec.engine.tester import VideoScores


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    description = "Test a network with TEST_NUM_SEGMENT x TEST_NUM_CROP views per video, cut and averaged as CONFIG.TEST says."
    args = config_parser("test_ddp_pytorch.py", description).parse_args(argv)
    return run_command(lambda: _start(args.config_file, args.overrides))


def _start(config_file: str, overrides: Sequence[str]) -> None:
    from vidrec.commands.runs import load_run_config
    from vidrec.engine.launch import launch
    from vidrec.models.build import check_network

    cfg = load_run_config(config_file, overrides, find_run=True)
    if cfg.CONFIG.INFERENCE.FEAT:
        raise ConfigError(["CONFIG.INFERENCE.FEAT is True; a network that returns features has no scores. Set it False to test."])
    check_network(cfg)
    launch(partial(test, config_file=config_file), cfg)


def test(cfg: "CfgNode", config_file: str) -> None:
    """One process of a test: its share of the videos, then, on the main process, the files and the accuracies."""
    from vidrec.commands.runs import open_run, open_split
    from vidrec.data.build import class_names
    from vidrec.engine.averages import ViewAverage
    from vidrec.engine.precision import lay_out
    from vidrec.engine.tester import Tester
    from vidrec.utils import dist

    cfg, folder = open_run(cfg)
    data, val = cfg.CONFIG.DATA, cfg.CONFIG.VAL
    names = class_names(cfg)
    dataset, _, loader = open_split(cfg, "test")
    model, weights = build_tested(cfg, folder)
    lay_out(model, val.MEMORY_FORMAT)
    sigmoid = cfg.CONFIG.TRAIN.LOSS != "softmax"
    average = ViewAverage(resolve_protocol(cfg.CONFIG).average, getattr(model.head, "fc", None), sigmoid=sigmoid)
    tester = Tester(
        model.to(dist.device()),
        device=dist.device(),
        mean=data.MEAN,
        std=data.STD,
        views_per_batch=val.BATCH_SIZE,
        average=average,
        precision=val.PRECISION,
        memory_format=val.MEMORY_FORMAT,
    )
    result = tester.run(loader, num_videos=len(dataset.table))
    subject = _Subject(config_file, weights, dataset, names, folder / (cfg.CONFIG.LOG.EVAL_DIR or "eval"), average.scores_are)
    dist.run_on_main(_report, cfg, subject, result)


class _Subject(NamedTuple):
    """What was tested: config file, weights, videos with the names of their classes; the folder for the results; what scores are."""

    config_file: str
    weights: str
    dataset: Any
    class_names: list[str] | None
    folder: Path
    scores_are: str


def _report(cfg: "CfgNode", subject: _Subject, result: "VideoScores") -> None:
    """Measures, writes result.json, scores.npz and predictions.csv, and says the accuracies with their views."""
    from vidrec.engine.log import logger
    from vidrec.engine.metrics import measure
    from vidrec.engine.results import ResultInfo, write_results

    data, dataset = cfg.CONFIG.DATA, subject.dataset
    targets = dataset.table.targets(data.NUM_CLASSES)
    measured = measure(result, targets=targets)
    paths = [dataset.table.path(index) for index in range(len(dataset.table))]
    info = ResultInfo(
        protocol=_protocol(cfg, dataset) | {"scores": subject.scores_are},
        num_views=resolve_protocol(cfg.CONFIG).num_views,
        annotation=data.VAL_ANNO_PATH,
        annotation_sha256=dataset.annotation_sha256,
        config=subject.config_file,
        model=_model_name(cfg),
        weights=subject.weights,
    )
    names = subject.class_names
    file = write_results(subject.folder, result, measured, info=info, paths=paths, class_names=names, targets=targets)
    for index, reason in result.reasons.items():
        logger.warning("counted as wrong, cannot be read: %s (%s)", paths[index], reason)
    if measured.absent_classes:
        shown = [names[label] if names else str(label) for label in measured.absent_classes]
        logger.info("left out of the mean over classes, having no video: %s", ", ".join(shown))
    logger.info("%s\nresults: %s, with scores.npz and predictions.csv beside it", _accuracy_line(cfg, measured), file)


def _protocol(cfg: "CfgNode", dataset: Any) -> dict[str, Any]:
    """Everything that decides a score beside the weights: the dataset's own choices, and the protocol's name and average."""
    data, protocol = cfg.CONFIG.DATA, resolve_protocol(cfg.CONFIG)
    return dataset.protocol() | {
        "name": protocol.name,
        "overridden": list(protocol.overridden),
        "average": protocol.average,
        "mean": list(data.MEAN),
        "std": list(data.STD),
        "views_per_batch": cfg.CONFIG.VAL.BATCH_SIZE,
        "precision": cfg.CONFIG.VAL.PRECISION,
    }


def _model_name(cfg: "CfgNode") -> str:
    """The zoo name, marked where the config changes the row behind it; the backbone's TYPE without a name."""
    model = cfg.CONFIG.MODEL
    if not model.NAME:
        return model.BACKBONE.TYPE
    row = zoo_row(cfg)
    changed = [part for part in ("BACKBONE", "NECK", "HEAD") if dict(model[part]) != row.model.get(part, {})]
    return f"{zoo_name(row)} with another {' and '.join(changed)}" if changed else zoo_name(row)


def _accuracy_line(cfg: "CfgNode", measured: "Accuracies") -> str:
    protocol = resolve_protocol(cfg.CONFIG)
    views = f"{protocol.num_views} views ({protocol.num_clips} x {protocol.num_crops})"
    changed = " changed" if protocol.overridden else ""
    return (
        f"{measured.text()}  of {measured.num_videos} videos with {views}, {measured.num_failed} unreadable,"
        f" protocol {protocol.name}{changed}"
    )
