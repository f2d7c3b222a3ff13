"""The config: its whole schema with defaults, its rules, and loading it from YAML and the command line."""

from vidrec.config.defaults import get_cfg_defaults
from vidrec.config.load import load_config

__all__ = ["get_cfg_defaults", "load_config"]
