"""Test protocols by name: how each published project cuts a test video into views, and what it averages. docs/protocols.md explains."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from yacs.config import CfgNode

CLIP_STARTS = (
    "reference",
    "segment_centers",
    "pyslowfast",
    "pyslowfast_offset",
    "mmaction2",
    "mmaction2_tsn",
    "tsm",
    "tsm_dense",
    "pytorchvideo",
    "torchvision",
    "videomae_sthsthv2",
)
WHOLE_VIDEO = ("tsm", "tsm_dense", "videomae_sthsthv2")  # here a clip is spread over the video and has NUM_SEGMENT * CLIP_LEN frames
SAMPLINGS = ("reference", "dense", "segments", "uniform", "dense_sample")
DENSE_WINDOW = 64  # frames that dense_sample and tsm_dense spread a clip over
SHORT_VIDEO = ("repeat_last", "loop", "center")
CROPS = {"slides": (), "uniform": (1, 3), "corners": (1, 3, 5, 10), "steps": (1, 3, 5, 10)}  # numbers of crops; (): any
AVERAGES = ("logits_mean", "prob_mean", "prob_sum", "feature_mean")
RESIZES = ("config", "short_side", "crop_size")
RESIZE_PATTERN = re.compile(r"[1-9][0-9]*(x[1-9][0-9]*)?")


class _Row(NamedTuple):
    """What a protocol fixes. `resize`: see TEST.RESIZE; `crop_size`: pixels, or the key of DATA that has them."""

    clip_starts: str
    target_fps: float
    short_video: str
    resize: str
    crop_size: int | str
    crops: str
    average: str


_SHORT, _CROP = "SHORT_SIDE_SIZE", "CROP_SIZE"
PROTOCOLS = {
    "reference": _Row("reference", 0.0, "repeat_last", "config", _SHORT, "slides", "logits_mean"),
    "reference_mxnet": _Row("segment_centers", 0.0, "repeat_last", "config", _CROP, "corners", "feature_mean"),
    "pyslowfast": _Row("pyslowfast", 30.0, "repeat_last", "short_side", _SHORT, "uniform", "prob_sum"),
    "pyslowfast_offset": _Row("pyslowfast_offset", 30.0, "repeat_last", "short_side", _SHORT, "uniform", "prob_sum"),
    "mmaction2": _Row("mmaction2", 0.0, "loop", "short_side", _SHORT, "steps", "prob_mean"),
    "mmaction2_tsn": _Row("mmaction2_tsn", 0.0, "loop", "short_side", _CROP, "steps", "feature_mean"),
    "tsm": _Row("tsm", 0.0, "loop", "short_side", _CROP, "corners", "logits_mean"),
    "pytorchvideo": _Row("pytorchvideo", 30.0, "repeat_last", "short_side", _SHORT, "uniform", "prob_mean"),
    "torchvision": _Row("torchvision", 15.0, "repeat_last", "128x171", 112, "slides", "prob_sum"),
    "videomae": _Row("reference", 0.0, "repeat_last", "crop_size", _CROP, "slides", "prob_mean"),
    "videomae_sthsthv2": _Row("videomae_sthsthv2", 0.0, "repeat_last", "crop_size", _CROP, "slides", "prob_mean"),
}


@dataclass(frozen=True)
class ViewProtocol:
    """Every choice behind a test, resolved.

    Attributes:
        name: of PROTOCOLS.
        overridden: fields that TEST.* sets to something of its own.
        clip_starts, target_fps, short_video: see TEST.CLIP_STARTS and so on; target_fps 0.0 is the files' own rate.
        num_clips, num_crops: of a video; views = the product.
        clip_len: frames of a view.
        frame_stride: distance between them, in frames of target_fps.
        squeeze_to: (height, width) that every frame is brought to first; None keeps the aspect.
        short_side: of the resized frame, pixels.
        crop_size: side of the square crops, pixels.
        crops, average: see TEST.CROPS and TEST.AVERAGE.
    """

    name: str
    overridden: tuple[str, ...]
    clip_starts: str
    target_fps: float
    short_video: str
    num_clips: int
    num_crops: int
    clip_len: int
    frame_stride: int
    squeeze_to: tuple[int, int] | None
    short_side: int
    crop_size: int
    crops: str
    average: str

    @property
    def num_views(self) -> int:
        return self.num_clips * self.num_crops


def resolve_protocol(config: CfgNode) -> ViewProtocol:
    """The protocol of a config: TEST.PROTOCOL's fields, those of TEST.* in their place where they are set.

    Args:
        config: the node CONFIG, complete.
    """
    test, data = config.TEST, config.DATA
    row = PROTOCOLS[test.PROTOCOL]
    section_size = data.VAL_DATASET.get("CROP_SIZE", 0)  # an argument of the component, which goes before what is given to it
    own = {
        "clip_starts": test.CLIP_STARTS,
        "target_fps": test.TARGET_FPS,
        "short_video": test.SHORT_VIDEO,
        "resize": test.RESIZE,
        "crop_size": test.CROP_SIZE or (section_size if isinstance(section_size, int) else 0),
        "crops": test.CROPS,
        "average": test.AVERAGE,
    }
    row = row._replace(**{field: value for field, value in own.items() if value})
    squeeze_to, short_side, crop_size = _sizes(row, data)
    return ViewProtocol(
        name=test.PROTOCOL,
        overridden=tuple(field for field, value in own.items() if value),
        clip_starts=row.clip_starts,
        target_fps=max(row.target_fps or data.TARGET_FPS, 0.0),  # -1 is the files' own rate
        short_video=row.short_video,
        num_clips=data.TEST_NUM_SEGMENT,
        num_crops=data.TEST_NUM_CROP,
        clip_len=data.CLIP_LEN * (data.NUM_SEGMENT if row.clip_starts in WHOLE_VIDEO else 1),
        frame_stride=data.FRAME_RATE,
        squeeze_to=squeeze_to,
        short_side=short_side,
        crop_size=crop_size,
        crops=row.crops,
        average=row.average,
    )


def _sizes(row: _Row, data: CfgNode) -> tuple[tuple[int, int] | None, int, int]:
    """(height, width) of a squeezed frame or None, short side and crop, in pixels."""
    keys = {_SHORT: data.SHORT_SIDE_SIZE, _CROP: data.CROP_SIZE}
    crop_size = row.crop_size if isinstance(row.crop_size, int) else data.CROP_SIZE  # the short side may be the crop's, not the reverse
    squeeze_to, short_side = None, data.SHORT_SIDE_SIZE
    if row.resize == "config":
        squeeze_to = None if data.KEEP_ASPECT_RATIO else (data.NEW_HEIGHT, data.NEW_WIDTH)
    elif row.resize == "crop_size":
        short_side = crop_size
    elif row.resize != "short_side":
        sides = tuple(int(side) for side in row.resize.split("x"))
        squeeze_to, short_side = (sides if len(sides) == 2 else None), min(sides)
    keys[_SHORT] = short_side
    return squeeze_to, short_side, keys.get(row.crop_size, crop_size)
