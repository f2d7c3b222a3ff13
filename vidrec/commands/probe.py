"""Measures features with simple classifiers: `probe --features TRAIN --val VAL [--probe linear attentive knn]`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from vidrec.inference.feature_reading import Features
    from vidrec.inference.probe_data import ProbeData
    from vidrec.inference.probes import ProbeResult

PROBES = ("linear", "attentive", "knn")
DESCRIPTION = (
    "Train simple classifiers on the features of a training list and measure them on those of another: logistic regression, cross-attention"
    " over views or points of maps, and the vote of nearest neighbors. tools/feat_extract_pytorch.py makes the features."
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("probe.py", description=DESCRIPTION)
    parser.add_argument("--features", required=True, metavar="TRAIN", help="features to train on: a folder, .npz or .parquet")
    parser.add_argument("--val", required=True, metavar="VAL", help="features to measure on")
    parser.add_argument("--probe", nargs="+", choices=PROBES, metavar="NAME", help=f"of {', '.join(PROBES)}; all that the features allow")
    parser.add_argument("--k", type=int, default=20, metavar="K", help="neighbors of the k-NN probe (20)")
    parser.add_argument("--temperature", type=float, default=0.07, metavar="T", help="of the votes of the k-NN probe (0.07)")
    parser.add_argument("--epochs", type=int, default=30, metavar="N", help="of the attentive probe (30)")
    parser.add_argument("--hold-out", type=float, default=0.2, metavar="SHARE", help="of TRAIN, to choose decay or rate by (0.2)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is held out and of the attentive probe (0)")
    parser.add_argument("--class-names", default="", metavar="FILE", help="a name a line, or a data set of the zoo; else those of TRAIN")
    parser.add_argument("--output", default="", metavar="FILE", help="JSON; if not given, probe.json beside the features of VAL")
    args = parser.parse_args(argv)
    return run_command(lambda: probe(args))


def probe(args: argparse.Namespace) -> None:
    """Reads both lists, runs the probes and reports them. Raises UserError for what cannot be probed, before the first fit."""
    _check_options(args)
    from vidrec.commands.tables import show
    from vidrec.inference.feature_reading import read_features
    from vidrec.inference.probe_data import check_features, class_names_of, probe_data
    from vidrec.utils import dist

    train, val = read_features(args.features), read_features(args.val)
    check_features(train, val)
    names = class_names_of(train, val, _given_names(args.class_names))
    chosen = _chosen_probes(args.probe, train, val)
    data = probe_data(train, dist.device()), probe_data(val, dist.device())
    rows = [_measured(name, *data, names=names, args=args) for name in chosen]
    report = _report(args, train, val, names, rows)
    output = _output(args)
    show(_table(report))
    _write(output, report)
    show(f"\n{output}")


def _check_options(args: argparse.Namespace) -> None:
    least = [("--k", args.k, 1, "neighbor"), ("--epochs", args.epochs, 1, "epoch")]
    for option, value, lowest, unit in least:
        if value < lowest:
            raise UserError(f"{option} is {value}; it must be at least {lowest} {unit}. Give a larger number.")
    if not args.temperature > 0:
        raise UserError(f"--temperature is {args.temperature}; it must be above 0. Give 0.07, or more for votes that are more alike.")
    if not 0 < args.hold_out < 1:
        raise UserError(f"--hold-out is {args.hold_out}; it must lie between 0 and 1. Give 0.2.")


def _given_names(names: str) -> list[str] | None:
    from vidrec.data.annotations.classes import named_classes
    from vidrec.model_zoo.labels import data_sets

    if names and names not in data_sets() and not Path(names).is_file():
        known = ", ".join(data_sets())
        raise UserError(f"--class-names is {names!r}, which is no file; a file with a class name a line, or one of {known}, is wanted.")
    return named_classes(names, num_classes=None)


def _chosen_probes(asked: Sequence[str] | None, train: "Features", val: "Features") -> list[str]:
    """The probes to run. Raises UserError where the attentive one is asked for and there is nothing to attend to."""
    several = all(features.values.ndim > 2 for features in (train, val))
    if asked and "attentive" in asked and not several:
        raise UserError(
            "--probe attentive is asked for, and the features are one vector a video; it needs those of each view, or maps. Extract them"
            " with --views all --each-view, or --pool none, or leave this probe out."
        )
    return [name for name in PROBES if (name in asked if asked else several or name != "attentive")]


def _measured(name: str, train: "ProbeData", val: "ProbeData", *, names: Sequence[str], args: argparse.Namespace) -> dict[str, Any]:
    """A probe's accuracies, and the numbers that it was made with."""
    import numpy as np

    from vidrec.engine.confusion import class_accuracies, confusion_counts
    from vidrec.engine.metrics import accuracies

    result = _run(name, train, val, len(names), args)
    labels = val.labels.cpu().numpy()
    none = np.zeros(len(labels), dtype=bool)
    found = accuracies(result.scores, labels, none)
    per_class = class_accuracies(confusion_counts(result.scores, labels, none), labels)
    return {
        "probe": name,
        "top1": found.top1,
        "top5": found.top5,
        "k": found.k,
        "mean_class": found.mean_class,
        "chosen": result.chosen,
        "held_out": [{result.tried: trial.value, "top1": trial.top1, "loss": trial.loss} for trial in result.trials],
        "per_class": dict(zip(names, per_class, strict=True)),
    }


