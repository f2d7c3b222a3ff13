"""A network ready to predict, out of whatever names one: `vidrec.load(source)`. The config is read here and goes no further."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vidrec.commands.hub_folder import WEIGHTS, fetch, hub_overrides, is_hub_address, is_hub_folder
from vidrec.commands.tested_network import build_tested, build_with, run_checkpoints
from vidrec.commands.zoo_config import zoo_config
from vidrec.config.load import read_config, read_config_text
from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import Mistake, find_row, look_up, zoo_name
from vidrec.model_zoo import specs
from vidrec.model_zoo.labels import data_sets
from vidrec.utils.errors import CheckpointError, ConfigError, UserError
from vidrec.utils.text import close_matches

if TYPE_CHECKING:
    import torch
    from yacs.config import CfgNode

    from vidrec.inference.predictor import Predictor
    from vidrec.models.recognizer import Recognizer

_YAML, _WEIGHTS = (".yaml", ".yml"), (".pth", ".pt", ".safetensors", ".params", ".zip")
NAMES_KEY = "CONFIG.DATA.CLASS_NAMES"
_HASHTAG = re.compile(r"(.+)-([0-9a-f]{6,40})")


class Found(NamedTuple):
    """What a source means.

    Attributes:
        cfg: checked and frozen.
        weights: the file of the weights; None where the config decides.
        folder: of the run, where a config looks for checkpoints of its own; None: it does not look.
        name: what to call it.
    """

    cfg: "CfgNode"
    weights: Path | None
    folder: Path | None
    name: str


def load(
    source: str | Path, *, overrides: Sequence[str] = (), device: "str | torch.device" = "", weights: str | Path | None = None
) -> "Predictor":
    """A network with its weights, its way of cutting videos into views, and its class names, ready to predict.

    Args:
        source: a run's folder (config.yaml, and the best checkpoint, else the newest of an epoch), a checkpoint (which holds its config),
            a YAML config (its run's checkpoint, else what it says of weights), a name of the model zoo, alone or as `torch/NAME` or
            `mxnet/NAME`, with or without `-HASHTAG` (the published weights), a folder of `to_hub`, or `hf://OWNER/NAME`.
        overrides: `KEY VALUE` pairs that win over the config, as on a command line.
        device: `cuda`, `cuda:1`, `cpu` ...; '': a CUDA device where there is one.
        weights: a weights file to take in place of the source's.

    Raises:
        UserError: the source is nothing of that, or lacks a part; the config, the weights or the device are wrong. One message.

    Example: `vidrec.load("runs/i3d_tiny").predict("video.mp4").top[0].name`
    """
    return make_predictor(find_source(source, overrides), device=device, weights=weights)


def find_source(source: str | Path, overrides: Sequence[str] = ()) -> Found:
    """The config and the weights that a source means, without building anything. Raises UserError as `load` does."""
    from vidrec.commands.runs import base_folder, load_run_config

    path, text = Path(source).expanduser(), str(source)
    if not text.strip():
        raise UserError("The source is empty; it must be a run's folder, a checkpoint, a YAML file or a name of the model zoo. Give one.")
    if is_hub_address(text) or is_hub_folder(path):
        return _of_hub(path if path.is_dir() else fetch(text), overrides, text)
    if path.is_dir():
        return _of_run(path, overrides)
    if path.suffix.lower() in _YAML:
        cfg = load_run_config(str(path), overrides, find_run=True)
        return Found(cfg, None, base_folder(cfg) / cfg.CONFIG.LOG.EXP_NAME, str(path))
    if path.is_file():
        return _of_checkpoint(path, overrides)
    row, hashtag = _zoo_row(text)
    if row is None:
        raise UserError(_nothing(text))
    name = f"{zoo_name(row)}{f'-{hashtag}' if hashtag else ''}"
    cfg = _checked(read_config_text(zoo_config(row, hashtag), overrides, source=f"model zoo name {name}"))
    return Found(cfg, None, None, name)


def make_predictor(found: Found, *, device: "str | torch.device" = "", weights: str | Path | None = None) -> "Predictor":
    """The predictor of what was found; `device` and `weights` as in `load`."""
    from vidrec.data.build import build_view_maker, class_names
    from vidrec.engine.averages import ViewAverage
    from vidrec.engine.precision import lay_out
    from vidrec.inference.predictor import Predictor

    cfg, on = _classifying(found.cfg), make_device(device)
    data, val, protocol = cfg.CONFIG.DATA, cfg.CONFIG.VAL, resolve_protocol(cfg.CONFIG)
    names, make_views = class_names(cfg), build_view_maker(cfg)
    model, where = _weighted(cfg, found, weights)
    lay_out(model, val.MEMORY_FORMAT)
    sigmoid = cfg.CONFIG.TRAIN.LOSS != "softmax"
    return Predictor(
        model.to(on).eval(),
        class_names=names or [str(label) for label in range(data.NUM_CLASSES)],
        make_views=make_views,
        average=ViewAverage(protocol.average, getattr(model.head, "fc", None), sigmoid=sigmoid),
        mean=tuple(data.MEAN),
        std=tuple(data.STD),
        device=on,
        views_per_batch=val.BATCH_SIZE,
        precision=val.PRECISION,
        memory_format=val.MEMORY_FORMAT,
        num_workers=data.NUM_WORKERS,
        read_timeout=data.READ_TIMEOUT,
        name=found.name,
        weights=where,
    )


def make_device(device: "str | torch.device") -> "torch.device":
    """The device of a name. Raises UserError for one that is unknown or not there."""
    import torch

    from vidrec.utils import dist

    if device == "":
        return dist.device()
    allowed = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    try:
        made = torch.device(device)
        torch.empty(1, device=made)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"The device is {str(device)!r} ({reason}); this machine has {', '.join(allowed)}. Choose one of these.") from error
    return made


def _weighted(cfg: "CfgNode", found: Found, weights: str | Path | None) -> "tuple[Recognizer, str]":
    path = weights if weights is not None else found.weights
    return build_tested(cfg, found.folder) if path is None else build_with(cfg, path)


def _classifying(cfg: "CfgNode") -> "CfgNode":
    """The config for scores, whatever INFERENCE.FEAT says, which belongs to the extraction of features."""
    changed = cfg.clone()
    changed.defrost()
    changed.CONFIG.INFERENCE.FEAT = False
    changed.freeze()
    return changed


def _checked(read: "tuple[CfgNode, list[str]]") -> "CfgNode":
    from vidrec.commands.runs import component_mistakes

    cfg, mistakes = read
    mistakes += component_mistakes(cfg)
    if mistakes:
        raise ConfigError(mistakes)
    return cfg


def _of_run(folder: Path, overrides: Sequence[str]) -> Found:
    """The config and the best checkpoint of a run's folder."""
    config = folder / "config.yaml"
    if not config.is_file():
        runs = sorted(file.parent.name for file in folder.glob("*/config.yaml"))
        hint = f" Below it are the runs {', '.join(runs[:5])}{' ...' if len(runs) > 5 else ''}: give one of those." if runs else ""
        raise UserError(
            f"{folder} is a folder without config.yaml; a run's folder is wanted, as training makes it below `runs`.{hint or ' Check it.'}"
        )
    cfg = _with_names(_checked(read_config(config, overrides)), folder, overrides)
    checkpoints = folder / cfg.CONFIG.LOG.SAVE_DIR
    own = run_checkpoints(checkpoints)
    if not own and not cfg.CONFIG.MODEL.PRETRAINED_PATH:
        raise CheckpointError(
            f"The run {folder} has no checkpoint in {checkpoints}; best.pth or epoch_*.pth is wanted there. Train it to the end of an"
            " epoch, or name a weights file in CONFIG.MODEL.PRETRAINED_PATH."
        )
    return Found(cfg, own[0] if own else None, folder, str(folder))


def _of_hub(folder: Path, overrides: Sequence[str], name: str) -> Found:
    """The config and the weights of a folder of the hub."""
    return Found(_checked(read_config(folder / "config.yaml", [*hub_overrides(folder), *overrides])), folder / WEIGHTS, None, name)


def _of_checkpoint(path: Path, overrides: Sequence[str]) -> Found:
    """The config inside a checkpoint, and the checkpoint itself as the weights."""
    from vidrec.engine.checkpoint_file import read_archive

    content = read_archive(path) if path.suffix.lower() in (".pth", ".pt") else None
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, str):
        kind = "a weights file" if path.suffix.lower() in _WEIGHTS else "no checkpoint"
        raise CheckpointError(
            f"{path} is {kind}: it holds no config, which says what network the weights belong to; a checkpoint of a vidrec run does."
            f" Give the network's YAML or zoo name, and the file by CONFIG.MODEL.PRETRAINED_PATH {path} (vidrec.load: weights=...)."
        )
    cfg = _checked(read_config_text(config, overrides, source=f"config in {path}"))
    return Found(_with_names(cfg, path.parent.parent, overrides), path, path.parent, str(path))


