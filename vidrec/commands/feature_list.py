"""Which videos features are taken of, and which clips of them: a config for that, out of the one of the run."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from vidrec.commands.runs import TIME_PATTERN, with_key
from vidrec.config.protocols import WHOLE_VIDEO, resolve_protocol

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.commands.loading import Found
    from vidrec.data.annotations import VideoTable

# Rules of TEST.CLIP_STARTS that put a single clip at the start of the video, or of its shares, and the rule of the same kind that puts it
# in the center.
_CENTERED = {"pyslowfast": "pyslowfast_offset", "pytorchvideo": "reference", "torchvision": "reference", "videomae_sthsthv2": "tsm"}


def named_run(found: "Found") -> "CfgNode":
    """The config of a source, with a folder of the run that the next start of the same command finds again.

    A config whose EXP_NAME takes the start time and that has no run yet gets a folder named after its file, a network of the zoo one
    named after it.
    """
    cfg, folder = found.cfg, found.folder
    if folder is None:
        return with_key(cfg, "EXP_NAME", re.sub(r"[^\w.-]+", "_", found.name))
    if folder.name == cfg.CONFIG.LOG.SAVE_DIR:
        folder = folder.parent  # the source is a checkpoint of a run
    if folder.is_dir():
        return with_key(with_key(cfg, "BASE_PATH", str(folder.absolute().parent)), "EXP_NAME", folder.name)
    timed = re.search(TIME_PATTERN + "$", cfg.CONFIG.LOG.EXP_NAME)
    return with_key(cfg, "EXP_NAME", Path(found.name).stem) if timed else cfg


def choose_list(cfg: "CfgNode", *, split: str, file: str, all_views: bool) -> "CfgNode":
    """A frozen copy of the config whose test list is the one to take features of, with all views of the test, or one.

    The one is a clip in the center with the crop in the center. Where a sample of training has several segments (NUM_SEGMENT), or is
    chosen by another rule (SAMPLING), it is the clip that validation sees.

    Args:
        file: a list in place of the config's; '' is the one of `split`.
    """
    changed = cfg.clone()
    changed.defrost()
    data = changed.CONFIG.DATA
    changed.CONFIG.INFERENCE.FEAT = False  # what the network ends with is for the layer to decide
    if file:
        data.VAL_ANNO_PATH = file
    elif split == "train":
        data.VAL_ANNO_PATH, data.VAL_DATA_PATH = data.TRAIN_ANNO_PATH, data.TRAIN_DATA_PATH
    if not all_views:
        rule = resolve_protocol(cfg.CONFIG).clip_starts
        changed.CONFIG.TEST.CLIP_STARTS = _CENTERED.get(rule, rule)
        data.TEST_NUM_SEGMENT, data.TEST_NUM_CROP = 1, 1
        if rule not in WHOLE_VIDEO and (data.NUM_SEGMENT > 1 or data.SAMPLING != "reference"):
            data.VAL_DATASET.update({"NUM_SEGMENTS": data.NUM_SEGMENT, "SAMPLING": data.SAMPLING})
    changed.freeze()
    return changed


def open_list(cfg: "CfgNode") -> "VideoTable":
    """The list that `choose_list` chose, checked; one of paths alone, or a folder of videos, has no labels.

    Raises:
        DataError: it cannot be read, is empty, or has no video.
    """
    from vidrec.data.annotations.folders import class_folders
    from vidrec.data.build import build_table, class_names
    from vidrec.data.inputs import LIST_SUFFIXES, find_inputs, has_paths_alone

    data, path = cfg.CONFIG.DATA, Path(cfg.CONFIG.DATA.VAL_ANNO_PATH)
    is_text = path.is_file() and path.suffix.lower() in LIST_SUFFIXES and path.suffix.lower() != ".json"
    alone = is_text and has_paths_alone(path, data.VAL_DATA_PATH or str(path.parent))
    if not alone and not (path != Path() and path.is_dir() and not class_folders(path)):
        return build_table(cfg, "test")
    found = find_inputs([str(path)], class_names=class_names(cfg) or (), template=data.FRAME_TEMPLATE, data_folder=data.VAL_DATA_PATH)
    return found.tables[0]


def clip_shape(cfg: "CfgNode") -> tuple[int, int, int]:
    """(frames, height, width) of a view."""
    protocol, section = resolve_protocol(cfg.CONFIG), cfg.CONFIG.DATA.VAL_DATASET
    return protocol.clip_len * section.get("NUM_SEGMENTS", 1), protocol.crop_size, protocol.crop_size
