"""Classes of a user's own, which a config names as `module:Class` and the environment allows.

Importing a module runs its code, and a config may come from a stranger. So a config alone imports nothing: the packages that it may name
stand in VIDREC_COMPONENTS, which every process of a run inherits.
"""

import importlib
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from vidrec.utils.errors import UserError
from vidrec.utils.text import did_you_mean

ALLOWED = "VIDREC_COMPONENTS"
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def find_class(path: str, base: str) -> type:
    """The class `module:Class`, from an installed package or a module in the current folder.

    Args:
        base: `module:Class` that it must be derived from.

    Raises:
        UserError: the path is none, not allowed, cannot be imported, or names something else than a class derived from `base`.
    """
    if not _PATH.fullmatch(path):
        raise UserError(f"{path!r} is no path of a class; it must be module:Class. Write it like my_package.networks:MyNetwork.")
    module_name, name = path.split(":")
    _check_allowed(path, module_name)
    module, wanted = _import(path, module_name), _load(base)
    found = getattr(module, name, None)
    own = [key for key, value in vars(module).items() if _derived(value, wanted) and value is not wanted]
    if found is None:
        raise UserError(f"{module.__file__} has no {name}; it has {', '.join(own) or 'no class of that kind'}.{did_you_mean(name, own)}")
    if not _derived(found, wanted):
        raise UserError(f"{path} is {_kind(found)}; it must be a class derived from {base.replace(':', '.')}. Derive it from that.")
    return found


def _derived(value: object, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)


def _kind(value: object) -> str:
    return "a class of another kind" if isinstance(value, type) else f"a {type(value).__name__}"


def _load(path: str) -> type:
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def _check_allowed(path: str, module: str) -> None:
    allowed = [name.strip() for name in os.environ.get(ALLOWED, "").split(",") if name.strip()]
    if any(module == name or module.startswith(f"{name}.") for name in allowed):
        return
    package = module.split(".")[0]
    now = f"is {os.environ[ALLOWED]!r}" if os.environ.get(ALLOWED) else "is not set"
    raise UserError(
        f"{path!r} is a class outside vidrec, whose code runs when it is imported; the variable {ALLOWED} must list its package and {now}."
        f" If you trust that code: export {ALLOWED}={','.join([*allowed, package])}"
    )


def _import(path: str, name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # loader processes get this list too
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the user's own module raises while it is imported
        missing = isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}.")
        if missing:
            message = f"{path!r} names the module {error.name}, which is not there; it must be installed, or lie in the folder {here}."
            raise UserError(f"{message} Check the name, or start the command where it lies.") from error
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{error.filename}:{error.lineno}" if isinstance(error, SyntaxError) else f"{last.filename}:{last.lineno}"
        raise UserError(f"{path!r} cannot be imported: {type(error).__name__} at {place}: {error}. Mend that module.") from error
