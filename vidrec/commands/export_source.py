"""What is exported: the network of a config, a run or a zoo name, and real clips to compare it on. The config goes no further."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.commands.tables import show
from vidrec.model_zoo.specs import float_name
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from yacs.config import CfgNode

    from vidrec.commands.export import Options
    from vidrec.commands.loading import Found
    from vidrec.data.multiview import Failure, MultiViewDataset
    from vidrec.models.recognizer import Recognizer

CALIBRATION_BATCH = 4


@dataclass(frozen=True)
class Subject:
    """A network, what belongs to it, and where its files go.

    Attributes:
        title: for people.
        stem: of the names of the files.
        weights: where they are from.
        views: of no video: how clips are made.
        average: of the views of a video, a name of AVERAGES.
        activation: from logits to probabilities, softmax or sigmoid.
    """

    cfg: "CfgNode"
    title: str
    stem: str
    folder: Path
    model: "Recognizer"
    weights: str
    class_names: list[str]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    views: "MultiViewDataset"
    average: str
    activation: str

    @property
    def clip_shape(self) -> tuple[int, int, int]:
        """(T, H, W) of a view."""
        pipeline = self.views.pipeline
        return pipeline.clip_len, pipeline.crop_size, pipeline.crop_size

    @property
    def clips_of_a_video(self) -> dict[str, Any]:
        """How a test cuts a video into views and averages them."""
        return self.views.protocol() | {"average": self.average}

    def videos(self, split: str) -> "MultiViewDataset | None":
        """The test views of the train or test list; None where the config has no such list on this machine."""
        from vidrec.data.build import build_table, build_view_maker

        if not _is_there(list_path(self.cfg, split)):
            return None
        return build_view_maker(self.cfg)(build_table(self.cfg, split))

    def say_failures(self, failures: "Sequence[Failure]") -> None:
        for failure in failures:
            show(f"Another video takes the place of {failure.path}: {failure.reason}")


class Clips(NamedTuple):
    """Clips [N, T, H, W, 3] uint8, where they are from, and the videos that could not be read."""

    pixels: "Tensor"
    where: str
    failures: "list[Failure]"

    def in_calibration_batches(self) -> "list[Tensor]":
        """Batches of CALIBRATION_BATCH; what is left joins the last one."""
        count = max(1, len(self.pixels) // CALIBRATION_BATCH)
        return list(self.pixels.tensor_split(count))


def find_subject(options: "Options") -> Subject:
    """The network of the command line with its weights, on the CPU. Raises UserError as vidrec.load does."""
    from vidrec.commands.loading import find_source
    from vidrec.config.protocols import resolve_protocol
    from vidrec.data.annotations import VideoTable
    from vidrec.data.build import build_view_maker, class_names

    found = find_source(options.source, options.overrides)
    cfg = found.cfg
    if cfg.CONFIG.INFERENCE.FEAT:
        raise UserError("CONFIG.INFERENCE.FEAT is True; a network that returns features has no scores to export. Set it False.")
    data, views = cfg.CONFIG.DATA, build_view_maker(cfg)(VideoTable.from_paths([]))
    names = class_names(cfg) or [str(label) for label in range(data.NUM_CLASSES)]
    model, weights = _weighted(found, options)
    pipeline, kind = views.pipeline, cfg.CONFIG.MODEL.NAME or type(model.backbone).__name__
    size = f"{pipeline.clip_len} x {pipeline.crop_size} x {pipeline.crop_size}"
    return Subject(
        cfg=cfg,
        title=f"{found.name}: {kind}, {len(names)} classes, clips of {size}",
        stem=_stem(found, options),
        folder=_checked_folder(options.out or _folder(found)),
        model=model.eval(),
        weights=weights,
        class_names=names,
        mean=tuple(data.MEAN),
        std=tuple(data.STD),
        views=views,
        average=resolve_protocol(cfg.CONFIG).average,
        activation="softmax" if cfg.CONFIG.TRAIN.LOSS == "softmax" else "sigmoid",
    )


def compared_clips(subject: Subject) -> Clips:
    """Four clips: of the validation list, or noise where there is no list."""
    from vidrec.inference.export import NUM_COMPARED
    from vidrec.inference.sample_clips import noise_clips, sample_clips

    videos = subject.videos("test")
    if videos is None:
        frames, size, _ = subject.clip_shape
        clips = noise_clips(NUM_COMPARED, clip_len=frames, size=size)
        return Clips(clips, f"{NUM_COMPARED} clips of noise (no list {list_path(subject.cfg, 'test') or 'is named'})", [])
    sample = sample_clips(videos, NUM_COMPARED)
    found = sample.clips[[row % len(sample.clips) for row in range(NUM_COMPARED)]]
    return Clips(found, f"{len(sample.clips)} clips of {list_path(subject.cfg, 'test')}", sample.failures)


def calibration_clips(subject: Subject, count: int) -> Clips:
    """Clips of the training list, spread evenly over it. Raises UserError where there is no list, or a single clip."""
    from vidrec.inference.sample_clips import sample_clips

    videos, path = subject.videos("train"), list_path(subject.cfg, "train")
    if videos is None:
        what = f"CONFIG.DATA.TRAIN_ANNO_PATH is {path!r}, which is not there" if path else "CONFIG.DATA.TRAIN_ANNO_PATH is empty"
        raise UserError(
            f"{what}; --int8 calibrates on real clips of the training list. Add CONFIG.DATA.TRAIN_ANNO_PATH LIST to the command line."
        )
    sample = sample_clips(videos, count)
    if len(sample.clips) < 2:
        raise UserError(f"{path} has 1 video that can be read; --int8 calibrates on at least 2. Give a longer list.")
    return Clips(sample.clips, f"{len(sample.clips)} clips of {path}", sample.failures)


def list_path(cfg: "CfgNode", split: str) -> str:
    data = cfg.CONFIG.DATA
    return data.TRAIN_ANNO_PATH if split == "train" else data.VAL_ANNO_PATH


def _is_there(path: str) -> bool:
    return bool(path) and ("://" in path or Path(path).exists())


def _weighted(found: "Found", options: "Options") -> "tuple[Recognizer, str]":
    from vidrec.commands.tested_network import build_tested, build_with
    from vidrec.models.build import build_model

    if options.random_weights:
        import torch

        torch.manual_seed(0)
        return build_model(found.cfg, load_weights=False), "fresh weights, which know nothing (--random-weights)"
    path: Any = options.weights or found.weights
    model, where = build_tested(found.cfg, found.folder) if path is None else build_with(found.cfg, path)
    return model, f"weights {where}"


def _stem(found: "Found", options: "Options") -> str:
    """`i3d_tiny`, `mxnet_vgg16_ucf101`, `mxnet_vgg16_ucf101_int8`; an int8 name without --int8 gives the float network its name."""
    if Path(options.source).is_dir():
        name = Path(options.source).resolve().name
    elif found.folder is not None:
        name = found.cfg.CONFIG.LOG.EXP_NAME
    else:
        name = re.sub(r"[^\w.-]+", "_", found.name)
    plain = float_name(name)
    if plain != name and not options.int8:
        show(f"{name} stands for the float network, which is exported as {plain}; --int8 quantizes it.")
    return f"{plain}_int8" if options.int8 else plain


def _folder(found: "Found") -> Path:
    """`export` beside the config of a run, else `exports` here."""
    of_run = found.folder is not None and (found.folder / "config.yaml").is_file()
    return found.folder / "export" if of_run else Path("exports")


def _checked_folder(folder: Path) -> Path:
    """Raises UserError for a folder that is a file, or lies below one."""
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise UserError(f"--out is {folder}, and {above} is no folder; it must be one, or a new one. Choose another.")
    return folder
