"""The network that a config is tested, or applied, with: its own best checkpoint, a weights file, or the zoo's published weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from vidrec.config.zoo import find_row, zoo_name
from vidrec.utils.errors import UserError, WeightsError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.model_zoo.specs import Row
    from vidrec.models.recognizer import Recognizer


def build_tested(cfg: "CfgNode", folder: Path | None, *, classifier: bool = True) -> "tuple[Recognizer, str]":
    """The network with the weights to test, and where they are from.

    INFERENCE.CHECKPOINTS go first, by the mean of their weights. Otherwise PRETRAINED_PATH alone (LOAD False) is what to test.
    Otherwise the weights that a config names are where its training starts, and the best checkpoint of its own run goes before them.

    Args:
        folder: of the run; None where there is none to look at.
        classifier: scores are wanted, so that published weights without a classifier for the classes of the config will not do.

    Raises:
        WeightsError: there are none, or one does not fit.
        UserError: the mean of scores is asked for, which takes a network for each checkpoint.
    """
    from vidrec.models.build import build_model

    if cfg.CONFIG.INFERENCE.CHECKPOINTS:
        return _build_named(cfg, folder)
    model_cfg = cfg.CONFIG.MODEL
    checkpoints = folder / cfg.CONFIG.LOG.SAVE_DIR if folder else None
    own = run_checkpoints(checkpoints) if checkpoints else []
    if model_cfg.PRETRAINED_PATH and not (model_cfg.LOAD and own):
        return build_with(cfg, model_cfg.PRETRAINED_PATH)
    if own:
        return build_with(cfg, own[0])
    missing = f"{checkpoints} has no checkpoint" if checkpoints else "no checkpoint is given"
    _check_published(cfg, missing, classifier=classifier)
    return build_model(cfg), f"zoo: {zoo_name(zoo_row(cfg))} {model_cfg.PRETRAINED}"


def _build_named(cfg: "CfgNode", folder: Path | None) -> "tuple[Recognizer, str]":
    from vidrec.commands.checkpoints import build_averaged, named_checkpoints

    inference = cfg.CONFIG.INFERENCE
    if inference.COMBINE == "weights":
        return build_averaged(cfg, folder)
    paths = named_checkpoints(cfg, folder)
    if len(paths) > 1:
        raise UserError(
            f"CONFIG.INFERENCE.CHECKPOINTS names {len(paths)} files and COMBINE is {inference.COMBINE}, which only a test does, with a"
            " network for each; this command has one network: name one file, or set COMBINE weights."
        )
    return build_with(cfg, paths[0])


def build_with(cfg: "CfgNode", path: str | Path) -> "tuple[Recognizer, str]":
    """The network of a config with the weights of one file, or their average where INFERENCE.EMA asks for it; and where they are from."""
    from vidrec.engine.log import logger
    from vidrec.models.build import build_model
    from vidrec.models.weights.load import load_state, load_weights
    from vidrec.models.weights.read import read_average

    model = build_model(cfg, load_weights=False)
    if cfg.CONFIG.INFERENCE.EMA:
        logger.info("taking the average of the weights of %s", path)
        load_state(model, read_average(path), source=str(path))
        return model, f"{path}, average of the weights"
    logger.info("taking the weights of %s", path)
    load_weights(model, path)
    return model, str(path)


def run_checkpoints(checkpoints: Path) -> list[Path]:
    """The checkpoints in a folder, the one to test first: the best, then those of epochs, the newest first."""
    return [*checkpoints.glob("best.pth"), *sorted(checkpoints.glob("epoch_*.pth"), reverse=True)]


def zoo_row(cfg: "CfgNode") -> "Row":
    """The model zoo's row of the config's MODEL.NAME."""
    model = cfg.CONFIG.MODEL
    return find_row(model.NAME, zoo=model.ZOO, hashtag=model.PRETRAINED)


def _check_published(cfg: "CfgNode", missing: str, *, classifier: bool) -> None:
    """Raises WeightsError where the zoo's weights are not asked for, are no average, or would leave a needed classifier untrained."""
    model_cfg = cfg.CONFIG.MODEL
    if cfg.CONFIG.INFERENCE.EMA:
        raise WeightsError(
            f"CONFIG.INFERENCE.EMA is True and {missing}; published weights are no average. Set it False, or train this config first."
        )
    remedy = " Name a weights file in CONFIG.MODEL.PRETRAINED_PATH, or train this config first."
    if not model_cfg.PRETRAINED:
        zoo = " CONFIG.MODEL.PRETRAINED True takes the published ones." if model_cfg.NAME else ""
        raise WeightsError(
            f"There are no weights to test: CONFIG.MODEL.PRETRAINED_PATH is empty, PRETRAINED is False and {missing}.{remedy}{zoo}"
        )
    if classifier and (model_cfg.RESET_HEAD or model_cfg.NAME.endswith("_custom")):
        raise WeightsError(
            f"The published weights of {model_cfg.NAME} have no classifier for the classes of this config, and {missing}.{remedy}"
        )
