"""Tests a network with many views per video: `test --config-file F [KEY VALUE ...]`."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import UNREADABLE, config_parser, run_command
from vidrec.config.protocols import resolve_protocol
from vidrec.utils.errors import ConfigError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.evaluation.view_counts import ByViews
    from vidrec.engine.stopping import Stop
    from vidrec.engine.tester import Tester
    from vidrec.models.recognizer import Recognizer

GOING_ON = "The scores so far are kept; the same command goes on from there."


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code: 0, or UNREADABLE."""
    description = "Test a network with TEST_NUM_SEGMENT x TEST_NUM_CROP views per video, cut and averaged as CONFIG.TEST says."
    description += f" Exit code 0: done; {UNREADABLE}: done, and some videos could not be read; 1: an error."
    args = config_parser("test_ddp_pytorch.py", description).parse_args(argv)
    return run_command(lambda: _start(args.config_file, args.overrides), going_on=GOING_ON)


def _start(config_file: str, overrides: Sequence[str]) -> int:
    from vidrec.commands.runs import load_run_config
    from vidrec.engine.launch import launch
    from vidrec.models.build import check_network

    cfg = load_run_config(config_file, overrides, find_run=True, find_test=True)
    if cfg.CONFIG.INFERENCE.FEAT:
        raise ConfigError(["CONFIG.INFERENCE.FEAT is True; a network that returns features has no scores. Set it False to test."])
    check_network(cfg)
    return launch(partial(test, config_file=config_file), cfg)


def test(cfg: "CfgNode", config_file: str) -> int:
    """One process of a test. Returns the exit code: 0, UNREADABLE, or stopping.EXIT_STOPPED where the test was asked to stop."""
    from vidrec.engine.log import logger
    from vidrec.engine.stopping import Stop, Stopped, exit_status
    from vidrec.utils import dist

    stop = Stop()
    with stop.listening():
        try:
            failed = _test(cfg, config_file, stop)
        except Stopped:
            if dist.is_main():
                logger.info("stopped; the scores so far are kept, and the same command goes on from there")
            return exit_status()
    return exit_status(UNREADABLE) if failed else 0


def _test(cfg: "CfgNode", config_file: str, stop: "Stop") -> int:
    """Scores this process's share of the videos; then, on the main process, come the files and the accuracies.

    Returns:
        The number of videos that could not be read.
    """
    from vidrec.commands.checkpoints import build_networks
    from vidrec.commands.runs import open_loader, open_run, open_split
    from vidrec.commands.tested_results import Subject, report
    from vidrec.commands.unfinished import open_scores, remaining, results_folder
    from vidrec.data.build import class_names
    from vidrec.engine.stopping import Interruptible
    from vidrec.utils import dist

    cfg, folder = open_run(cfg)
    names = class_names(cfg)
    dataset, _, loader = open_split(cfg, "test")
    networks, weights = build_networks(cfg, folder)
    tester = _build_tester(cfg, networks, _by_views(cfg, dataset))
    out = results_folder(cfg, folder)
    scores = open_scores(cfg, out, dataset, tester)
    if scores.done:
        loader = open_loader(cfg, dataset, remaining(dataset, scores), "test")
    result = tester.run(Interruptible(loader, stop), num_videos=len(dataset.table), kept=scores)
    subject = Subject(config_file, weights, dataset, names, out, tester.average, tester.by_views.counts)
    failed = dist.run_on_main(report, cfg, subject, result)
    scores.remove()
    return failed


def _build_tester(cfg: "CfgNode", networks: "list[Recognizer]", by_views: "ByViews") -> "Tester":
    from vidrec.engine.averages import ViewAverage
    from vidrec.engine.evaluation.ensemble import Ensemble, EnsembleAverage
    from vidrec.engine.precision import lay_out
    from vidrec.engine.tester import Tester
    from vidrec.utils import dist

    data, val = cfg.CONFIG.DATA, cfg.CONFIG.VAL
    name, sigmoid = resolve_protocol(cfg.CONFIG).average, cfg.CONFIG.TRAIN.LOSS != "softmax"
    averages = [ViewAverage(name, getattr(network.head, "fc", None), sigmoid=sigmoid) for network in networks]
    model, average = (networks[0], averages[0]) if len(networks) == 1 else (Ensemble(networks), EnsembleAverage(averages))
    lay_out(model, val.MEMORY_FORMAT)
    return Tester(
        model.to(dist.device()),
        device=dist.device(),
        mean=data.MEAN,
        std=data.STD,
        views_per_batch=val.BATCH_SIZE,
        average=average,
        precision=val.PRECISION,
        memory_format=val.MEMORY_FORMAT,
        by_views=by_views,
    )


def _by_views(cfg: "CfgNode", dataset: Any) -> "ByViews":
    """What is kept for the accuracies by number of views; with scores only where videos have several labels."""
    from vidrec.data.view_crops import center_crop
    from vidrec.engine.evaluation.view_counts import ByViews, view_counts

    cut = dataset.protocol()
    num_clips, num_crops = cut["num_clips"], cut["num_crops"]
    counts = view_counts(num_clips, num_crops, center=center_crop(cut["crops"], num_crops))
    return ByViews(counts, num_crops=num_crops, with_scores=dataset.table.targets(cfg.CONFIG.DATA.NUM_CLASSES) is not None)
