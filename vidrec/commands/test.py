"""Tests a network with many views per video: `test --config-file F [KEY VALUE ...]`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import config_parser, run_command
from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import find_row, zoo_name
from vidrec.utils.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.metrics import Accuracies
    from vidrec.engine.tester import VideoScores
    from vidrec.model_zoo.specs import Row
    from vidrec.models.recognizer import Recognizer


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
    model, weights = _build_tested(cfg, folder)
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


def _build_tested(cfg: "CfgNode", folder: Path) -> "tuple[Recognizer, str]":
    """The network with the weights to test, and where they are from.

    PRETRAINED_PATH alone (LOAD False) is what to test. Otherwise the weights that a config names are where its training starts, and
    the best checkpoint of its own run goes before them.

    Raises:
        WeightsError: there are none.
    """
    from vidrec.engine.log import logger
    from vidrec.models.build import build_model
    from vidrec.models.weights.load import load_state, load_weights
    from vidrec.models.weights.read import read_average

    model_cfg = cfg.CONFIG.MODEL
    checkpoints = folder / cfg.CONFIG.LOG.SAVE_DIR
    own = [*checkpoints.glob("best.pth"), *sorted(checkpoints.glob("epoch_*.pth"), reverse=True)]
    if model_cfg.PRETRAINED_PATH and not (model_cfg.LOAD and own):
        path = model_cfg.PRETRAINED_PATH
    elif own:
        path = str(own[0])
    else:
        _check_published(cfg, checkpoints)
        return build_model(cfg), f"zoo: {zoo_name(_zoo_row(cfg))} {model_cfg.PRETRAINED}"
    model = build_model(cfg, load_weights=False)
    if cfg.CONFIG.INFERENCE.EMA:
        logger.info("testing the average of the weights of %s", path)
        load_state(model, read_average(path), source=path)
        return model, f"{path}, average of the weights"
    logger.info("testing the weights of %s", path)
    load_weights(model, path)
    return model, path


def _check_published(cfg: "CfgNode", checkpoints: Path) -> None:
    """Raises WeightsError where the zoo's weights are not asked for, are no average, or would leave the classifier untrained."""
    model_cfg = cfg.CONFIG.MODEL
    if cfg.CONFIG.INFERENCE.EMA:
        raise WeightsError(
            f"CONFIG.INFERENCE.EMA is True and {checkpoints} has no checkpoint; published weights are no average."
            " Set it False, or train this config first."
        )
    remedy = " Name a weights file in CONFIG.MODEL.PRETRAINED_PATH, or train this config first."
    if not model_cfg.PRETRAINED:
        raise WeightsError(
            f"There are no weights to test: CONFIG.MODEL.PRETRAINED_PATH is empty, PRETRAINED is False and {checkpoints} has no"
            f" checkpoint.{remedy}"
        )
    if model_cfg.RESET_HEAD or model_cfg.NAME.endswith("_custom"):
        raise WeightsError(
            f"The published weights of {model_cfg.NAME} have no classifier for the classes of this config, and {checkpoints} has no"
            f" checkpoint.{remedy}"
        )


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
    row = _zoo_row(cfg)
    changed = [part for part in ("BACKBONE", "NECK", "HEAD") if dict(model[part]) != row.model.get(part, {})]
    return f"{zoo_name(row)} with another {' and '.join(changed)}" if changed else zoo_name(row)


def _zoo_row(cfg: "CfgNode") -> "Row":
    model = cfg.CONFIG.MODEL
    return find_row(model.NAME, zoo=model.ZOO, hashtag=model.PRETRAINED)


def _accuracy_line(cfg: "CfgNode", measured: "Accuracies") -> str:
    protocol = resolve_protocol(cfg.CONFIG)
    views = f"{protocol.num_views} views ({protocol.num_clips} x {protocol.num_crops})"
    changed = " changed" if protocol.overridden else ""
    return (
        f"{measured.text()}  of {measured.num_videos} videos with {views}, {measured.num_failed} unreadable,"
        f" protocol {protocol.name}{changed}"
    )
