"""The networks that the demo page offers: runs found in folders, and zoo names with published weights; the last ones used stay loaded."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from vidrec.model_zoo import specs
from vidrec.model_zoo.weights import published
from vidrec.pages.demo_app import Choice
from vidrec.utils.errors import UserError

if TYPE_CHECKING:
    from vidrec.commands.loading import Found
    from vidrec.inference.predictor import Predictor

KEPT = 2  # networks that stay in memory
FEW_FRAMES = 8  # that a quick look takes at least


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """The runs with checkpoints in some folders, or which these are themselves; of each folder the newest first."""
    found: dict[Path, None] = {}
    for folder in folders:
        configs = [file for file in (folder / "config.yaml", *folder.glob("*/config.yaml")) if file.is_file()]
        newest = sorted(configs, key=lambda file: file.stat().st_mtime, reverse=True)
        found |= {config.parent: None for config in newest if any(config.parent.glob("*/*.pth"))}
    return list(found)


def check_folders(folders: Sequence[Path]) -> None:
    """Raises UserError for a folder that does not exist."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"--runs is {folder}, which is no folder; it must be that of a run, or one that holds runs. Check the path.")


def choices(folders: Sequence[Path]) -> list[Choice]:
    """The runs, then the names of the zoo that have weights for their own classes; those that are on this machine first."""
    from vidrec.models.weights.fetch import cache_folder

    runs = [Choice(f"run: {run}", str(run)) for run in find_runs(folders)]
    here, elsewhere, cache = [], [], cache_folder()
    for row in specs.matching("*"):
        files = published(row.name, row.section)
        if not files or row.name.endswith("_custom") or row.name != specs.float_name(row.name):
            continue
        source = f"{row.section}/{row.name}"
        if (cache / files[0].file_name).is_file():
            here.append(Choice(f"zoo: {source}", source))
        else:
            elsewhere.append(Choice(f"zoo: {source} (is downloaded first)", source))
    return [*runs, *here, *elsewhere]


class Networks:
    """Loads networks by their source and keeps the last ones.

    Args:
        device: as in `vidrec.load`.
    """

    def __init__(self, device: str):
        self.device = device
        self._loaded: OrderedDict[tuple, Predictor] = OrderedDict()
        self._lock = Lock()

    def get(self, source: str, *, all_views: bool) -> "Predictor":
        """The network of a source; loaded anew when its checkpoint has changed. Raises UserError as `vidrec.load` does.

        Args:
            all_views: those of a test; else the center crop of one clip, or of as many as have FEW_FRAMES frames.
        """
        from vidrec.commands.loading import find_source, make_predictor

        with self._lock:
            found = find_source(source)
            if not all_views:
                found = find_source(source, _few_views(found))
            key = (source, all_views, found.weights, found.weights.stat().st_mtime_ns if found.weights else 0)
            if key not in self._loaded:
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[key] = make_predictor(found, device=self.device)
            self._loaded.move_to_end(key)
            return self._loaded[key]


def _few_views(found: "Found") -> list[str]:
    from vidrec.config.protocols import resolve_protocol

    clips = -(-FEW_FRAMES // resolve_protocol(found.cfg.CONFIG).clip_len)
    return ["CONFIG.DATA.TEST_NUM_SEGMENT", str(clips), "CONFIG.DATA.TEST_NUM_CROP", "1"]