def _run(name: str, train: "ProbeData", val: "ProbeData", num_classes: int, args: argparse.Namespace) -> "ProbeResult":
    from vidrec.engine.progress import Countdown
    from vidrec.inference.probes import DECAYS, RATES, attentive_probe, knn_probe, linear_probe

    if name == "knn":
        return knn_probe(
            train.vectors, train.labels, val.vectors, num_classes=num_classes, k=args.k, temperature=args.temperature
        )
    common = {"num_classes": num_classes, "share": args.hold_out, "seed": args.seed}
    if name == "linear":
        with Countdown(len(DECAYS) + 1, "linear probe", unit="fit") as progress:
            return linear_probe(train.vectors, train.labels, val.vectors, step=progress.advance, **common)
    with Countdown(args.epochs * (len(RATES) + 1), "attentive probe", unit="epoch") as progress:
        return attentive_probe(train.tokens, train.labels, val.tokens, epochs=args.epochs, step=progress.advance, **common)


def _report(
    args: argparse.Namespace, train: "Features", val: "Features", names: Sequence[str], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """Everything that is said, fit for JSON."""
    import numpy as np

    counts = np.bincount([labels[0] for labels in train.labels], minlength=len(names))
    commonest = int(counts.argmax())
    both = len(set(train.paths) & set(val.paths))
    unseen = sorted({labels[0] for labels in val.labels} - set(np.flatnonzero(counts).tolist()))
    return {
        "probes": rows,
        "train": {"features": args.features, "videos": len(train.paths), "shape": list(train.values.shape[1:]), "settings": train.settings},
        "val": {"features": args.val, "videos": len(val.paths), "shape": list(val.values.shape[1:]), "settings": val.settings},
        "commonest_class": {"name": names[commonest], "top1": float(np.mean([labels[0] == commonest for labels in val.labels]))},
        "videos_in_both": both,
        "classes_without_training_video": [names[label] for label in unseen],
        "seed": args.seed,
    }


def _table(report: dict[str, Any]) -> str:
    """The accuracies side by side, and what to keep in mind."""
    from vidrec.commands.tables import text_table

    rows = []
    for row in report["probes"]:
        made = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in row["chosen"].items())
        rows.append([row["probe"], *(f"{row[key]:.4f}" for key in ("top1", "top5", "mean_class")), made])
    train, val, floor = report["train"], report["val"], report["commonest_class"]
    k = report["probes"][0]["k"]
    shape = " x ".join(map(str, train["shape"]))
    lines = [f"{train['videos']} training videos, {val['videos']} validation videos, features of {shape}{_origin(train['settings'])}", ""]
    lines += [text_table(["probe", "top-1", f"top-{k}", "mean class", "with"], rows, "<>>><"), ""]
    lines.append(f"always {floor['name']}, the commonest class in training: top-1 {floor['top1']:.4f}")
    if report["videos_in_both"]:
        lines.append(f"WARNING: {report['videos_in_both']} videos stand in both lists; the accuracies are too high by that.")
    if report["classes_without_training_video"]:
        lines.append(f"classes without a training video: {', '.join(report['classes_without_training_video'])}")
    return "\n".join(lines)


def _origin(settings: dict[str, Any]) -> str:
    """` of layer head.pool of I3DResNet, 30 views`; '' for features of other making."""
    if "layer" not in settings:
        return ""
    views = settings.get("protocol", {}).get("num_views", 1)
    return f" of layer {settings['layer']} of {settings['network']}, {views} view{'s' if views > 1 else ''}"


def _output(args: argparse.Namespace) -> Path:
    val = Path(args.val)
    return Path(args.output) if args.output else (val if val.is_dir() else val.parent) / "probe.json"


def _write(output: Path, report: dict[str, Any]) -> None:
    from vidrec.engine.files import atomic_file, make_folder, room_text

    try:
        make_folder(output.parent)
        with atomic_file(output) as file:
            file.write((json.dumps(report, indent=2) + "\n").encode())
    except OSError as error:
        place = next(folder for folder in output.absolute().parents if folder.exists())
        raise UserError(
            f"{output} cannot be written ({error.strerror}; {room_text(place)}); it must be a file that you may write."
            " Choose another with --output."
        ) from error
