"""What an extraction of features leaves behind: the folder's settings, its index or table, and what could not be read."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import vidrec
from vidrec.utils.errors import DataError

if TYPE_CHECKING:
    from yacs.config import CfgNode

    from vidrec.commands.feat_extract import Options
    from vidrec.inference.feature_store import FeatureStore
    from vidrec.inference.feature_tables import TableHead
    from vidrec.inference.features import FeatureExtractor


@dataclass(frozen=True)
class Extraction:
    """One list through one layer of one network.

    Attributes:
        dataset: of the test views.
        weights: where they are from.
    """

    cfg: "CfgNode"
    options: "Options"
    dataset: Any
    extractor: "FeatureExtractor"
    weights: str

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the features and their files; to go on, all of it must be equal."""
        from vidrec.inference.features import weights_sha256

        cfg, options, extractor = self.cfg, self.options, self.extractor
        data, val = cfg.CONFIG.DATA, cfg.CONFIG.VAL
        return {
            "network": cfg.CONFIG.MODEL.NAME or cfg.CONFIG.MODEL.BACKBONE.TYPE,
            "layer": extractor.layer.name,
            "pool": options.pool,
            "each_view": options.each_view,
            "shape": list(extractor.shape),
            "form": options.form,
            "flat_names": options.flat_names,
            "weights_sha256": weights_sha256(extractor.model),
            "annotation_sha256": self.dataset.annotation_sha256 or paths_sha256(self.dataset.table),
            "protocol": self.dataset.protocol()
            | {"mean": list(data.MEAN), "std": list(data.STD), "precision": val.PRECISION, "views_per_batch": val.BATCH_SIZE},
        }

    def finish(self, store: "FeatureStore", unreadable: Mapping[int, str]) -> int:
        """Writes index or table and the sidecar, and says what came out; returns the number of videos that could not be read.

        Raises:
            DataError: none could be read.
        """
        from vidrec.engine.log import logger

        table = self.dataset.table
        rows = [row for row in range(len(table)) if store.has(row)]
        for row, reason in unreadable.items():
            logger.warning("cannot be read, left out: %s (%s)", table.path(row), reason)
        if not rows:
            first = next(iter(unreadable.values()), "")
            raise DataError(
                f"None of the {len(table)} videos could be read (the first: {first}); check CONFIG.DATA.VAL_DATA_PATH and the list."
            )
        head = self._head(rows)
        written = store.write_index(rows, head) if store.form == "npy" else store.write_table(rows, head)
        store.write_sidecar(self._sidecar(rows, unreadable))
        if not unreadable:
            store.drop_unfinished()
        logger.info("%d of %d videos, features of %s: %s", len(rows), len(table), self._shape_text(), written)
        return len(unreadable)

    @cached_property
    def class_names(self) -> list[str] | None:
        from vidrec.data.build import class_names

        return class_names(self.cfg)

    def _head(self, rows: Sequence[int]) -> "TableHead":
        from vidrec.inference.feature_tables import TableHead

        table, views = self.dataset.table, self._num_views() if self.options.each_view else 0
        shape = self.extractor.shape
        return TableHead(
            paths=[table.path(row) for row in rows],
            labels=[tuple(label for label in table.label_set(row) if label >= 0) for row in rows],
            shape=(views, *shape) if views else shape,
            num_views=views,
            settings=self.settings | {"class_names": self.class_names},
        )

    def _sidecar(self, rows: Sequence[int], unreadable: Mapping[int, str]) -> dict[str, Any]:
        """The settings, and what the folder holds; no times, so that a run that was killed ends with the same file."""
        import torch

        table = self.dataset.table
        return {
            "complete": True,
            "settings": self.settings,
            "class_names": self.class_names,
            "config": self.options.source,
            "weights": self.weights,
            "annotation": self.cfg.CONFIG.DATA.VAL_ANNO_PATH,
            "videos": len(table),
            "extracted": len(rows),
            "failed": [{"row": row, "path": table.path(row), "reason": reason} for row, reason in unreadable.items()],
            "versions": {"vidrec": vidrec.__version__, "torch": str(torch.__version__)},
        }

    def _num_views(self) -> int:
        return self.dataset.protocol()["num_views"]

    def _shape_text(self) -> str:
        shape = " x ".join(map(str, self.extractor.shape))
        return f"{self._num_views()} views of {shape} each" if self.options.each_view else shape


def paths_sha256(table: Any) -> str:
    """SHA-256 of the paths of a list that is no file."""
    from vidrec.data.annotations.table import text_sha256

    return text_sha256([os.fsencode(table.listed_path(row)) + b"\n" for row in range(len(table))])


def open_store(work: Extraction) -> "FeatureStore":
    """The output folder of an extraction, which is not made yet. Raises UserError where two videos would write one file."""
    from vidrec.inference.feature_names import ListedVideo, file_names, flat_names
    from vidrec.inference.feature_store import FeatureStore
    from vidrec.inference.feature_tables import import_pyarrow

    table, options = work.dataset.table, work.options
    if options.form == "parquet":
        import_pyarrow()
    rows = [ListedVideo(table.path(row), table.span(row)) for row in range(len(table))]
    names = flat_names(rows) if options.flat_names else file_names(rows, table.folder)
    return FeatureStore(options.output, names, options.form)