def _with_names(cfg: "CfgNode", folder: Path, overrides: Sequence[str]) -> "CfgNode":
    """The config with the class names that lie in a run's folder, where its own are not to be found from here."""
    from vidrec.commands.runs import CLASSES_FILE

    names, beside = cfg.CONFIG.DATA.CLASS_NAMES, folder / CLASSES_FILE
    if not names or names in data_sets() or Path(names).is_file() or NAMES_KEY in overrides or not beside.is_file():
        return cfg
    changed = cfg.clone()
    changed.defrost()
    changed.CONFIG.DATA.CLASS_NAMES = str(beside)
    changed.freeze()
    return changed


def _zoo_row(name: str) -> tuple[specs.Row | None, str]:
    """The row of the zoo that a name means, and the hashtag behind it; None for no such name. Raises ConfigError for a wrong section."""
    row = look_up(name)
    if not isinstance(row, Mistake):
        return row, ""
    tagged = _HASHTAG.fullmatch(name)
    if tagged and not isinstance(look_up(tagged[1]), Mistake):
        return find_row(tagged[1], hashtag=tagged[2]), tagged[2]
    section, _, bare = name.rpartition("/")
    if section in specs.SECTIONS and specs.sections(bare):  # the other section has it, and the message says so
        raise ConfigError([row.text])
    return None, ""


def _nothing(source: str) -> str:
    """What to say of a source that is nothing we know."""
    path, (section, _, bare) = Path(source).expanduser(), source.rpartition("/")
    zoo = section if section in specs.SECTIONS else ""
    names = specs.names(zoo)
    runs = {file.parent.name: str(file.parent) for folder in (Path("runs"), path.parent) for file in sorted(folder.glob("*/config.yaml"))}
    found = close_matches(bare, names) or [runs[name] for name in close_matches(path.name, runs)] or close_matches(bare, specs.names())
    close = f" Did you mean {' or '.join(map(repr, found))}?" if found else ""
    hub = f" A model of the Hugging Face hub is written hf://{source}." if len(path.parts) == 2 and not zoo else ""
    return (
        f"{source!r} is neither a run's folder, a checkpoint, a YAML config nor a name of the model zoo; one of these is wanted."
        f"{close or ' See vidrec.list_models() and the folder `runs`.'}{hub}"
    )
