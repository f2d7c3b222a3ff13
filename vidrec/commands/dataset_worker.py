"""What a worker process of check_dataset does: it examines one row of a list after the other."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidrec.data.annotations import VideoTable

_STATE: dict[str, Any] = {}


def prepare_worker(tables: "dict[str, VideoTable]", decoder: str, target: str) -> None:
    """Called once in a new process: a decoder that the user has registered is unknown there until it is registered again."""
    import av
    import cv2
    import torch

    from vidrec.data.decoders.base import DECODERS

    DECODERS.register(decoder, target)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    av.logging.set_level(None)  # what matters is in the records
    _STATE.update(tables=tables, decoder=decoder)


def examine_task(task: tuple[str, str, int]) -> dict[str, Any]:
    """Fields of the Record of (path, split, row)."""
    from vidrec.data.doctor.examine import examine
    from vidrec.utils.errors import VideoError

    _, split, row = task
    try:
        source = _STATE["tables"][split].source(row)
    except VideoError as error:  # of a shard
        return {"status": "unreadable", "reason": str(error)}
    return examine(source, _STATE["decoder"])
