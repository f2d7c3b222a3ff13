"""One list of arguments in the place of two: a class that hands its keyword arguments on shows those of the class they go to."""

import inspect
from collections.abc import Callable
from typing import TypeVar

Kind = TypeVar("Kind", bound=type)


def passes_on(target: type) -> Callable[[Kind], Kind]:
    """A class decorator: `**options` in the constructor's signature gives way to the parameters of `target`, keyword-only.

    So a registry, and `help()`, see the arguments that can be given, and nobody writes them twice.

    Example: class A(size, color), @passes_on(A) class B(path, **options) -> B(path, *, size, color)
    """

    def decorate(cls: Kind) -> Kind:
        own = [p for p in inspect.signature(cls).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        passed = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in inspect.signature(target).parameters.values()]
        cls.__signature__ = inspect.Signature([*own, *passed])
        return cls

    return decorate
