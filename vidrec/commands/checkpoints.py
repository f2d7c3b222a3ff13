"""Several checkpoints in one test: the mean of their scores, or of their weights."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.tested_network import build_tested, build_with
from vidrec.utils.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from yacs.config import CfgNode

    from vidrec.models.recognizer import Recognizer


def build_networks(cfg: "CfgNode", folder: Path | None) -> "tuple[list[Recognizer], str]":
    """The networks whose scores a test averages, and where their weights are from; one, unless INFERENCE asks for several.

    Raises:
        WeightsError: INFERENCE.CHECKPOINTS names what is not there, or a file that does not fit the network.
    """
    inference = cfg.CONFIG.INFERENCE
    if not inference.CHECKPOINTS or inference.COMBINE == "weights":
        model, source = build_tested(cfg, folder)
        return [model], source
    built = list(_distinct(build_with(cfg, path) for path in named_checkpoints(cfg, folder)))
    return [model for model, _ in built], _source("scores", [source for _, source in built])


def _distinct(built: "Iterable[tuple[Recognizer, str]]") -> "Iterator[tuple[Recognizer, str]]":
    """Networks and where they are from, without those that have the weights of an earlier one, as best.pth has those of its epoch."""
    from vidrec.engine.evaluation.partial import digest
    from vidrec.engine.log import logger

    seen: dict[str, str] = {}
    for model, source in built:
        first = seen.setdefault(digest(model), source)
        if first == source:
            yield model, source
        else:
            logger.info("%s has the weights of %s, and is left out: each checkpoint counts once", source, first)


def build_averaged(cfg: "CfgNode", folder: Path | None) -> "tuple[Recognizer, str]":
    """The network with the mean of the weights of INFERENCE.CHECKPOINTS, and where they are from.

    Every file must fit the network. BatchNorm's statistics are averaged too, which are not those of the averaged weights; with BN_BATCHES
    they are computed anew from training clips.
    """
    from vidrec.engine.log import logger
    from vidrec.models.layers.norm import batch_norms

    paths = named_checkpoints(cfg, folder)
    sources: list[str] = []
    built: list[Recognizer] = []

    def states() -> "Iterable[dict[str, Tensor]]":
        for model, source in _distinct(build_with(cfg, path) for path in paths):
            built[:] = [model]  # two in memory at most
            sources.append(source)
            yield model.state_dict()

    mean = mean_state(states())
    (model,) = built
    model.load_state_dict(mean)
    source = _source("weights", sources)
    if num_batches := cfg.CONFIG.INFERENCE.BN_BATCHES:
        renew(cfg, model, num_batches)
        return model, f"{source}, BatchNorm statistics of {num_batches} training batches"
    if len(sources) > 1 and batch_norms(model):
        logger.warning(
            "BatchNorm's statistics are the mean of those of the checkpoints, not those of the averaged weights; where these lie far "
            "apart that costs accuracy. CONFIG.INFERENCE.BN_BATCHES 100 computes them anew from training clips."
        )
    return model, source


def named_checkpoints(cfg: "CfgNode", folder: Path | None) -> list[str]:
    """The files that INFERENCE.CHECKPOINTS names, in its order, those of a pattern by name.

    A number is the checkpoint of that epoch in the run's folder; a name without a folder that is no file here is looked for there too.

    Raises:
        WeightsError: an entry names no file, or a file is named twice.
    """
    checkpoints = folder / cfg.CONFIG.LOG.SAVE_DIR if folder else None
    paths = [path for entry in cfg.CONFIG.INFERENCE.CHECKPOINTS for path in _files_of(entry, checkpoints)]
    twice = [path for place, path in enumerate(paths) if Path(path).resolve() in {Path(before).resolve() for before in paths[:place]}]
    if twice:
        raise WeightsError(f"CONFIG.INFERENCE.CHECKPOINTS names {twice[0]} twice; each checkpoint counts once. Take one of them out.")
    return paths


def _files_of(entry: str | int, checkpoints: Path | None) -> list[str]:
    """The files of one entry; where there is none, the error lists what is in the run's folder."""
    name = entry if isinstance(entry, str) else f"epoch_{entry:04d}.pth"
    places = [name] if isinstance(entry, str) else []
    if checkpoints is not None and not Path(name).is_absolute():
        places.append(str(Path(glob.escape(str(checkpoints))) / name) if glob.has_magic(name) else str(checkpoints / name))
    for place in places:
        found = [place] if Path(place).is_file() else sorted(path for path in glob.glob(place) if Path(path).is_file())
        if found:
            return found
    there = sorted(path.name for path in checkpoints.glob("*.pth")) if checkpoints else []
    raise WeightsError(
        f"CONFIG.INFERENCE.CHECKPOINTS has {entry!r}, which is no file; it must name a weights file, a pattern of some, or an epoch with a"
        f" checkpoint in {checkpoints or 'a run'} ({', '.join(there) or 'there is none'})."
    )


def mean_state(states: "Iterable[dict[str, Tensor]]") -> "dict[str, Tensor]":
    """The mean of state dicts of one network, in float64; what counts something is that of the first."""
    import torch

    sums: dict[str, torch.Tensor] = {}
    first: dict[str, torch.Tensor] = {}
    count = 0
    for state in states:
        first = first or state
        count += 1
        for name, tensor in state.items():
            if tensor.is_floating_point():
                sums[name] = sums[name] + tensor if name in sums else tensor.double()
    return {name: (sums[name] / count).to(tensor.dtype) if name in sums else tensor for name, tensor in first.items()}


def renew(cfg: "CfgNode", model: "nn.Module", num_batches: int) -> None:
    """BatchNorm's statistics of the weights as they are, from the first batches of training clips; every process must call it."""
    from vidrec.commands.runs import open_split
    from vidrec.engine.log import logger
    from vidrec.engine.precise_bn import renew_statistics
    from vidrec.utils import dist

    sampler, loader = open_split(cfg, "train")[1:]
    sampler.set_epoch(0)
    taken = min(num_batches, sampler.num_batches)
    logger.info("BatchNorm's statistics are computed from %d batches of training clips", taken)
    model.to(dist.device()).train()
    renew_statistics(model, _clips(cfg, loader), num_batches=taken)
    model.eval()


def _clips(cfg: "CfgNode", loader: Iterable[Any]) -> "Iterable[Tensor]":
    """Batches of training clips [B, 3, T, H, W] on the device, as the network sees them in training."""
    import torch

    from vidrec.data.build import build_batch_augment
    from vidrec.data.transforms import normalize_clips
    from vidrec.utils import dist
    from vidrec.utils.seed import derive_seed

    augment, data = build_batch_augment(cfg, "device"), cfg.CONFIG.DATA
    for place, batch in enumerate(loader):
        clips = batch.clips.to(dist.device())
        if augment is not None:
            clips, _ = augment(clips, batch.labels.to(dist.device()), batch.plans)
        torch.manual_seed(derive_seed(cfg.CONFIG.TRAIN.SEED, 0, place, dist.rank()))  # of dropout, as in training
        yield normalize_clips(clips, data.MEAN, data.STD)


def _source(combined: str, sources: Sequence[str]) -> str:
    return sources[0] if len(sources) == 1 else f"mean of the {combined} of {', '.join(sources)}"
