"""Datasets, samplers and loaders as the config asks; the only file of this package that reads it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from vidrec.config.protocols import resolve_protocol
from vidrec.data.components import DATASET_GIVEN, DATASETS, SAMPLER_GIVEN, SAMPLERS
from vidrec.data.decoders.base import DECODERS, check_decoder
from vidrec.data.decoders.reading import ReadOptions
from vidrec.data.flip_labels import flip_labels
from vidrec.data.opencv import import_cv2
from vidrec.utils.errors import ConfigError

if TYPE_CHECKING:
    from torch.utils.data import Dataset, Sampler

    from vidrec.data.annotations import VideoTable
    from vidrec.data.augment import ClipAugment
    from vidrec.data.loaders import VideoLoader
    from vidrec.data.mixing import BatchAugment
    from vidrec.data.multigrid import Multigrid

__all__ = [
    "DATASETS",
    "DATASET_GIVEN",
    "DECODERS",
    "SAMPLERS",
    "SAMPLER_GIVEN",
    "build_batch_augment",
    "build_dataset",
    "build_loader",
    "build_multigrid",
    "build_sampler",
    "build_table",
    "build_view_maker",
    "class_names",
]

Split = Literal["train", "val", "test"]


def build_dataset(cfg: Any, split: Split) -> "Dataset":
    """The dataset of a split, its annotation file read and checked.

    train: random clips of DATA.TRAIN_*. val: VAL.NUM_SEGMENT clips x VAL.NUM_CROP crops of CROP_SIZE of DATA.VAL_*.
    test: TEST_NUM_SEGMENT x TEST_NUM_CROP views of DATA.VAL_*, as TEST.PROTOCOL says.

    Raises:
        DataError: annotation file or data folder missing, empty list, wrong lines.
        ConfigError: sizes that do not go together, or a list with several labels in a row where TRAIN.LOSS or the sampler takes one.
        UserError: OpenCV or the decoder asked for cannot be imported.
    """
    from vidrec.data.annotations.repeats import warn_of_repeats

    data = cfg.CONFIG.DATA
    check_decoder(data.DECODER)
    import_cv2()
    train = split == "train"
    table = build_table(cfg, split)
    if not train:
        warn_of_repeats(table, data.VAL_ANNO_PATH)
    given = {"train": _train_arguments, "val": _val_arguments, "test": _test_arguments}[split](cfg)
    section = data.TRAIN_DATASET if train else data.VAL_DATASET
    if split == "test":
        section = _without_overridden(section, resolve_protocol(cfg.CONFIG).overridden)
    try:
        return DATASETS.build(section, table=table, **(_common_arguments(data) | given))
    except ValueError as error:
        keys = f"CONFIG.DATA.{'TRAIN' if train else 'VAL'}_DATASET.CROP_SIZE" if "CROP_SIZE" in section else "CONFIG.DATA.CROP_SIZE"
        raise ConfigError([f"CONFIG.DATA ({split}): {error} Change {keys}, CONFIG.DATA.SHORT_SIDE_SIZE or SCALE_RANGE."]) from error


def build_view_maker(cfg: Any) -> "Callable[[VideoTable], Dataset]":
    """From a list of videos to the dataset of their test views, as `build_dataset(cfg, "test")` cuts those of DATA.VAL_ANNO_PATH.

    What it returns holds no config and can be sent to other processes.

    Raises:
        ConfigError: sizes that do not go together.
        UserError: OpenCV or the decoder asked for cannot be imported.
    """
    from vidrec.data.annotations import VideoTable

    data = cfg.CONFIG.DATA
    check_decoder(data.DECODER)
    import_cv2()
    section = _without_overridden(data.VAL_DATASET, resolve_protocol(cfg.CONFIG).overridden)
    maker = partial(_make_dataset, dict(section), _common_arguments(data) | _test_arguments(cfg))
    try:
        maker(VideoTable.from_paths([]))
    except ValueError as error:
        raise ConfigError([f"CONFIG.DATA (test): {error} Change CONFIG.TEST.CROP_SIZE or CONFIG.DATA.SHORT_SIDE_SIZE."]) from error
    return maker


def _make_dataset(section: Mapping[str, Any], arguments: Mapping[str, Any], table: "VideoTable") -> "Dataset":
    return DATASETS.build(section, table=table, **arguments)


def build_table(cfg: Any, split: Split) -> "VideoTable":
    """The checked list of a split, from an annotation file or a shard index; for training without what DATA.MANIFEST calls bad.

    Raises:
        DataError: as build_dataset does.
        ConfigError: videos with several labels, where TRAIN.LOSS or the sampler takes one.
    """
    from vidrec.data.annotations.confine import check_confined
    from vidrec.data.annotations.one_label import refuse_several_labels
    from vidrec.data.manifest import leave_out_bad
    from vidrec.data.sources import open_table

    data, train = cfg.CONFIG.DATA, split == "train"
    key, path = ("TRAIN_ANNO_PATH", data.TRAIN_ANNO_PATH) if train else ("VAL_ANNO_PATH", data.VAL_ANNO_PATH)
    table = open_table(
        path,
        data_folder=data.TRAIN_DATA_PATH if train else data.VAL_DATA_PATH,
        num_classes=data.NUM_CLASSES,
        class_names=class_names(cfg),
    )
    if data.CONFINE:
        check_confined(table, path)
    if table.multi_label:
        sampler = data.TRAIN_SAMPLER.get("TYPE", "") if train else ""
        refuse_several_labels(table, f"CONFIG.DATA.{key} is {path!r}", loss=cfg.CONFIG.TRAIN.LOSS, sampler=sampler)
    return leave_out_bad(table, data.MANIFEST) if train and data.MANIFEST else table


def build_sampler(cfg: Any, dataset: "Dataset", split: Split, *, rank: int, world_size: int) -> "Sampler":
    """This process's share of the dataset. Raises DataError where the training list is shorter than one global batch."""
    train = split == "train"
    return SAMPLERS.build(
        cfg.CONFIG.DATA.TRAIN_SAMPLER if train else cfg.CONFIG.DATA.VAL_SAMPLER,
        num_samples=len(dataset),
        batch_size=cfg.CONFIG.TRAIN.BATCH_SIZE,
        labels=dataset.table.labels,
        clips_per_video=cfg.CONFIG.DATA.CLIPS_PER_VIDEO,
        multigrid=build_multigrid(cfg),
        rank=rank,
        world_size=world_size,
        seed=cfg.CONFIG.TRAIN.SEED,
    )


