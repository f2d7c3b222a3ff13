"""Who may import whom: only downwards, and `data` and `models` never each other."""

import ast
import re
from pathlib import Path

import pytest
from house_source import ROOT, imported_names, module_name, python_files, syntax_tree

import vidrec

BELOW_DATA = {"config", "utils", "registry", "model_zoo"}
MAY_IMPORT = {
    "model_zoo": set(),
    "utils": set(),
    "registry": {"utils"},
    "config": {"utils", "registry", "model_zoo"},
    "data": BELOW_DATA,
    "models": BELOW_DATA,
    "engine": {"data", "models", *BELOW_DATA},
    "inference": {"engine", "data", "models", *BELOW_DATA},
    "pages": {"engine", *BELOW_DATA},
    "commands": {"inference", "pages", "engine", "data", "models", *BELOW_DATA},
    "__main__": {"commands", "utils"},
    "tools": {"commands"},
    "vidrec": {"commands", "inference", "data", "models", "engine", *BELOW_DATA},  # __init__, which exports lazily
}
# Geometry and schedules are functions of numbers: no tensor, no file, no decoder.
PURE = (
    *(
        f"vidrec/data/{name}.py"
        for name in ("clip_sampling", "clip_starts", "crops", "multigrid", "sampling", "timeline", "view_crops", "views")
    ),
    "vidrec/engine/schedule.py",
)
NOT_PURE = {"torch", "torchvision", "cv2", "av", "decord", "pathlib", "os"}
DOTTED = re.compile(r"vidrec(\.\w+)+(:\w+)?")


def layer(name: str) -> str:
    """The layer of a dotted name. What `vidrec` exports lazily belongs to the layer that defines it."""
    parts = name.split(":")[0].split(".")
    if parts[0] != "vidrec":
        return parts[0]
    if len(parts) == 2 and parts[1] in vidrec._EXPORTS:
        return layer(vidrec._EXPORTS[parts[1]])
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "vidrec"


def used_names(tree: ast.Module, module: str, is_package: bool) -> list[tuple[int, str]]:
    """(line, dotted name) of every import and of every string that names one of vidrec's modules (importlib, registries)."""
    strings = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value)
    ]
    return [*imported_names(tree, module, is_package), *strings]


def upward_edges(tree: ast.Module, path: Path) -> list[str]:
    """`file:line: layer -> layer (name)` of each import that the architecture forbids."""
    module = module_name(path)
    own = layer(module)
    found = []
    for line, name in used_names(tree, module, path.name == "__init__.py"):
        other = layer(name)
        ours = name.split(".")[0] in ("vidrec", "model_zoo", "tools")
        top_level_zoo = name.split(".")[0] == "model_zoo"  # exists in the checkout only; the package is vidrec.model_zoo
        if ours and (top_level_zoo or (other not in (own, "vidrec") and other not in MAY_IMPORT[own])):
            found.append(f"{path}:{line}: {own} -> {other} ({name})")
    return found


def test_imports_go_downwards_only():
    edges = [edge for path in python_files() for edge in upward_edges(syntax_tree(path), path)]
    assert not edges, "forbidden imports:\n" + "\n".join(edges)


def test_every_package_has_a_place_in_the_order():
    packages = {path.parent.name for path in (ROOT / "vidrec").glob("*/__init__.py")} | {"model_zoo"}
    modules = {path.stem for path in (ROOT / "vidrec").glob("*.py")} - {"__init__"}
    assert packages | modules <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", PURE)
def test_pure_module_imports_neither_torch_nor_files(path):
    tree = syntax_tree(Path(path))
    names = {name.split(".")[0] for _, name in imported_names(tree, module_name(Path(path)), False)}
    assert not names & NOT_PURE


@pytest.mark.parametrize(
    ("path", "source", "edge"),
    [
        ("vidrec/data/build.py", "from vidrec.models.build import build_model", "data -> models (vidrec.models.build.build_model)"),
        ("vidrec/models/build.py", "def f():\n    import vidrec.data.views", "models -> data (vidrec.data.views)"),
        ("vidrec/data/views.py", "from ..engine import schedule", "data -> engine (vidrec.engine.schedule)"),
        ("vidrec/data/__init__.py", "from ..models import build", "data -> models (vidrec.models.build)"),
        ("vidrec/data/views.py", "from vidrec import models", "data -> models (vidrec.models)"),
        ("vidrec/data/views.py", "from vidrec import build_model", "data -> models (vidrec.build_model)"),
        ("vidrec/data/build.py", "D = {'X': 'vidrec.models.heads.x:X'}", "data -> models (vidrec.models.heads.x:X)"),
        ("vidrec/utils/text.py", "import vidrec.registry", "utils -> registry (vidrec.registry)"),
        ("model_zoo/specs.py", "from vidrec.utils import text", "model_zoo -> utils (vidrec.utils.text)"),
        ("vidrec/config/load.py", "import model_zoo", "config -> model_zoo (model_zoo)"),
        ("tools/a.py", "from vidrec.engine.launch import launch", "tools -> engine (vidrec.engine.launch.launch)"),
    ],
)
def test_forbidden_import_is_named_with_file_line_and_edge(path, source, edge):
    line = source.count("\n") + 1
    assert upward_edges(ast.parse(source), Path(path)) == [f"{path}:{line}: {edge}"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("vidrec/engine/trainer.py", "from vidrec.data.build import build_loader\nfrom . import schedule"),
        ("vidrec/data/build.py", "from vidrec import __version__\nimport torch"),
        ("vidrec/config/load.py", "from vidrec.model_zoo import specs"),
        ("tools/train.py", "from vidrec.commands.train import main"),
    ],
)
def test_downward_import_is_allowed(path, source):
    assert upward_edges(ast.parse(source), Path(path)) == []
