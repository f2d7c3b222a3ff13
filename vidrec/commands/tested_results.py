"""What a test measured: the files, and what is said of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.tested_network import zoo_row
from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import zoo_name

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.engine.averages import ViewAverage
    from vidrec.engine.evaluation.evaluate import ConfusedPair, Evaluation
    from vidrec.engine.evaluation.tables import Names
    from vidrec.engine.evaluation.view_counts import ViewCount
    from vidrec.engine.tester import VideoScores

SAID_PAIRS = 5


class Subject(NamedTuple):
    """What was tested: config file, weights, videos with the names of their classes, the folder for the results; how views were scored."""

    config_file: str
    weights: str
    dataset: Any
    class_names: list[str] | None
    folder: Path
    average: "ViewAverage"
    counts: "list[ViewCount]"


def report(cfg: "CfgNode", subject: Subject, result: "VideoScores") -> int:
    """Measures, writes the files, and says the accuracies with their views. Returns the number of videos that could not be read."""
    import torch

    from vidrec.engine.evaluation.evaluate import evaluate
    from vidrec.engine.evaluation.tables import Names
    from vidrec.engine.log import logger
    from vidrec.engine.results import ResultInfo, write_results

    dataset, num_views = subject.dataset, resolve_protocol(cfg.CONFIG).num_views
    probabilities = subject.average.probabilities(torch.from_numpy(result.scores), num_views=num_views).numpy()
    evaluation = evaluate(result, probabilities, targets=dataset.table.targets(cfg.CONFIG.DATA.NUM_CLASSES), counts=subject.counts)
    info = ResultInfo(
        protocol=protocol_fields(cfg, dataset) | {"scores": subject.average.scores_are},
        num_views=num_views,
        annotation=cfg.CONFIG.DATA.VAL_ANNO_PATH,
        annotation_sha256=dataset.annotation_sha256,
        config=subject.config_file,
        model=_model_name(cfg),
        weights=subject.weights,
    )
    names = Names([dataset.table.path(index) for index in range(len(dataset.table))], subject.class_names)
    file = write_results(subject.folder, evaluation, info=info, names=names)
    for index, reason in result.reasons.items():
        logger.warning("counted as wrong, cannot be read: %s (%s)", names.paths[index], reason)
    logger.info("%s\nresults: %s, with tables and pictures beside it (docs/evaluation.md)", _text(cfg, evaluation, names), file)
    return len(result.reasons)


def protocol_fields(cfg: "CfgNode", dataset: Any) -> dict[str, Any]:
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


def _text(cfg: "CfgNode", evaluation: "Evaluation", names: "Names") -> str:
    """What people are told at the end, the accuracies last."""
    lines = []
    if absent := evaluation.accuracies.absent_classes:
        lines.append(f"left out of the mean over classes, having no video: {', '.join(_class(label, names) for label in absent)}")
    if pairs := evaluation.pairs()[:SAID_PAIRS]:
        lines.append("most often taken")
        lines += [f"  {_class(pair.label, names)} for {_class(pair.prediction, names)}: {_videos(pair)}" for pair in pairs]
    interval, found = evaluation.interval, evaluation.calibration
    lines.append(f"top-1 lies from {interval.low:.4f} to {interval.high:.4f} ({interval.level:.0%} of {interval.resamples} resamples)")
    lines.append(f"expected calibration error {found.ece:.4f} ({found.bins} bins, mean confidence {found.mean_confidence:.4f})")
    return "\n".join([*lines, _accuracy_line(cfg, evaluation)])


def _class(label: int, names: "Names") -> str:
    return names.of(label) or str(label)


def _videos(pair: "ConfusedPair") -> str:
    return f"{pair.videos} video{'' if pair.videos == 1 else 's'}, {pair.share:.0%}"


def _accuracy_line(cfg: "CfgNode", evaluation: "Evaluation") -> str:
    protocol, measured = resolve_protocol(cfg.CONFIG), evaluation.accuracies
    views = f"{protocol.num_views} views ({protocol.num_clips} x {protocol.num_crops})"
    changed = " changed" if protocol.overridden else ""
    return (
        f"{measured.text()}  of {measured.num_videos} videos with {views}, {measured.num_failed} unreadable,"
        f" protocol {protocol.name}{changed}"
    )
