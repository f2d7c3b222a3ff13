"""What a process of benchmark_zoo does: it measures one network of the model zoo after the other."""

import resource
from typing import TYPE_CHECKING, Any, NamedTuple

from vidrec.model_zoo import specs

if TYPE_CHECKING:
    from yacs.config import CfgNode

KEPT = (
    "view",
    "clips_per_s",
    "wall_clips_per_s",
    "cpu_s_per_clip",
    "latency_ms",
    "flops_per_clip",
    "peak_memory_mib",
    "product_gflops_per_s",
    "utilization",
    "load_average",
    "date",
)


class Settings(NamedTuple):
    """How networks are measured; what is measured with others is not compared.

    Args:
        device: as torch names it.
        precision, memory_format: of the passes, as CONFIG.VAL has them.
        batch_size: clips in a pass.
        rounds, warm_up: passes that are measured, and passes before them.
        clock: wall, or cpu: the seconds that the process itself had, over its threads.
    """

    device: str
    precision: str
    memory_format: str
    batch_size: int
    rounds: int
    warm_up: int
    clock: str


def prepare_worker(memory_limit: int) -> None:
    """Called once in a new process. Beyond so many bytes of its own an allocation fails there, and the machine goes on; 0: no limit."""
    if memory_limit:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))


def measure_task(task: tuple[str, Settings]) -> dict[str, Any]:
    """The figures of a `section/name`, or `failed` with the reason, most often that it does not fit into memory."""
    import torch

    from vidrec.commands.get_fps import measure
    from vidrec.engine.out_of_memory import is_out_of_memory

    name, settings = task
    row = specs.row(*reversed(name.split("/")))
    try:
        figures = measure(row_config(row, settings), settings.rounds, settings.warm_up, device=torch.device(settings.device))
    except (RuntimeError, MemoryError, OSError) as error:  # RuntimeError is torch's for an operator that a device or precision lacks too
        what = "does not fit into memory" if is_out_of_memory(error) else "cannot run so"
        return {"failed": f"it {what} ({(str(error).strip() or type(error).__name__).splitlines()[0]})"}
    finally:
        if settings.device.startswith("cuda"):
            torch.cuda.empty_cache()
    figures["wall_clips_per_s"] = figures["clips_per_s"]
    if settings.clock == "cpu":
        figures["clips_per_s"] = float(f"{figures['threads'] / figures['cpu_s_per_clip']:.4g}")
    return {name: figures[name] for name in KEPT}


def row_config(row: specs.Row, settings: Settings) -> "CfgNode":
    """A config whose test view is the clip that a row was published for: all frames of all segments together, in the size of its crop."""
    from vidrec.config.defaults import get_cfg_defaults
    from vidrec.config.load import merge_layers
    from vidrec.config.source import Entry
    from vidrec.config.zoo import zoo_name
    from vidrec.utils.errors import ConfigError

    keys: dict[str, str | int] = {
        "CONFIG.MODEL.NAME": zoo_name(row),
        "CONFIG.MODEL.PRETRAINED_BASE": False,
        "CONFIG.DATA.CLIP_LEN": row.clip.num_frames,
        "CONFIG.DATA.CROP_SIZE": row.clip.crop_size,
        "CONFIG.TEST.CROP_SIZE": row.clip.crop_size,
        "CONFIG.VAL.BATCH_SIZE": settings.batch_size,
        "CONFIG.VAL.PRECISION": settings.precision,
        "CONFIG.VAL.MEMORY_FORMAT": settings.memory_format,
    }
    cfg = get_cfg_defaults()
    mistakes = merge_layers(cfg, [[Entry(key, value, str(value), "benchmark_zoo") for key, value in keys.items()]], complete=False)
    if mistakes:
        raise ConfigError(mistakes)
    cfg.freeze()
    return cfg
