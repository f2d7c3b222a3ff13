"""Writes a model's folder for the Hugging Face hub (safetensors, config, class names, card), and sends it there if asked."""

import argparse
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrec.commands.cli import new_parser, run_command
from vidrec.commands.hub_folder import CARD, CLASSES, CONFIG, WEIGHTS, hub_errors, import_hub, is_hub_folder, reason
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.commands.loading import Found
    from vidrec.commands.model_card import CardFacts
    from vidrec.inference.predictor import Predictor

# What says where files lay on the machine of the training, and what nobody else needs.
_PRIVATE = {
    "DATA": ("TRAIN_DATA_PATH", "VAL_DATA_PATH", "MANIFEST"),
    "MODEL": ("LOAD", "PRETRAINED", "PRETRAINED_PATH"),
    "TRAIN": ("RESUME", "RESUME_EPOCH"),
    "INFERENCE": ("FEAT", "EMA", "CHECKPOINTS", "COMBINE", "BN_BATCHES"),
    "LOG": ("BASE_PATH",),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = new_parser("to_hub.py", description=__doc__)
    parser.add_argument("source", help="a run's folder, a checkpoint, a YAML config or a zoo name: what vidrec.load takes")
    parser.add_argument("folder", type=Path, help="folder to write; it must not exist, be empty, or with --force hold such a model")
    parser.add_argument("--license", default="unknown", help="identifier of the hub: apache-2.0, cc-by-4.0 ... (default: unknown)")
    parser.add_argument("--weights", metavar="FILE", help="a weights file to take in place of the source's")
    parser.add_argument("--force", action="store_true", help="replace the model in FOLDER")
    parser.add_argument(
        "--push", metavar="OWNER/NAME", default="", help="send the folder there (log in first: `hf auth login`, or HF_TOKEN)"
    )
    parser.add_argument("--private", action="store_true", help="a repository that --push makes is private")
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    folder = save_pretrained(args.source, args.folder, license=args.license, weights=args.weights, force=args.force, repo=args.push)
    for path in sorted(folder.iterdir()):
        print(f"{path}  {path.stat().st_size:,} bytes")
    if args.push:
        print(f"sent to {push(folder, args.push, private=args.private)}")


def save_pretrained(
    source: str | Path,
    folder: str | Path,
    *,
    license: str = "unknown",
    weights: str | Path | None = None,
    force: bool = False,
    repo: str = "",
) -> Path:
    """Writes a model's folder, which `vidrec.load(folder)` reads back with the same scores, here and from the hub.

    Args:
        source: what `vidrec.load` takes.
        license: identifier of the hub; the card says so where nobody stated one.
        weights: a weights file to take in place of the source's.
        force: replace the model in the folder.
        repo: OWNER/NAME for the card's example.

    Returns:
        The folder: model.safetensors, config.yaml, classes.txt where classes have names, and the card, README.md.

    Raises:
        UserError: the folder holds something else, or cannot be written; and what `vidrec.load` raises.
    """
    from vidrec.commands.loading import find_source, make_predictor
    from vidrec.commands.model_card import card_text
    from vidrec.data.build import class_names

    folder, _ = Path(folder).expanduser(), import_hub()
    _check_license(license)
    _check_folder(folder, force)
    found = find_source(source)
    model, names = make_predictor(found, device="cpu", weights=weights), class_names(found.cfg)
    text = card_text(found.cfg, _facts(found, model, names, license=license, repo=repo, own=weights is None))
    try:
        _write(folder, model, _public(found.cfg), names, text)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); it must be a folder with room. Choose another one.") from error
    return folder


def push(folder: str | Path, repo: str, *, private: bool = False) -> str:
    """Sends a model's folder to the hub, into a repository that is made where it is missing, and returns its address.

    Raises:
        UserError: the folder is none of `save_pretrained`, or the hub refuses it or is out of reach; the folder stays.
    """
    hub, folder = import_hub(), Path(folder)
    if not is_hub_folder(folder):
        raise UserError(
            f"{folder} has no {WEIGHTS} and {CONFIG}; only a model's folder is sent. Make one with `vidrec to-hub SOURCE {folder}`."
        )
    try:
        hub.HfApi().create_repo(repo, private=private, exist_ok=True)
        sent = hub.HfApi().upload_folder(repo_id=repo, folder_path=folder, allow_patterns=[WEIGHTS, CONFIG, CLASSES, CARD])
    except hub_errors(hub) as error:
        raise UserError(
            f"{folder} cannot be sent to {repo} ({reason(error)}); it must be OWNER/NAME, where you may write, and the hub in reach. Log in"
            " with `hf auth login` or set HF_TOKEN, then try again; the folder is complete."
        ) from error
    return str(sent)


