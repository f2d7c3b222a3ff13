"""A list of videos from wherever it is: an annotation file beside the videos, or the index of shards."""

from vidrec.data.annotations import VideoTable, read_table
from vidrec.utils.errors import DataError


def open_table(annotation: str, *, data_folder: str, num_classes: int, class_names: list[str] | None = None) -> VideoTable:
    """The checked list of videos.

    Args:
        annotation: an annotation file, or the index.json of shards by local path or fsspec URL (`http://host/train/index.json`).
        data_folder: put before each relative path of an annotation file; '' is its own folder. Shards lie beside their index.
        num_classes: labels must lie in [0, num_classes).
        class_names: in the order of the labels, for annotation files that have names in place of numbers.

    Raises:
        DataError: file, folder or index cannot be read, or something in them is wrong; one message.
        UserError: a package for the URL's protocol is missing.
    """
    from vidrec.data.shards.table import is_shard_index, open_shards

    if not is_shard_index(annotation):
        return read_table(annotation, data_folder=data_folder, num_classes=num_classes, class_names=class_names)
    if data_folder:
        raise DataError(
            f"The data folder is {data_folder!r}, but {annotation} is a shard index, whose shards lie beside it; '' is wanted. "
            "Set CONFIG.DATA.TRAIN_DATA_PATH or CONFIG.DATA.VAL_DATA_PATH to ''."
        )
    return open_shards(annotation, num_classes=num_classes)
