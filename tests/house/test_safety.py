"""Nothing that a user is given (weights, YAML, lists) may run code; and every text is ASCII."""

import ast
import re

import pytest
from house_source import CODE, ROOT, attribute_chain, python_files, syntax_tree

# Written in two parts so that this file does not hold what it looks for.
UNSAFE_TEXT = ("weights_only" + "=False", "Unsafe" + "Loader", "unsafe" + "_load", "allow_pickle" + "=True")
UNSAFE_CALLS = {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads"}
TEXT_SUFFIXES = {".py", ".md", ".yaml", ".yml", ".cfg", ".toml", ".txt", ".json", ".csv", ""}
FOLDERS = ("vidrec", "model_zoo", "tools", "configs", "tests", "docs", ".ci")
SKIPPED = {"__pycache__"}


def text_files():
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(path for path in files if path.suffix in TEXT_SUFFIXES and not SKIPPED & set(path.parts))


def unsafe_calls(tree: ast.Module) -> list[tuple[int, str]]:
    """(line, call) of each call that can run what a file holds.

    A `torch.load` must say weights_only=True itself, a `yaml.load` must name a SafeLoader or a class derived from it in its file.
    """
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    safe_loaders = {"yaml.SafeLoader", *(node.name for node in classes if ["yaml", "SafeLoader"] in map(attribute_chain, node.bases))}
    found = []
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ".".join(attribute_chain(node.func))
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in UNSAFE_CALLS or keywords.get("shell") == "True":
            found.append((node.lineno, name))
        elif name == "torch.load" and keywords.get("weights_only") != "True":
            found.append((node.lineno, "torch.load without weights_only=True"))
        elif name == "yaml.load" and keywords.get("Loader") not in safe_loaders:
            found.append((node.lineno, "yaml.load without a SafeLoader"))
    return found


def test_no_call_can_run_code_from_a_file():
    found = {(path.as_posix(), call): line for path in python_files(*CODE, "tests") for line, call in unsafe_calls(syntax_tree(path))}
    # A test may read back what it has just pickled itself, to see what a loader process gets.
    assert [key for key in found if not (key[0].startswith("tests/") and key[1] == "pickle.loads")] == []


def test_no_file_turns_a_safety_off():
    texts = {path: path.read_text(encoding="utf-8") for path in text_files()}
    assert [f"{path.relative_to(ROOT)}: {words}" for path, text in texts.items() for words in UNSAFE_TEXT if words in text] == []


def test_every_text_is_ascii():
    marked = {str(path.relative_to(ROOT)): re.search(rb"[^\x00-\x7f]", path.read_bytes()) for path in text_files()}
    assert [f"{path}: byte {match.start()}" for path, match in marked.items() if match] == []


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ("eval('1')", "eval"),
        ("x = pickle.load(file)", "pickle.load"),
        ("yaml.load(text, Loader=yaml.FullLoader)", "yaml.load without a SafeLoader"),
        ("subprocess.run(line, shell=True)", "subprocess.run"),
        ("torch.load(path)", "torch.load without weights_only=True"),
        ("torch.load(path, weights_only=flag)", "torch.load without weights_only=True"),
    ],
)
def test_unsafe_call_is_found(source, call):
    assert unsafe_calls(ast.parse(source)) == [(1, call)]


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "torch.load(path, weights_only=True)",
        "yaml.safe_load(text)",
        "class Mine(yaml.SafeLoader): pass\nyaml.load(text, Loader=Mine)",
    ],
)
def test_safe_call_is_left_alone(source):
    assert unsafe_calls(ast.parse(source)) == []
