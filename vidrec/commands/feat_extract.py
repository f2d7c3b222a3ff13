"""Writes what a layer of a network gives for the videos of a list: `feat_extract_pytorch --config-file F [options] [KEY VALUE ...]`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.cli import UNREADABLE, config_parser, run_command
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    import argparse

    from yacs.config import CfgNode

    from vidrec.commands.feature_output import Extraction
    from vidrec.data.annotations import VideoTable
    from vidrec.inference.feature_store import FeatureStore
    from vidrec.inference.layers import Layer
    from vidrec.models.recognizer import Recognizer

DESCRIPTION = (
    "Write the features of the videos of a list: the vector before the classifier, or what any other layer gives, of one clip or of all"
    " views of the test. Killed, the same command goes on where it stopped."
)
GOING_ON = "The features so far are kept; the same command goes on from there."


class Options(NamedTuple):
    """What the command line asks for, for every process; `layer` '': the pooled vector; `weights` None: the config decides."""

    source: str
    weights: Path | None
    output: Path
    each_view: bool
    layer: str
    pool: str
    form: str
    flat_names: bool
    untrained: bool


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    source = "YAML file, folder of a run, checkpoint, or a name of the model zoo"
    parser = config_parser("feat_extract_pytorch.py", DESCRIPTION, source=source)
    parser.add_argument("--views", choices=("one", "all"), default="one", help="the center clip, or all of the test (their mean)")
    parser.add_argument("--each-view", action="store_true", help="with --views all: what every view gives, instead of the mean")
    parser.add_argument("--layer", default="", metavar="NAME", help="if not given, the vector that the classifier gets")
    parser.add_argument("--pool", choices=("mean", "none"), default="mean", help="of maps over time and space (mean), or the maps (none)")
    parser.add_argument("--list-layers", action="store_true", help="print the network's layers with what they give for a clip, and end")
    lists = parser.add_mutually_exclusive_group()
    lists.add_argument("--split", choices=("train", "val"), default="val", help="which list of the config (val)")
    lists.add_argument("--list", default="", metavar="FILE", help="a list of videos in place of the config's, in any of its forms")
    parser.add_argument("--format", choices=("npy", "npz", "parquet"), default="npy", help="a .npy file a video (npy), or one table")
    parser.add_argument("--flat-names", action="store_true", help="with npy: STEM_feat.npy in one folder, as the reference zoo names them")
    parser.add_argument("--untrained", action="store_true", help="weights drawn from CONFIG.TRAIN.SEED: a floor for those that are trained")
    parser.add_argument("--output", default="", metavar="DIR", help="if not given, features/LIST in the run's folder")
    args = parser.parse_intermixed_args(argv)
    return run_command(lambda: _start(args), going_on=GOING_ON)


def _start(args: "argparse.Namespace") -> int:
    from vidrec.commands.feature_list import choose_list, named_run
    from vidrec.commands.loading import find_source
    from vidrec.commands.runs import base_folder
    from vidrec.engine.launch import launch
    from vidrec.models.build import check_network

    if args.each_view and args.views == "one":
        raise UserError("--each-view is given with --views one, which has one view; it goes with all of them. Add --views all.")
    if args.flat_names and args.format != "npy":
        raise UserError(f"--flat-names is given with --format {args.format}, one file; leave it out, or take --format npy.")
    found = find_source(args.config_file, args.overrides)
    cfg = choose_list(named_run(found), split=args.split, file=args.list, all_views=args.views == "all")
    check_network(cfg)
    if args.list_layers:
        show_layers(cfg)
        return 0
    folder = base_folder(cfg) / cfg.CONFIG.LOG.EXP_NAME / "features" / (Path(args.list).stem if args.list else args.split)
    options = Options(
        source=args.config_file,
        weights=found.weights,
        output=Path(args.output) if args.output else folder,
        each_view=args.each_view,
        layer=args.layer,
        pool=args.pool,
        form=args.format,
        flat_names=args.flat_names,
        untrained=args.untrained,
    )
    return launch(partial(extract, options=options), cfg)


def show_layers(cfg: "CfgNode") -> None:
    """Prints every layer with its class and what it gives for one clip."""
    import torch

    from vidrec.commands.feature_list import clip_shape
    from vidrec.commands.tables import show, text_table
    from vidrec.inference.layers import list_layers
    from vidrec.models.build import build_model

    with torch.device("meta"):
        layers = list_layers(build_model(cfg, load_weights=False), clip_shape(cfg))
    rows = [[layer.name, layer.kind, " x ".join(map(str, layer.shape)) or "-", _remark(layer)] for layer in layers]
    frames, height, width = clip_shape(cfg)
    table = text_table(["layer", "class", "gives", ""], rows, "<<<<")
    show(f"of a clip of {frames} frames, {height} x {width} pixels: D values, or C x T x H x W of a map\n\n{table}")


def _remark(layer: "Layer") -> str:
    return f"runs {layer.calls} times: cannot be taken" if layer.calls > 1 else "" if layer.shape else "cannot be taken"


def extract(cfg: "CfgNode", options: Options) -> int:
    """One process of an extraction: the features of its share of the videos; then the main process writes what is of all of them.

    Returns:
        The exit status: UNREADABLE where some videos could not be read, else 0.
    """
    from vidrec.commands.feature_list import open_list
    from vidrec.commands.feature_output import Extraction, open_store
    from vidrec.commands.runs import open_run
    from vidrec.commands.unfinished import say_replaced
    from vidrec.data.build import build_view_maker
    from vidrec.engine.log import logger
    from vidrec.engine.stopping import exit_status
    from vidrec.utils import dist

    cfg, folder = open_run(cfg)
    make_views, table = build_view_maker(cfg), open_list(cfg)
    model, weights = _network(cfg, folder, options)
    work = Extraction(cfg, options, make_views(table), _extractor(cfg, model, options), weights)
    store = open_store(work)
    rows = dist.run_on_main(store.begin, work.settings, table.stamp)
    if dist.run_on_main(store.finished):
        logger.info("%s is complete: the features of all %d videos are there", options.output, len(table))
        return 0
    if len(rows) < store.num_features:
        logger.info("going on in %s: %d of %d videos are left", options.output, len(rows), store.num_features)
    say_replaced(table, store.replaced)
    found = dist.gather_objects(_extract_own(cfg, work, store, rows[dist.rank() :: dist.world_size()], make_views))
    unreadable = {row: reason for part in found or [] for row, reason in part.items()}
    failed = dist.run_on_main(work.finish, store, dict(sorted(unreadable.items())))
    return exit_status(UNREADABLE) if failed else 0


def _extract_own(
    cfg: "CfgNode", work: "Extraction", store: "FeatureStore", rows: Sequence[int], make_views: "Callable[[VideoTable], Any]"
) -> dict[int, str]:
    """Keeps the features of the videos of this process; those that cannot be read come back: row -> reason.

    A video that ends a loader process is one that cannot be read: the others go on without it.
    """
    import numpy as np

    from vidrec.data.build import build_loader
    from vidrec.data.survive import surviving
    from vidrec.engine.progress import shown
    from vidrec.inference.feature_tables import Found
    from vidrec.utils import dist

    whole = work.dataset.table
    table = whole.keep(np.isin(np.arange(len(whole)), rows))
    on_gpu = dist.device().type == "cuda"
    loading = partial(
        build_loader, cfg, make_views(table), split="test", local_world_size=dist.local_world_size(), pin_memory=on_gpu
    )
    reasons: dict[int, str] = {}
    for row, video in zip(rows, shown(surviving(loading, table), len(rows), "features"), strict=True):
        if video.failure is not None:
            reasons[row] = video.failure.reason
        else:
            store.add(Found(row, work.extractor(video), work.extractor.seconds(video)), video.stamp)
    return reasons


def _network(cfg: "CfgNode", folder: Path, options: Options) -> "tuple[Recognizer, str]":
    """The network with its weights, and where they are from; a published one needs a classifier only where that is what is asked for."""
    from vidrec.commands.tested_network import build_tested, build_with
    from vidrec.models.build import build_model
    from vidrec.utils.seed import seed_everything

    if options.untrained:
        seed_everything(cfg.CONFIG.TRAIN.SEED)
        return build_model(cfg, load_weights=False), f"untrained, seed {cfg.CONFIG.TRAIN.SEED}"
    if options.weights:
        return build_with(cfg, options.weights)
    return build_tested(cfg, folder, classifier=options.layer in ("head", "head.fc"))


def _extractor(cfg: "CfgNode", model: "Recognizer", options: Options) -> Any:
    from vidrec.commands.feature_list import clip_shape
    from vidrec.engine.precision import lay_out
    from vidrec.inference.features import FeatureExtractor
    from vidrec.inference.layers import POOLED, find_layer, list_layers
    from vidrec.utils import dist

    data, val = cfg.CONFIG.DATA, cfg.CONFIG.VAL
    layer = find_layer(list_layers(model, clip_shape(cfg)), options.layer or POOLED)
    lay_out(model, val.MEMORY_FORMAT)
    return FeatureExtractor(
        model.to(dist.device()),
        layer,
        pool=options.pool,
        each_view=options.each_view,
        device=dist.device(),
        mean=data.MEAN,
        std=data.STD,
        views_per_batch=val.BATCH_SIZE,
        precision=val.PRECISION,
        memory_format=val.MEMORY_FORMAT,
    )
