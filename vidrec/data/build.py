"""Datasets, samplers and loaders as the config asks; the only file of this package that reads it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidrec.config.protocols import resolve_protocol
from vidrec.data.decoders.base import DECODERS, check_decoder
from vidrec.data.opencv import import_cv2
from vidrec.registry import Registry
from vidrec.utils.errors import ConfigError, DataError
from vidrec.utils.text import did_you_mean

if TYPE_CHECKING:
    from torch.utils.data import Dataset, Sampler

    from vidrec.data.annotations import VideoTable
    from vidrec.data.loaders import VideoLoader

__all__ = ["DATASETS", "DECODERS", "SAMPLERS", "build_dataset", "build_loader", "build_sampler", "class_names"]

DATASETS = Registry(
    "dataset",
    {"ClipDataset": "vidrec.data.datasets:ClipDataset", "MultiViewDataset": "vidrec.data.multiview:MultiViewDataset"},
)
SAMPLERS = Registry(
    "sampler",
    {"TrainSampler": "vidrec.data.samplers:TrainSampler", "EvalSampler": "vidrec.data.samplers:EvalSampler"},
)

# Arguments that build_dataset and build_sampler supply, for whoever checks a section without building it.
DATASET_GIVEN = ("table", "clip_len", "frame_stride", "short_side", "squeeze_to", "decoder")
SAMPLER_GIVEN = ("num_samples", "batch_size", "rank", "world_size", "seed")

Split = Literal["train", "val", "test"]


def build_dataset(cfg: Any, split: Split) -> "Dataset":
    """The dataset of a split, its annotation file read and checked.

    train: random clips of DATA.TRAIN_*. val: one center clip and crop of CROP_SIZE of DATA.VAL_*. test: TEST_NUM_SEGMENT x
    TEST_NUM_CROP views of DATA.VAL_*, as TEST.PROTOCOL says.

    Raises:
        DataError: annotation file or data folder missing, empty list, wrong lines.
        ConfigError: sizes that do not go together.
        UserError: OpenCV or the decoder asked for cannot be imported.
    """
    from vidrec.data.annotations import read_table

    data = cfg.CONFIG.DATA
    check_decoder(data.DECODER)
    import_cv2()
    train = split == "train"
    table = read_table(
        data.TRAIN_ANNO_PATH if train else data.VAL_ANNO_PATH,
        data_folder=data.TRAIN_DATA_PATH if train else data.VAL_DATA_PATH,
        num_classes=data.NUM_CLASSES,
    )
    if not train:
        _warn_of_repeats(table, data.VAL_ANNO_PATH)
    given = {"train": _train_arguments, "val": _val_arguments, "test": _test_arguments}[split](cfg)
    section = data.TRAIN_DATASET if train else data.VAL_DATASET
    if split == "test":
        section = _without_overridden(section, resolve_protocol(cfg.CONFIG).overridden)
    try:
        return DATASETS.build(section, table=table, **(_common_arguments(data) | given))
    except ValueError as error:
        raise ConfigError([f"CONFIG.DATA ({split}): {error} Change CONFIG.DATA.CROP_SIZE, SHORT_SIDE_SIZE or SCALE_RANGE."]) from error


def build_sampler(cfg: Any, dataset: "Dataset", split: Split, *, rank: int, world_size: int) -> "Sampler":
    """This process's share of the dataset. Raises DataError where the training list is shorter than one global batch."""
    train = split == "train"
    return SAMPLERS.build(
        cfg.CONFIG.DATA.TRAIN_SAMPLER if train else cfg.CONFIG.DATA.VAL_SAMPLER,
        num_samples=len(dataset),
        batch_size=cfg.CONFIG.TRAIN.BATCH_SIZE,
        rank=rank,
        world_size=world_size,
        seed=cfg.CONFIG.TRAIN.SEED,
    )