def _check_license(license: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", license):
        raise UserError(
            f"The license is {license!r}; it must be an identifier of the hub, in small letters: apache-2.0, mit, other. Give one."
        )


def _check_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"FOLDER is {folder}, a file; it must be a folder, or not exist. Choose another one.")
    if folder.is_dir() and any(folder.iterdir()) and not (force and is_hub_folder(folder)):
        remedy = "add --force to replace it" if is_hub_folder(folder) else "choose another one"
        raise UserError(f"FOLDER {folder} is not empty; nothing is mixed with other files: {remedy}.")


def _write(folder: Path, model: "Predictor", cfg: "CfgNode", names: list[str] | None, card: str) -> None:
    """Writes all files, and then puts them in place: where they cannot be written, a model that was there stays, and no empty folder."""
    from vidrec.commands.model_card import save_card
    from vidrec.engine.files import staged_files

    files = {WEIGHTS: _safetensors(model), CONFIG: cfg.dump().encode()}
    files |= {CLASSES: "".join(f"{name}\n" for name in names).encode()} if names else {}
    try:
        with staged_files(folder) as stage:
            for name, content in files.items():
                (stage / name).write_bytes(content)
            save_card(card, stage / CARD)
            (folder / CLASSES).unlink(missing_ok=True)  # of the model before
    except OSError:
        with suppress(OSError):  # a model is there
            folder.rmdir()
        raise


def _safetensors(model: "Predictor") -> bytes:
    import safetensors.torch

    import vidrec

    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.model.state_dict().items()}
    return safetensors.torch.save(state, {"format": "pt", "vidrec": vidrec.__version__})


def _public(cfg: "CfgNode") -> "CfgNode":
    """The config without paths and addresses of the machine that the network was trained on."""
    from vidrec.config.defaults import get_cfg_defaults
    from vidrec.model_zoo.labels import data_sets

    plain, public = get_cfg_defaults(), cfg.clone()
    public.defrost()
    public.DDP_CONFIG = plain.DDP_CONFIG
    for section, keys in _PRIVATE.items():
        for key in keys:
            public.CONFIG[section][key] = plain.CONFIG[section][key]
    data = public.CONFIG.DATA
    data.TRAIN_ANNO_PATH, data.VAL_ANNO_PATH = Path(data.TRAIN_ANNO_PATH).name, Path(data.VAL_ANNO_PATH).name
    data.CLASS_NAMES = data.CLASS_NAMES if data.CLASS_NAMES in data_sets() else ""
    public.freeze()
    return public


def _facts(found: "Found", model: "Predictor", names: list[str] | None, *, license: str, repo: str, own: bool) -> "CardFacts":
    """What the card says. Accuracies are those of the run's last test, where that tested these weights."""
    from vidrec.commands.model_card import CardFacts

    section = found.cfg.CONFIG.MODEL
    parts = [section[part].get("TYPE") for part in ("BACKBONE", "NECK", "HEAD")]
    zoo = own and not section.PRETRAINED_PATH and found.weights is None and bool(section.PRETRAINED)
    return CardFacts(
        name=repo.rpartition("/")[2] or Path(found.name).name or "model",
        network=section.NAME or " + ".join(part for part in parts if part),
        parameters=sum(parameter.numel() for parameter in model.model.parameters()),
        class_names=names,
        license=license,
        trained="These are the published weights of the reference zoo." if zoo else "Trained with vidrec.",
        result=_tested(found, model) if own else None,
        published=_published(found) if zoo else "",
        repo=repo,
    )


def _tested(found: "Found", model: "Predictor") -> dict[str, Any] | None:
    """result.json of the run, where it is of these weights and not older than they are."""
    if found.folder is None or found.weights is None:
        return None
    name = Path(found.cfg.CONFIG.LOG.EVAL_DIR or "eval") / "result.json"
    path = next((folder / name for folder in (found.folder, found.folder.parent) if (folder / name).is_file()), found.folder / name)
    try:
        result = json.loads(path.read_bytes())
        fits = _without_folders(result["weights"]) == _without_folders(model.weights)
        newer = path.stat().st_mtime >= found.weights.stat().st_mtime
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return result if fits and newer else None


def _without_folders(weights: str) -> str:
    """Where weights are from, in a run that may have moved. Example: `mean of the scores of runs/a/1.pth, runs/a/2.pth` without runs/a/"""
    return re.sub(r"\S*/", "", weights)


def _published(found: "Found") -> str:
    from vidrec.commands.tested_network import zoo_row
    from vidrec.model_zoo.weights import published

    row, tag = zoo_row(found.cfg), found.cfg.CONFIG.MODEL.PRETRAINED
    file = next((file for file in published(row.name, row.section) if file.has_hashtag(tag if isinstance(tag, str) else "")), None)
    if file is None or file.top1 is None:
        return ""
    return f"Top-1 {file.top1:.2f} %, as published by the reference zoo for {file.file_name}; not measured with vidrec."