def build_loader(
    cfg: Any, dataset: "Dataset", sampler: "Sampler", split: Split, *, local_world_size: int, pin_memory: bool
) -> "VideoLoader":
    """ClipBatches of TRAIN.BATCH_SIZE (train) or one EvalVideo at a time (val, test), from DATA.NUM_WORKERS processes."""
    from vidrec.data.loaders import make_loader, worker_count

    train = split == "train"
    return make_loader(
        dataset,
        sampler,
        batch_size=cfg.CONFIG.TRAIN.BATCH_SIZE if train else None,
        num_workers=worker_count(cfg.CONFIG.DATA.NUM_WORKERS, local_world_size=local_world_size),
        pin_memory=pin_memory,
        read_timeout=cfg.CONFIG.DATA.READ_TIMEOUT,
        augment=build_batch_augment(cfg, "cpu") if train else None,
    )


def build_multigrid(cfg: Any) -> "Multigrid | None":
    """The shapes of training batches where TRAIN.MULTIGRID is on, else None."""
    from vidrec.data.multigrid import Multigrid

    grid, data = cfg.CONFIG.TRAIN.MULTIGRID, cfg.CONFIG.DATA
    if not (grid.USE_LONG_CYCLE or grid.USE_SHORT_CYCLE):
        return None
    long_epochs = tuple(grid.LONG_CYCLE_EPOCH) if grid.USE_LONG_CYCLE else None
    return Multigrid(data.CROP_SIZE, data.SHORT_SIDE_SIZE, long_epochs=long_epochs, short_cycle=grid.USE_SHORT_CYCLE)


def build_batch_augment(cfg: Any, device: Literal["cpu", "device"]) -> "BatchAugment | None":
    """What is done to whole training batches in the loader processes (`cpu`) or beside the network (`device`); None where it is nothing."""
    from vidrec.data.augment import ClipAugment
    from vidrec.data.mixing import BatchAugment

    data, augment = cfg.CONFIG.DATA, _clip_augment(cfg)
    whole = device == "device"  # loader processes have augmented each clip when it was cut
    if device != data.AUG_DEVICE or augment == ClipAugment() or not (whole or augment.mixing):
        return None
    return BatchAugment(data.NUM_CLASSES, data.CLIPS_PER_VIDEO, mixes=augment.mixing is not None, mean=tuple(data.MEAN), whole=whole)


def class_names(cfg: Any) -> list[str] | None:
    """The names of DATA.CLASS_NAMES, a data set of the zoo or a file, in the order of the labels; None where neither is given.

    Raises:
        DataError: it is neither, or has another number of names than NUM_CLASSES.
    """
    from vidrec.data.annotations.classes import named_classes

    data = cfg.CONFIG.DATA
    return named_classes(data.CLASS_NAMES, num_classes=data.NUM_CLASSES)


