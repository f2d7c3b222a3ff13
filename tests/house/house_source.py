"""The repository's files, for the tests that read source instead of running it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("vidrec", "model_zoo", "tools")


def python_files(*folders: str) -> list[Path]:
    """The Python files below folders of the repository, relative to it, sorted."""
    found = (path for folder in folders or CODE for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def syntax_tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    """Dotted name of a file as it is imported; `model_zoo/` is mapped to `vidrec.model_zoo` in setup.cfg.

    Example: `vidrec/data/views.py` -> `vidrec.data.views`, `model_zoo/specs.py` -> `vidrec.model_zoo.specs`
    """
    parts = list(path.with_suffix("").parts)
    if parts[0] == "model_zoo":
        parts.insert(0, "vidrec")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import at any depth, relative ones resolved.

    Example: `from . import views` in `vidrec.data.pipelines` -> `vidrec.data.views`
    """
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def attribute_chain(node: ast.AST) -> list[str]:
    """Names of `a.B.C` or `a["B"].C` from left to right; empty where the left end is no plain name.

    Example: `cfg.CONFIG["DATA"].CLIP_LEN` -> `["cfg", "CONFIG", "DATA", "CLIP_LEN"]`
    """
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        left, name = attribute_chain(node.value), node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        left, name = attribute_chain(node.value), node.slice.value
    else:
        return []
    return [*left, name] if left else []
