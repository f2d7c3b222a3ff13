"""Tests a network with many views per video: `test --config-file F [KEY VALUE ...]`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import config_parser, run_command
from vidrec.utils.errors import ConfigError, WeightsError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.metrics import Accuracies
    from vidrec.engine.tester import VideoScores
    from vidrec.models.recognizer import Recognizer


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    description = "Test a network with TEST_NUM_SEGMENT x TEST_NUM_CROP views per video, on every device of this machine."
    args = config_parser("test_ddp_pytorch.py", description).parse_args(argv)
    return run_command(lambda: _start(args.config_file, args.overrides))


def _start(config_file: str, overrides: Sequence[str]) -> None:
    from vidrec.commands.runs import load_run_config
    from vidrec.engine.launch import launch

    cfg = load_run_config(config_file, overrides)
    if cfg.CONFIG.INFERENCE.FEAT:
        raise ConfigError(["CONFIG.INFERENCE.FEAT is True; a network that returns features has no scores. Set it False to test."])
    launch(partial(test, config_file=config_file), cfg)


def test(cfg: "CfgNode", config_file: str) -> None:
    """One process of a test: its share of the videos, then, on the main process, the files and the accuracies."""
    from vidrec.commands.runs import open_run, open_split
    from vidrec.data.build import class_names
    from vidrec.engine.tester import Tester
    from vidrec.utils import dist

    cfg, folder = open_run(cfg)
    data, val = cfg.CONFIG.DATA, cfg.CONFIG.VAL
    names = class_names(cfg)
    dataset, _, loader = open_split(cfg, "test")
    model, weights = _build_tested(cfg, folder)
    tester = Tester(model.to(dist.device()), device=dist.device(), mean=data.MEAN, std=data.STD, views_per_batch=val.BATCH_SIZE)
    result = tester.run(loader, num_videos=len(dataset.table))
    info = {"config": config_file, "weights": weights, "model": cfg.CONFIG.MODEL.NAME or cfg.CONFIG.MODEL.BACKBONE.TYPE}
    dist.run_on_main(_report, cfg, folder / (cfg.CONFIG.LOG.EVAL_DIR or "eval"), dataset, result, names, info)


def _build_tested(cfg: "CfgNode", folder: Path) -> "tuple[Recognizer, str]":
    """The network with the weights to test, and what they are: PRETRAINED_PATH, else the zoo's, else the best of the config's own run.

    Raises:
        WeightsError: there are none.
    """
    from vidrec.engine.log import logger
    from vidrec.models.build import build_model
    from vidrec.models.weights.load import load_weights

    model_cfg, best = cfg.CONFIG.MODEL, folder / cfg.CONFIG.LOG.SAVE_DIR / "best.pth"
    path = model_cfg.PRETRAINED_PATH or ("" if model_cfg.PRETRAINED else str(best))
    if not path:
        return build_model(cfg), f"zoo: {model_cfg.NAME} {model_cfg.PRETRAINED}"
    if not model_cfg.PRETRAINED_PATH and not best.is_file():
        raise WeightsError(
            f"There are no weights to test: CONFIG.MODEL.PRETRAINED_PATH is empty, PRETRAINED is False and {best} does not exist."
            " Name a weights file in CONFIG.MODEL.PRETRAINED_PATH, or train this config first (with a fixed CONFIG.LOG.EXP_NAME)."
        )
    logger.info("testing the weights of %s", path)
    model = build_model(cfg, load_weights=False)
    load_weights(model, path)
    return model, path


def _report(
    cfg: "CfgNode", folder: Path, dataset: Any, result: "VideoScores", names: list[str] | None, info: dict[str, str]
) -> None:
    """Measures, writes result.json, scores.npz and predictions.csv, and says the accuracies with their views."""
    from vidrec.engine.log import logger
    from vidrec.engine.metrics import accuracies
    from vidrec.engine.results import ResultInfo, write_results

    data = cfg.CONFIG.DATA
    measured = accuracies(result.scores, result.labels, result.failed)
    paths = [dataset.table.path(index) for index in range(len(dataset.table))]
    result_info = ResultInfo(
        protocol=dataset.protocol(),
        num_views=data.TEST_NUM_SEGMENT * data.TEST_NUM_CROP,
        annotation=data.VAL_ANNO_PATH,
        annotation_sha256=dataset.annotation_sha256,
        **info,
    )
    file = write_results(folder, result, measured, info=result_info, paths=paths, class_names=names)
    for index, reason in result.reasons.items():
        logger.warning("counted as wrong, cannot be read: %s (%s)", paths[index], reason)
    logger.info("%s\nresults: %s, with scores.npz and predictions.csv beside it", _accuracy_line(cfg, measured), file)


def _accuracy_line(cfg: "CfgNode", measured: "Accuracies") -> str:
    data = cfg.CONFIG.DATA
    views = f"{data.TEST_NUM_SEGMENT * data.TEST_NUM_CROP} views ({data.TEST_NUM_SEGMENT} x {data.TEST_NUM_CROP})"
    line = f"top-1 {measured.top1:.4f}  top-{measured.k} {measured.top5:.4f}  mean class {measured.mean_class:.4f}"
    return f"{line}  of {measured.num_videos} videos with {views}, {measured.num_failed} unreadable"
