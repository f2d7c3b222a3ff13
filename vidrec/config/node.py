"""The config's root: a yacs node whose merge methods go through vidrec's own checks."""

from collections.abc import Sequence
from pathlib import Path

from yacs.config import CfgNode

from vidrec.utils.errors import ConfigError


class Config(CfgNode):
    """A whole config. `merge_from_file` and `merge_from_list` behave as the reference zoo's users know them, but every
    mistake is found, with file and line, `_BASE_` is followed, and MODEL.NAME brings the model zoo's row along.

    Rules between keys wait for `load_config`, since a config may be put together from several pieces.
    """

    def merge_from_file(self, cfg_filename: str | Path) -> None:
        """Merges a YAML file. Raises ConfigError listing every mistake in it."""
        from vidrec.config.load import merge_layers
        from vidrec.config.source import read_layers

        layers, mistakes = read_layers(cfg_filename, self)
        _raise_if_any(mistakes + merge_layers(self, layers, complete=False))

    def merge_from_list(self, cfg_list: Sequence) -> None:
        """Merges `[KEY, VALUE, KEY, VALUE, ...]`. Raises ConfigError listing every mistake in it."""
        from vidrec.config.load import merge_layers
        from vidrec.config.source import read_overrides

        layer, mistakes = read_overrides(cfg_list)
        _raise_if_any(mistakes + merge_layers(self, [layer], complete=False))


def _raise_if_any(mistakes: list[str]) -> None:
    if mistakes:
        raise ConfigError(mistakes)