def _without_overridden(section: Mapping[str, Any], overridden: tuple[str, ...]) -> dict[str, Any]:
    """A component section without what TEST.* sets, which goes before the component's own arguments."""
    taken = {*overridden, *(("short_side", "squeeze_to") if "resize" in overridden else ())}
    return {key: value for key, value in section.items() if key.lower() not in taken}


def _common_arguments(data: Any) -> dict[str, Any]:
    return {
        "clip_len": data.CLIP_LEN,
        "frame_stride": data.FRAME_RATE,
        "short_side": data.SHORT_SIDE_SIZE,
        "squeeze_to": None if data.KEEP_ASPECT_RATIO else (data.NEW_HEIGHT, data.NEW_WIDTH),
        "decoder": data.DECODER,
        "reading": _read_options(data),
    }


def _read_options(data: Any) -> ReadOptions:
    return ReadOptions(
        max_pixels=data.MAX_PIXELS,
        max_frames=data.MAX_FRAMES,
        max_seconds=data.MAX_SECONDS,
        max_clip_frames=data.MAX_CLIP_FRAMES,
        max_clip_gb=data.MAX_CLIP_GB,
        frame_template=data.FRAME_TEMPLATE,
        frame_offset=data.FRAME_OFFSET,
    )


def _train_arguments(cfg: Any) -> dict[str, Any]:
    data = cfg.CONFIG.DATA
    return {
        "num_segments": data.NUM_SEGMENT,
        "crop_size": data.CROP_SIZE,
        "scale_range": tuple(data.SCALE_RANGE),
        "crop": data.AUG.CROP,
        "crop_area": tuple(data.AUG.RESIZED_CROP.AREA),
        "crop_aspect": tuple(data.AUG.RESIZED_CROP.ASPECT),
        "corner_scales": tuple(data.AUG.CORNER_CROP.SCALES),
        "corner_distort": data.AUG.CORNER_CROP.MAX_DISTORT,
        "flip_prob": data.FLIP_PROB,
        "flip_labels": flip_labels(data.FLIP_LABEL_MAP, class_names(cfg), num_classes=data.NUM_CLASSES, flip_prob=data.FLIP_PROB),
        "augment": _clip_augment(cfg),
        "augment_here": data.AUG_DEVICE == "cpu",
        "mean": tuple(data.MEAN),
        **_sampling_arguments(data),
        "seed": cfg.CONFIG.TRAIN.SEED,
    }


def _clip_augment(cfg: Any) -> "ClipAugment":
    """The augmentations of DATA.AUG that are on."""
    from vidrec.data import augment

    aug = cfg.CONFIG.DATA.AUG
    color, rand, augmix, erasing, mix = aug.COLOR_JITTER, aug.RAND_AUGMENT, aug.AUGMIX, aug.ERASING, aug.MIX
    jitter = augment.ColorJitter(color.BRIGHTNESS, color.CONTRAST, color.SATURATION, color.HUE, color.PROB)
    chains = augment.AugMix(augmix.SEVERITY, augmix.WIDTH, augmix.DEPTH, augmix.ALPHA, augmix.PROB)
    box = augment.RandomErasing(erasing.PROB, tuple(erasing.AREA), tuple(erasing.ASPECT), erasing.FILL)
    mixing = augment.Mixing(mix.MIXUP_ALPHA, mix.CUTMIX_ALPHA, mix.PROB, mix.CUTMIX_PROB)
    return augment.ClipAugment(
        color=jitter if color.PROB else None,
        rand=augment.RandAugment(rand.NUM_OPS, rand.MAGNITUDE, rand.PROB) if rand.PROB else None,
        augmix=chains if augmix.PROB else None,
        erasing=box if erasing.PROB else None,
        mixing=mixing if mix.PROB and (mix.MIXUP_ALPHA or mix.CUTMIX_ALPHA) else None,
    )


def _val_arguments(cfg: Any) -> dict[str, Any]:
    data, val = cfg.CONFIG.DATA, cfg.CONFIG.VAL
    views = {"num_clips": val.NUM_SEGMENT, "num_crops": val.NUM_CROP}
    return {"num_segments": data.NUM_SEGMENT, "crop_size": data.CROP_SIZE, **views, **_sampling_arguments(data)}


def _sampling_arguments(data: Any) -> dict[str, Any]:
    return {"sampling": data.SAMPLING, "target_fps": data.TARGET_FPS, "short_video": data.SHORT_VIDEO}


def _test_arguments(cfg: Any) -> dict[str, Any]:
    protocol = resolve_protocol(cfg.CONFIG)
    fields = ("num_clips", "num_crops", "clip_len", "frame_stride", "clip_starts", "target_fps", "short_video")
    return {field: getattr(protocol, field) for field in (*fields, "squeeze_to", "short_side", "crop_size", "crops")}
