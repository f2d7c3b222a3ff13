"""Names to classes, imported when first used, and built from a config section by signature."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from vidrec.utils.errors import ConfigError, UserError
from vidrec.utils.own_classes import find_class
from vidrec.utils.text import did_you_mean


class Registry:
    """Maps a TYPE name to `module:Class` and imports the module when the class is first asked for.

    Args:
        kind: what the names stand for, as messages say it (`backbone`).
        targets: TYPE name -> `package.module:Class`.
        base: `package.module:Class` that a class of the user's own must be derived from, so that TYPE may be its `module:Class` too (see
            vidrec.utils.own_classes); '': only the names are known.

    Example:
        BACKBONES = Registry("backbone", {"SlowFast": "vidrec.models.backbones.slowfast:SlowFast"})
        BACKBONES.build({"TYPE": "SlowFast", "DEPTH": 50, "ALPHA": 8})
    """

    def __init__(self, kind: str, targets: Mapping[str, str], *, base: str = ""):
        self.kind, self.base = kind, base
        self._targets: dict[str, str] = dict(targets)

    def register(self, name: str, target: str) -> None:
        """Adds a component of the user's own: `BACKBONES.register("MyNet", "my_package.my_net:MyNet")`."""
        if self._targets.get(name, target) != target:
            raise ValueError(f"{self.kind} {name!r} is taken by {self._targets[name]}; choose another name than {name!r}.")
        self._targets[name] = target

    def names(self) -> list[str]:
        return sorted(self._targets)

    def get(self, name: str) -> type:
        """The class behind a name, or behind `module:Class`. Raises ConfigError with close matches for an unknown one."""
        wrong = self._wrong_type(name)
        if wrong:
            raise ConfigError([wrong])
        if name not in self._targets:
            return find_class(name, self.base)
        module, attribute = self._targets[name].split(":")
        return getattr(importlib.import_module(module), attribute)

    def target(self, name: str) -> str:
        """`module:Class` behind a known name, for a process that must register it again."""
        return self._targets[name]

    def build(self, section: Mapping[str, Any], **given: Any) -> Any:
        """Builds the component that `section["TYPE"]` names.

        Args:
            section: TYPE and the constructor's arguments in upper case.
            given: arguments that the caller knows (`num_classes`); a key of the section with the same name wins.
        """
        mistakes = self.mistakes(section, self.kind.upper(), given=tuple(given))
        if mistakes:
            raise ConfigError(mistakes)
        parameters = parameters_of(self.get(section["TYPE"]))
        arguments = {key: value for key, value in given.items() if key in parameters}
        arguments |= {key.lower(): _plain(value) for key, value in section.items() if key != "TYPE"}
        return self.get(section["TYPE"])(**arguments)

    def mistakes(self, section: Mapping[str, Any], where: str, given: tuple[str, ...] = ()) -> list[str]:
        """What is wrong with a section, one message each, without building anything.

        Args:
            where: the section's place in the config (`CONFIG.MODEL.BACKBONE`), said in the messages.
            given: names of arguments that the caller will supply.
        """
        name = section.get("TYPE")
        if not name:
            return [f"{where}.TYPE is missing; it must name a {self.kind}, one of {', '.join(self.names()) or 'none'}."]
        wrong = self._wrong_type(name)
        if wrong:
            return [f"{where}.TYPE: {wrong}"]
        parameters = parameters_of(self.get(name))
        found = []
        for key, value in section.items():
            if key == "TYPE":
                continue
            if key.lower() not in parameters or key != key.upper():
                legal = [parameter.upper() for parameter in parameters]
                takes = ", ".join(legal) or "none"
                found.append(f"{where}.{key} is not an argument of {name}; it takes {takes}.{did_you_mean(key, legal)}")
            elif not _fits(value, parameters[key.lower()].annotation):
                wanted = _annotation_text(parameters[key.lower()].annotation)
                found.append(f"{where}.{key} is {value!r} ({type(value).__name__}); {name} takes {wanted} there.")
        for key, parameter in parameters.items():
            if parameter.default is inspect.Parameter.empty and key not in given and key.upper() not in section:
                found.append(f"{where}.{key.upper()} is missing; {name} needs it ({_annotation_text(parameter.annotation)}).")
        return found

    def _wrong_type(self, name: Any) -> str | None:
        """What is wrong with a TYPE; None where it stands for a class."""
        if name in self.names():
            return None
        if self.base and isinstance(name, str) and ":" in name:
            try:
                find_class(name, self.base)
            except UserError as error:
                return str(error)
            return None
        known = ", ".join(self.names()) or "none"
        return f"{name!r} is not a {self.kind}; those known are {known}.{did_you_mean(str(name), self.names())}"


def hands_on(source: type) -> Callable[[type], type]:
    """Class decorator: the constructor's `**arguments` are those of `source`, and its signature shows them.

    So an argument list stands in one place, and a config section can still give each argument.

    Example: `@hands_on(TrainPipeline)` over a class whose `__init__(self, table, **pipeline)` calls `TrainPipeline(**pipeline)`
    """

    def decorate(cls: type) -> type:
        own = inspect.signature(cls.__init__)
        named = [parameter for parameter in own.parameters.values() if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, p in parameters_of(source).items() if name not in own.parameters]
        cls.__init__.__signature__ = own.replace(parameters=[*named, *more])
        cls.hands_on_to = (source,)  # for whoever looks for the docstrings
        return cls

    return decorate


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """The named parameters of a constructor, `self` left out."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in inspect.signature(cls).parameters.items() if p.kind in named}


def _plain(value: Any) -> Any:
    """Config lists as tuples, so that a component cannot change the config."""
    return tuple(_plain(item) for item in value) if isinstance(value, (list, tuple)) else value


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a config value can stand for an annotated argument; what the annotation leaves open fits."""
    if annotation in (inspect.Parameter.empty, Any):
        return True
    origin = get_origin(annotation)
    if origin is None and isinstance(annotation, type):
        if annotation is float:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        if annotation is int:
            return isinstance(value, int) and not isinstance(value, bool)
        if annotation in (list, tuple):
            return isinstance(value, (list, tuple))
        return isinstance(value, annotation) if annotation in (bool, str, type(None), dict) else True
    if origin in (list, tuple) or getattr(origin, "__name__", "") == "Sequence":
        inner = [arg for arg in get_args(annotation) if arg is not Ellipsis]
        if not isinstance(value, (list, tuple)):
            return False
        return all(_fits(item, inner[0]) for item in value) if len(set(inner)) == 1 else True
    if getattr(origin, "__name__", "") == "Literal":
        return value in get_args(annotation)
    if origin is not None and getattr(origin, "__name__", "") in ("Union", "UnionType"):
        return any(_fits(value, choice) for choice in get_args(annotation))
    return True


def _annotation_text(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "any value"
    if getattr(get_origin(annotation), "__name__", "") == "Literal":
        return "one of " + ", ".join(repr(choice) for choice in get_args(annotation))
    return annotation.__name__ if isinstance(annotation, type) and get_origin(annotation) is None else str(annotation)
