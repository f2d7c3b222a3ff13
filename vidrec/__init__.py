"""vidrec trains, tests and applies video action-recognition networks from one YAML file.

Names are imported when they are first used (PEP 562), so that `import vidrec` and `--help` never import torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "build_model": "vidrec.models.build",
    "get_cfg_defaults": "vidrec.config.defaults",
    "get_model": "vidrec.models.build",
    "get_model_list": "vidrec.models.build",
    "list_models": "vidrec.models.build",
    "load": "vidrec.commands.loading",
    "load_config": "vidrec.config.load",
    "save_pretrained": "vidrec.commands.to_hub",
}
__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'vidrec' has no attribute {name!r}; it offers {', '.join(__all__)}.")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
