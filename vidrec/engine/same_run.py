"""Whether a config is that of the run to go on with."""

from collections.abc import Iterator, Sequence
from typing import Any

from vidrec.utils.errors import CheckpointError

# Keys that a resumed run may change: they touch neither the weights nor which of them are the best.
FREE_KEYS = (
    "DDP_CONFIG.",
    "CONFIG.LOG.",
    "CONFIG.TRAIN.RESUME",
    "CONFIG.TRAIN.RESUME_EPOCH",
    "CONFIG.TRAIN.NAN_POLICY",
    "CONFIG.TRAIN.NAN_SKIPS",
    "CONFIG.TRAIN.NAN_LOSS",
    "CONFIG.TRAIN.NAN_GRAD_NORM",
    "CONFIG.INFERENCE.",
    "CONFIG.TRAIN.MAX_HOURS",
    "CONFIG.TRAIN.REQUEUE",
    "CONFIG.DATA.NUM_WORKERS",
    "CONFIG.DATA.TRAIN_DATA_PATH",
    "CONFIG.DATA.VAL_DATA_PATH",
    "CONFIG.DATA.MAX_BAD_SHARE",
    "CONFIG.DATA.MAX_SECONDS",
    "CONFIG.DATA.CLASS_NAMES",
    "CONFIG.DATA.TEST_NUM_SEGMENT",
    "CONFIG.DATA.TEST_NUM_CROP",
    "CONFIG.VAL.BATCH_SIZE",
    "CONFIG.VAL.PATIENCE",
)


# They may change with the number of processes, as long as the clips of a step stay the same.
BATCH_KEYS = ("CONFIG.TRAIN.BATCH_SIZE", "CONFIG.TRAIN.ACCUMULATE")


def accumulated_for(clips: int, *, batch_size: int, processes: int) -> int:
    """The batches that a process accumulates so that a step has as many clips over all processes as it had.

    Raises:
        CheckpointError: they cannot be shared out so.

    Example: 16 clips in batches of 8 -> 1 of two processes, 2 of one
    """
    accumulated, rest = divmod(clips, batch_size * processes)
    if rest or not accumulated:
        raise CheckpointError(
            f"A step of the run had {clips} clips; CONFIG.TRAIN.BATCH_SIZE {batch_size} in {processes} processes cannot make that up, "
            f"since it must be a multiple of {batch_size * processes}. Go on with another number of processes or a lower BATCH_SIZE."
        )
    return accumulated


def refuse_other_config(
    saved: dict[str, Any], current: dict[str, Any], *, defaults: dict[str, Any] | None = None, free: Sequence[str] = ()
) -> None:
    """Raises CheckpointError naming every key that differs and may not; those of `free` may too.

    A key that the saved config does not have came later, with a default that changes nothing for older runs.
    """
    later = dict(_flat(defaults or {}))
    new = dict(_flat(current))
    old = {key: later[key] for key in new.keys() & later.keys()} | dict(_flat(saved))
    differing = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key) and not _is_free(key) and key not in free]
    if differing:
        rows = [f"  - {key} was {old.get(key, 'not set')!r} and is now {new.get(key, 'not set')!r}" for key in differing]
        remedy = "Set these back, or start a new run with another CONFIG.LOG.EXP_NAME."
        raise CheckpointError("\n".join(["The run to go on with has another config:", *rows, remedy]))


def _flat(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _is_free(key: str) -> bool:
    return any(key.startswith(free) if free.endswith(".") else key == free for free in FREE_KEYS)