def build_loader(
    cfg: Any, dataset: "Dataset", sampler: "Sampler", split: Split, *, local_world_size: int, pin_memory: bool
) -> "VideoLoader":
    """ClipBatches of TRAIN.BATCH_SIZE (train) or one EvalVideo at a time (val, test), from DATA.NUM_WORKERS processes."""
    from vidrec.data.loaders import make_loader, worker_count

    return make_loader(
        dataset,
        sampler,
        batch_size=cfg.CONFIG.TRAIN.BATCH_SIZE if split == "train" else None,
        num_workers=worker_count(cfg.CONFIG.DATA.NUM_WORKERS, local_world_size=local_world_size),
        pin_memory=pin_memory,
    )


def class_names(cfg: Any) -> list[str] | None:
    """The names of DATA.CLASS_NAMES, a data set of the zoo or a file, in the order of the labels; None where neither is given.

    Raises:
        DataError: it is neither, or has another number of names than NUM_CLASSES.
    """
    from vidrec.data.annotations import read_class_names
    from vidrec.model_zoo import labels

    data = cfg.CONFIG.DATA
    if not data.CLASS_NAMES:
        return None
    known = labels.data_sets()
    if data.CLASS_NAMES in known:
        return read_class_names(labels.label_file(data.CLASS_NAMES), num_classes=data.NUM_CLASSES)
    if not Path(data.CLASS_NAMES).is_file():
        raise DataError(
            f"CONFIG.DATA.CLASS_NAMES is {data.CLASS_NAMES!r}, which is no file; it must be a text file with one class name a line, or one "
            f"of {', '.join(known)}. Check the path.{did_you_mean(data.CLASS_NAMES, known)}"
        )
    return read_class_names(data.CLASS_NAMES, num_classes=data.NUM_CLASSES)


def _without_overridden(section: Mapping[str, Any], overridden: tuple[str, ...]) -> dict[str, Any]:
    """A component section without what TEST.* sets, which goes before the component's own arguments."""
    taken = {*overridden, *(("short_side", "squeeze_to") if "resize" in overridden else ())}
    return {key: value for key, value in section.items() if key.lower() not in taken}


def _warn_of_repeats(table: "VideoTable", path: str) -> None:
    repeats = table.repeats()
    if len(repeats):
        first, second = repeats[0]
        logging.getLogger("vidrec").warning(
            f"{path} repeats a path in {len(repeats)} of its {len(table)} rows, first in rows {first} and {second} (counted from 0); each "
            "row counts as a video of its own. Take the repeats out if that is not meant."
        )


def _common_arguments(data: Any) -> dict[str, Any]:
    return {
        "clip_len": data.CLIP_LEN,
        "frame_stride": data.FRAME_RATE,
        "short_side": data.SHORT_SIDE_SIZE,
        "squeeze_to": None if data.KEEP_ASPECT_RATIO else (data.NEW_HEIGHT, data.NEW_WIDTH),
        "decoder": data.DECODER,
    }


def _train_arguments(cfg: Any) -> dict[str, Any]:
    data = cfg.CONFIG.DATA
    return {
        "num_segments": data.NUM_SEGMENT,
        "crop_size": data.CROP_SIZE,
        "scale_range": tuple(data.SCALE_RANGE),
        "flip_prob": data.FLIP_PROB,
        **_sampling_arguments(data),
        "seed": cfg.CONFIG.TRAIN.SEED,
    }


def _val_arguments(cfg: Any) -> dict[str, Any]:
    data = cfg.CONFIG.DATA
    return {"num_segments": data.NUM_SEGMENT, "crop_size": data.CROP_SIZE, **_sampling_arguments(data)}


def _sampling_arguments(data: Any) -> dict[str, Any]:
    return {"sampling": data.SAMPLING, "target_fps": data.TARGET_FPS, "short_video": data.SHORT_VIDEO}


def _test_arguments(cfg: Any) -> dict[str, Any]:
    protocol = resolve_protocol(cfg.CONFIG)
    return {
        "num_clips": protocol.num_clips,
        "num_crops": protocol.num_crops,
        "clip_len": protocol.clip_len,
        "frame_stride": protocol.frame_stride,
        "clip_starts": protocol.clip_starts,
        "target_fps": protocol.target_fps,
        "short_video": protocol.short_video,
        "squeeze_to": protocol.squeeze_to,
        "short_side": protocol.short_side,
        "crop_size": protocol.crop_size,
        "crops": protocol.crops,
    }
