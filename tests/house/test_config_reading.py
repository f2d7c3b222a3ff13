"""`cfg` stops at the build functions: everything below them takes named arguments."""

import ast
from pathlib import Path

import pytest
from house_source import attribute_chain, imported_names, module_name, python_files, syntax_tree
from yacs.config import CfgNode

from vidrec.config.defaults import COMPONENT_SECTIONS, get_cfg_defaults

READERS = ("vidrec/config/", "vidrec/commands/")
READER_FILES = ("vidrec/data/build.py", "vidrec/models/build.py", "vidrec/engine/optim.py", "vidrec/engine/launch.py")


def may_read(path: Path) -> bool:
    return path.as_posix().startswith(READERS) or path.as_posix() in READER_FILES


def schema_names(node, prefix="") -> set[str]:
    """Every key of the schema without its path; what component sections hold are constructor arguments, not keys."""
    names = set()
    for key, value in node.items():
        names.add(key)
        if isinstance(value, CfgNode) and f"{prefix}{key}" not in COMPONENT_SECTIONS:
            names |= schema_names(value, f"{prefix}{key}.")
    return names


KEYS = schema_names(get_cfg_defaults())


def config_reads(tree: ast.Module, path: Path) -> list[str]:
    """`file:line: what` for each sign that a module reads the config: an import, a parameter `cfg`, a key looked up."""
    module = module_name(path)
    imports = list(imported_names(tree, module, path.name == "__init__.py"))
    found = [f"{path}:{line}: imports {name}" for line, name in imports if name.startswith(("yacs", "vidrec.config"))]
    modules = {name.split(".")[-1] for _, name in imports} | {"self", "cls"}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg == "cfg":
            found.append(f"{path}:{node.lineno}: a parameter cfg")
        chain = attribute_chain(node) if isinstance(node, (ast.Attribute, ast.Subscript)) else []
        is_key = len(chain) > 1 and chain[-1] in KEYS and not (len(chain) == 2 and chain[0] in modules)
        if is_key or (len(chain) == 2 and chain[0] == "cfg"):
            found.append(f"{path}:{node.lineno}: reads {'.'.join(chain)}")
    return found


def test_only_build_functions_and_commands_read_the_config():
    paths = [path for path in python_files("vidrec", "tools") if not may_read(path) and path.name != "registry.py"]
    reads = [read for path in paths for read in config_reads(syntax_tree(path), path)]
    assert not reads, "the config is read outside of the permitted files:\n" + "\n".join(reads)


def test_registry_knows_no_key_of_the_schema():
    """It binds a section's keys to a signature, so it may see a section, but of its keys only TYPE by name."""
    tree = syntax_tree(Path("vidrec/registry.py"))
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert "TYPE" in strings
    assert not strings & KEYS


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("def f(cfg): pass", "a parameter cfg"),
        ("rate = node.TRAIN.LR", "reads node.TRAIN.LR"),
        ("rate = train.LR", "reads train.LR"),
        ("rate = section['CLIP_LEN']", "reads section.CLIP_LEN"),
        ("from yacs.config import CfgNode", "imports yacs.config.CfgNode"),
        ("def f():\n from vidrec.config import load_config", "imports vidrec.config.load_config"),
    ],
)
def test_reading_is_seen_in_every_form(source, what):
    path = Path("vidrec/data/transforms.py")
    reads = config_reads(ast.parse(source), path)
    assert f"{path}:{source.count(chr(10)) + 1}: {what}" in reads


NO_READING = ["import constants\nconstants.MEAN", "self.LEVEL", "logging.INFO", "config['model']", "'CONFIG.DATA.CLIP_LEN'"]


@pytest.mark.parametrize("source", NO_READING)
def test_what_is_no_reading_is_left_alone(source):
    assert config_reads(ast.parse(source), Path("vidrec/data/transforms.py")) == []
