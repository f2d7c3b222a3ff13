"""The config that a zoo name means by itself: network, published weights, clip, test and class names, as configs/ has them.

An installed wheel has no configs/; a test compares the two.
"""

from typing import Any

import yaml

from vidrec.model_zoo.specs import Row
from vidrec.model_zoo.weights import published

_SIZES = {112: (128, [128, 171]), 224: (256, [256, 340]), 299: (340, [256, 340])}  # crop -> short side; height and width when squeezed
# Of the PyTorch section, whose other names squeeze frames; those of the MXNet section keep their aspect.
_KEEP_ASPECT = ("i3d_slow_resnet101_f16s4_kinetics700", "ircsn_v2_resnet152_f32s2_kinetics400", "r2plus1d_v2_resnet152_kinetics400")
_VIEWS = {True: (25, 10, 50), False: (10, 3, 10)}  # of 2-D and of 3-D networks: clips, crops, views in a forward


def zoo_config(row: Row, hashtag: str = "") -> str:
    """The config of a row of the zoo as YAML text, with its published weights.

    Args:
        hashtag: first digits of a published file's SHA-1; '': the first file of the name.
    """
    clip, mxnet = row.clip, row.section == "mxnet"
    files = [file for file in published(row.name, row.section) if file.has_hashtag(hashtag)]
    clips, crops, batch = _VIEWS[clip.num_segments > 1]
    short_side, squeezed = _SIZES[clip.crop_size]
    data: dict[str, Any] = {
        "NUM_SEGMENT": files[0].segments if files else clip.num_segments,
        "CLIP_LEN": clip.num_frames // clip.num_segments,
        "FRAME_RATE": clip.frame_stride,
        "CROP_SIZE": clip.crop_size,
        "SHORT_SIDE_SIZE": short_side,
        "NEW_HEIGHT": squeezed[0],
        "NEW_WIDTH": squeezed[1],
        "KEEP_ASPECT_RATIO": mxnet or row.name in _KEEP_ASPECT,
        "TEST_NUM_SEGMENT": clips,
        "TEST_NUM_CROP": crops,
    }
    if row.num_classes is not None:
        data |= {"NUM_CLASSES": row.num_classes, "CLASS_NAMES": row.data_set}
    model = {"NAME": row.name, "ZOO": row.section, "PRETRAINED": hashtag or True, "PRETRAINED_BASE": False}
    test = {"PROTOCOL": "reference_mxnet" if mxnet else "reference"}
    return yaml.safe_dump({"CONFIG": {"DATA": data, "MODEL": model, "TEST": test, "VAL": {"BATCH_SIZE": batch}}})
