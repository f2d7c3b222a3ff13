"""Every network of the model zoo for torch.hub, by its name.

    import torch
    model = torch.hub.load("OWNER/vidrec", "i3d_resnet50_v1_kinetics400", pretrained=True)            # from GitHub
    model = torch.hub.load("/path/to/vidrec", "i3d_resnet50_v1_kinetics400", source="local", num_classes=9)

`torch.hub.list("OWNER/vidrec")` has the names, `torch.hub.help("OWNER/vidrec", NAME)` says what one is.
"""

from pathlib import Path as _Path
from typing import Any as _Any

import vidrec as _vidrec

dependencies = ["filelock", "numpy", "safetensors", "torch", "torchvision", "tqdm", "yacs", "yaml"]

_HERE = _Path(__file__).resolve().parent
if _Path(_vidrec.__file__).resolve().parent == _HERE / "vidrec":
    _vidrec.__path__.append(str(_HERE))  # nothing is installed here: model_zoo/ lies beside the package that it is a part of

from vidrec.model_zoo import specs as _specs  # noqa: E402
from vidrec.model_zoo import weights as _weights  # noqa: E402


def _make_entry(name: str) -> _Any:
    def entry(pretrained: bool | str | int = False, num_classes: int | None = None, *, zoo: str = "", **options: _Any) -> _Any:
        return _vidrec.get_model(name, num_classes, pretrained, zoo=zoo, **options)

    entry.__name__ = entry.__qualname__ = name
    entry.__doc__ = _describe(name)
    return entry


def _describe(name: str) -> str:
    """The docstring of a name: what it is in each section that has it, and the arguments."""
    row = _specs.row(name)
    classes = "any number of classes" if row.num_classes is None else f"{row.num_classes} classes"
    networks = "\n".join(f"  {section}: {_clip(_specs.row(name, section))}. {_files(name, section)}" for section in _specs.sections(name))
    return f"""{name}: {row.data_set}, {classes}. Clips [B, 3, T, H, W] to scores [B, K].

{networks}

Args:
    pretrained: True loads the published weights, downloaded once and checked; a hashtag, such as '{_hashtag(name)}', chooses the file,
        and with it the section.
    num_classes: of the classifier; another number than the published file's keeps a fresh one. None: the data set's.
    zoo: the section, torch or mxnet; '': that of the hashtag, else torch where it has the name.
    options: features_only, pretrained_base, frozen_stages, bn_eval, partial_bn, bn_frozen, use_affine, see vidrec.get_model.
"""


def _clip(row: _Any) -> str:
    clip = row.clip
    if clip.num_segments > 1:
        return f"a frame of each of {clip.num_segments} segments, {clip.crop_size} x {clip.crop_size} pixels"
    return f"clips of {clip.num_frames} frames with stride {clip.frame_stride}, {clip.crop_size} x {clip.crop_size} pixels"


def _files(name: str, section: str) -> str:
    files = _weights.published(name, section)
    listed = [f"{file.hashtag} ({f'top-1 {file.top1:.2f} as published' if file.top1 else 'no accuracy published'})" for file in files]
    return f"Weights: {', '.join(listed)}." if listed else "No published weights."


def _hashtag(name: str) -> str:
    return next((file.hashtag for section in _specs.sections(name) for file in _weights.published(name, section)), "568a722e")


globals().update({name: _make_entry(name) for name in _specs.names()})
